package resolver

import (
	"fmt"
	"iter"
	"net/netip"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
	"pldns/zones"
)

// requiresPrivate finds a name of the chain whose addresses have to be private.
func (c *chain) requiresPrivate() (suffix zones.Name, found bool) {
	for _, name := range c.names {
		if suffix, found = c.network.RequiresPrivate(name); found {
			return suffix, true
		}
	}
	return zones.Name{}, false
}

// confined is the answer without the public addresses that the outside gave, or the copy of
// a zone, where the network requires private ones. Without any address left it says that there is none: a
// client that is refused would ask another server.
func (c *chain) confined(answer Answer) Answer {
	if c.last.Source == FromNowhere && !c.copied || !hasPublic(answer) {
		return answer
	}
	suffix, found := c.requiresPrivate()
	if !found {
		return answer
	}
	answer = answer.Unpacked()
	records, left := answer.Records, 0
	answer.Records = nil
	for _, rr := range records {
		addr := addressOf(rr)
		if isPublic(addr) || covers(rr, dns.TypeA) || covers(rr, dns.TypeAAAA) {
			continue
		}
		if addr.IsValid() {
			left++
		}
		answer.Records = append(answer.Records, rr)
	}
	answer.Required, answer.Authenticated, c.altered = suffix, false, true
	c.trace.add("private", "names below %s have to have private addresses here: %d of %d records are left",
		suffix, len(answer.Records), len(records))
	if left == 0 {
		answer.Authority = []dns.RR{zones.SOA(suffix)}
		why := fmt.Sprintf("the address is public, and names below %s have to have private ones", suffix)
		answer.Errors = []Error{{dns.ExtendedErrorCodeBlocked, why}}
	}
	return answer
}

// hasPublic tells whether there is a public address in an answer.
func hasPublic(answer Answer) bool {
	for addr := range recordedIn(answer.Wire) {
		if isPublic(addr) {
			return true
		}
	}
	for _, rr := range answer.Records {
		if isPublic(addressOf(rr)) {
			return true
		}
	}
	return false
}

// recordedIn are the addresses of the A and AAAA records in the answer section of a message,
// as they stand there.
func recordedIn(m wire.Message) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for record := range m.In(wire.Answer) {
			if record.Type != dns.TypeA && record.Type != dns.TypeAAAA {
				continue
			}
			if addr, is := netip.AddrFromSlice(m.Octets()[record.Data:record.End]); is && !yield(addr) {
				return
			}
		}
	}
}

// isPublic tells whether an address is used on the Internet; false for none.
func isPublic(addr netip.Addr) bool { return addr.IsValid() && !zones.IsPrivate(addr.Unmap()) }

// covers tells whether a record is a signature of records of the type.
func covers(rr dns.RR, rrtype uint16) bool {
	signature, is := rr.(*dns.RRSIG)
	return is && signature.TypeCovered == rrtype
}
