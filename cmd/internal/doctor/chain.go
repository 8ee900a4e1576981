package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/azure"
)

// Link is one CNAME of a chain.
type Link struct {
	Owner, Target zones.Name
	TTL           uint32 // seconds
}

// Chain is an answer section, read from the name that was asked for.
type Chain struct {
	Start     zones.Name
	Links     []Link
	Addresses []netip.Addr // of the last name
	TTL       uint32       // seconds, of the addresses
}

// Follow reads the chain that begins at a name out of an answer section. Records
// off the chain are passed over, and a chain that comes back to itself ends there.
func Follow(start zones.Name, answer []dns.RR) Chain {
	aliases := make(map[zones.Name]Link)
	for _, rr := range answer {
		if alias, is := rr.(*dns.CNAME); is {
			owner := zones.NameOf(alias.Hdr.Name)
			if _, twice := aliases[owner]; !twice {
				aliases[owner] = Link{owner, zones.NameOf(alias.Target), alias.Hdr.Ttl}
			}
		}
	}
	chain := Chain{Start: start}
	for at := start; ; {
		link, more := aliases[at]
		if !more {
			break
		}
		delete(aliases, at)
		chain.Links = append(chain.Links, link)
		at = link.Target
	}
	for _, rr := range answer {
		if addr, is := addressOf(rr); is && zones.NameOf(rr.Header().Name) == chain.End() {
			chain.Addresses, chain.TTL = append(chain.Addresses, addr), rr.Header().Ttl
		}
	}
	return chain
}

func addressOf(rr dns.RR) (addr netip.Addr, is bool) {
	switch rr := rr.(type) {
	case *dns.A:
		addr, is = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		addr, is = netip.AddrFromSlice(rr.AAAA)
	}
	return addr.Unmap(), is
}

// Names are the names of the chain in order, the asked one first.
func (c Chain) Names() []zones.Name {
	names := []zones.Name{c.Start}
	for _, link := range c.Links {
		names = append(names, link.Target)
	}
	return names
}

// End is the last name of the chain.
func (c Chain) End() zones.Name {
	if len(c.Links) == 0 {
		return c.Start
	}
	return c.Links[len(c.Links)-1].Target
}

// String writes the records of a chain, with TTLs; it is empty where there are none.
func (c Chain) String() string {
	var parts []string
	for _, link := range c.Links {
		parts = append(parts, fmt.Sprintf("%s %d CNAME %s", link.Owner, link.TTL, link.Target))
	}
	for _, family := range []struct {
		kind string
		six  bool
	}{{"A", false}, {"AAAA", true}} {
		var addrs []string
		for _, addr := range c.Addresses {
			if addr.Is6() == family.six {
				addrs = append(addrs, addr.String())
			}
		}
		if len(addrs) > 0 {
			parts = append(parts, fmt.Sprintf("%s %d %s %s", c.End(), c.TTL, family.kind, strings.Join(addrs, " ")))
		}
	}
	return strings.Join(parts, ", ")
}

// Kind is where a chain leads.
type Kind uint8

// The kinds of chains.
const (
	NoAddress Kind = iota // to no address
	Private               // to private addresses only
	Listed                // to the addresses of a privatelink name itself, which are of a public range
	Mixed                 // to private and to public addresses
	AliasLeft             // over a privatelink name, and on to public addresses
	NoAlias               // to public addresses, past a name that should have had a privatelink alias
	Unlisted              // to public addresses, over no name that the catalogue knows
)

// Finding is what a chain says about Private Link.
type Finding struct {
	Kind Kind
	At   zones.Name // the name after which the alias is lost: of AliasLeft and NoAlias
	Next zones.Name // what the chain goes on to from At; zero where it ends there
	// Alias is the privatelink name that the chain leads over, or should lead over.
	// It is zero where there is none, or none that can be derived.
	Alias zones.Name
}

// Inspect finds where a chain loses the privatelink alias, if it does. A chain in
// Azure goes from the public name to its privatelink name; inside a network that
// has an endpoint it ends there, and from outside it goes on to public addresses.
func Inspect(catalogue *azure.Catalogue, chain Chain) Finding {
	private := 0
	for _, addr := range chain.Addresses {
		if zones.IsPrivate(addr) {
			private++
		}
	}
	names := chain.Names()
	alias := lastPrivate(catalogue, names)
	f := Finding{}
	if alias >= 0 {
		f.Alias = names[alias]
	}
	switch {
	case len(chain.Addresses) == 0:
		f.Kind = NoAddress
	case private == len(chain.Addresses):
		f.Kind = Private
	case private > 0:
		f.Kind = Mixed
	case alias == len(names)-1:
		f.Kind = Listed
	case alias >= 0:
		f.Kind, f.At, f.Next = AliasLeft, names[alias], names[alias+1]
	default:
		f = withoutAlias(catalogue, names)
	}
	return f
}

// lastPrivate is the index of the last name that lies in a privatelink zone, or -1.
func lastPrivate(catalogue *azure.Catalogue, names []zones.Name) int {
	for i, name := range slices.Backward(names) {
		if _, is := catalogue.ZoneOf(name); is {
			return i
		}
	}
	return -1
}

// withoutAlias finds the first name of a public chain that Azure would have given
// a privatelink alias.
func withoutAlias(catalogue *azure.Catalogue, names []zones.Name) Finding {
	for i, name := range names {
		match, err := catalogue.Derive(name)
		var underivable *azure.NotDerivableError
		if err != nil && !errors.As(err, &underivable) {
			continue
		}
		f := Finding{Kind: NoAlias, At: name, Alias: match.Private}
		if i+1 < len(names) {
			f.Next = names[i+1]
		}
		return f
	}
	return Finding{Kind: Unlisted}
}
