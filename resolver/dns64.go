package resolver

import (
	"net/netip"

	"github.com/miekg/dns"

	"pldns/zones"
)

// synthesisTTL is for how long, in seconds, what DNS64 makes may be kept at most where
// nothing else says so (RFC 6147 section 5.1.7).
const synthesisTTL = 600

// plain is what a query for AAAA came to before DNS64 asked for A in its place.
type plain struct {
	answer Answer
	walk   walk
}

// synthesized is the answer with what DNS64 (RFC 6147) does to it. Where there is no
// AAAA record, the chain is walked once more for A, with everything that holds for
// those: what is mapped, picked, and asked outside. It is not done where that has to
// wait.
func (c *chain) synthesized(answer Answer) (Answer, bool) {
	by := c.network.DNS64()
	switch {
	case by == nil, answer.Waits, c.held.ends():
		return answer, true
	case c.plain != nil:
		return c.embedded(by, answer), true
	case c.query.Type != dns.TypeAAAA, c.query.DNSSEC && c.query.CheckingDisabled: // the latter validates, and does this itself
		return answer, true
	}
	all, usable := addresses(by, answer)
	if usable < all {
		c.trace.add("dns64", "%d of %d AAAA records have excluded addresses", all-usable, all)
		answer = withoutExcluded(by, answer)
	}
	if usable > 0 || !lacks(answer, c.outside) {
		return answer, true
	}
	c.trace.add("dns64", "no AAAA record: A is asked for, to be put into %s", by.Prefix())
	c.plain = &plain{answer, c.walk}
	c.query.Type = dns.TypeA
	c.names, c.records, c.held = []zones.Name{c.query.Name}, nil, c.snapshot.heldTo(c.network)
	c.local, c.outside, c.altered, c.signed = false, false, false, true
	c.copied, c.proofs = false, nil
	if answer, done := c.follow(); done {
		return c.synthesized(c.confined(answer))
	}
	return Answer{}, false
}

// lacks tells whether A is to be asked for, because an answer without AAAA is none: it
// says that there are none, or it is a failure of the outside, which a query for A need
// not meet (RFC 6147 section 5.1.2).
func lacks(answer Answer, outside bool) bool {
	return answer.Rcode == dns.RcodeSuccess || outside && answer.Rcode != dns.RcodeNameError
}

// addresses counts the AAAA records of an answer, and those whose addresses are not
// excluded.
func addresses(by *zones.DNS64, answer Answer) (all, usable int) {
	count := func(addr netip.Addr) {
		if !addr.Is6() {
			return
		}
		if all++; !by.Excludes(addr) {
			usable++
		}
	}
	for addr := range recordedIn(answer.Wire) {
		count(addr)
	}
	for _, rr := range answer.Records {
		if aaaa, is := rr.(*dns.AAAA); is {
			addr, _ := netip.AddrFromSlice(aaaa.AAAA.To16())
			count(addr)
		}
	}
	return all, usable
}

// withoutExcluded is an answer without the AAAA records whose addresses are excluded. Their
// signature does not hold for the rest.
func withoutExcluded(by *zones.DNS64, answer Answer) Answer {
	answer = answer.Unpacked()
	answer.Records, answer.Authenticated = mapRecords(answer.Records, dns.TypeAAAA, func(rr dns.RR) dns.RR {
		if aaaa, is := rr.(*dns.AAAA); is {
			if addr, fits := netip.AddrFromSlice(aaaa.AAAA.To16()); !fits || by.Excludes(addr) {
				return nil
			}
		}
		return rr
	}), false
	return answer
}

// embedded is the answer to the query for AAAA, made of that to the one for A. Without an
// address to make it of, it is what the query came to at first.
func (c *chain) embedded(by *zones.DNS64, answer Answer) Answer {
	made, most := 0, c.plain.mostTTL()
	answer = answer.Unpacked()
	records := mapRecords(answer.Records, dns.TypeA, func(rr dns.RR) dns.RR {
		a, is := rr.(*dns.A)
		if !is {
			return rr
		}
		addr, _ := netip.AddrFromSlice(a.A.To4())
		inner, is := by.Embed(addr)
		if !is {
			c.trace.add("dns64", "%s is excluded", addr)
			return nil
		}
		made++
		header := dns.RR_Header{Name: a.Hdr.Name, Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: min(a.Hdr.Ttl, most)}
		return &dns.AAAA{Hdr: header, AAAA: inner.AsSlice()}
	})
	if made == 0 {
		before, once := c.plain, c.once
		c.walk = before.walk
		c.once = c.once || once
		return before.answer
	}
	answer.Records, answer.Authority, answer.Authenticated = records, nil, false // what was proven was of A
	return answer
}

// mostTTL is for how long, in seconds, it is known that there is no AAAA record.
func (p *plain) mostTTL() uint32 {
	for _, rr := range p.answer.Unpacked().Authority {
		if soa, is := rr.(*dns.SOA); is {
			return min(soa.Hdr.Ttl, soa.Minttl)
		}
	}
	return synthesisTTL
}

// mapRecords replaces records; a nil record is left out. So are the signatures of records of
// the type, which are not those that were signed any more.
func mapRecords(records []dns.RR, covered uint16, replace func(dns.RR) dns.RR) []dns.RR {
	var all []dns.RR
	for _, rr := range records {
		if covers(rr, covered) {
			continue
		}
		if rr = replace(rr); rr != nil {
			all = append(all, rr)
		}
	}
	return all
}

// translated is the name that the chain goes on at, because the one where it has come to
// belongs to an address that a NAT64 translates: that of the IPv4 address (RFC 6147 section
// 5.3.1). What the operator has for the name goes before.
func (c *chain) translated(found zones.Result) (target zones.Name, is bool) {
	by := c.network.DNS64()
	if by == nil || c.query.Type != dns.TypePTR || found.Owned() && !found.Zone.Special {
		return zones.Name{}, false
	}
	if target, is = by.Reverse(c.name()); is {
		header := dns.RR_Header{Name: c.name().FQDN(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: synthesisTTL}
		alias := &dns.CNAME{Hdr: header, Target: target.FQDN()}
		c.trace.add("dns64", "%s stands for an IPv4 address in %s", c.name(), by.Prefix())
		c.trace.with([]dns.RR{alias})
		c.records, c.altered = append(c.records, alias), true
	}
	return target, is
}
