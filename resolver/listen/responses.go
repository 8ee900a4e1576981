package listen

import (
	"hash/maphash"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// account is what a reply counts to where replies of one kind are limited: the hash
// of what it says and of which name. Its last bit tells those of single names from
// those of whole zones; 0 counts to nothing.
type account uint64

// ofZone tells whether replies about many names count together.
func (a account) ofZone() bool { return a&1 == 0 }

// The kinds of replies.
const (
	positive  = "records"
	empty     = "nodata"
	denied    = "nxdomain"
	unsettled = "failure"
)

// accountOf is what the reply to q counts to. A name that a flood draws at random
// must not make a kind of its own, so denials count by the zone that denies, failures by
// the parent of what was asked, and what a wildcard says, or a DNAME or a zone cut, by that.
func (s *Server) accountOf(q *resolver.Query, a *resolver.Answer) account {
	switch {
	case a.Rcode == dns.RcodeNameError:
		return s.accountFor(denied, zoneOf(q.Name, a), true)
	case a.Rcode != dns.RcodeSuccess && a.Network == "": // refused, whatever it is about
		return s.accountFor(unsettled, zones.Root(), true)
	case a.Rcode != dns.RcodeSuccess:
		return s.accountFor(unsettled, above(q.Name), true)
	}
	name, kind := q.Name, positive
	switch {
	case !a.Owner.IsZero():
		name = a.Owner
	case a.Endpoint.IsWildcard():
		name = a.Endpoint
	}
	if a.IsNegative() {
		kind = empty
	}
	return s.accountFor(kind, name, false)
}

// zoneOf is the owner of the SOA record of a denial, or the parent of what was asked.
func zoneOf(asked zones.Name, a *resolver.Answer) zones.Name {
	if zone, found := a.Denies(); found {
		return zone
	}
	return above(asked)
}

// above is the parent of a name; the root is its own.
func above(name zones.Name) zones.Name {
	if parent, more := name.Parent(); more {
		return parent
	}
	return name
}

func (s *Server) accountFor(kind string, name zones.Name, ofZone bool) account {
	var h maphash.Hash
	h.SetSeed(s.responses.seed)
	_, _ = h.WriteString(kind)
	_, _ = h.WriteString(name.FQDN())
	sum := account(h.Sum64()) | 3
	if ofZone {
		sum &^= 1
	}
	return sum
}
