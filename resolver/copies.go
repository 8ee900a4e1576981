package resolver

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/content"
)

// fromCopy takes what the copy of a zone says about the name where the chain has come to, as
// a server of the zone would say it. What the zone delegates is for the outside, and so is
// what it lacks where other servers may know more. It is done unless that is an alias.
func (c *chain) fromCopy(result zones.Result) (answer Answer, done, pending bool) {
	zone := result.Zone
	if c.query.RecursionDesired && c.query.Type == dns.TypeDS && c.name() == zone.Name {
		c.trace.add("copy", "the DS record at the apex of a zone belongs to the zone above") // RFC 4035 section 3.1.4.1
		return c.fromOutside()
	}
	held := c.snapshot.copies[zone.Copy]
	switch {
	case held.Zone == nil:
		return c.unheld(zone, dns.ExtendedErrorCodeNotReady, "there is no copy of zone %s yet"), true, false
	case held.Expired:
		return c.unheld(zone, dns.ExtendedErrorCodeInvalidData, "the copy of zone %s has expired"), true, false
	}
	found := held.Zone.Lookup(c.name(), c.query.Type, c.query.DNSSEC)
	c.trace.copied(zone, held, found)
	switch found.Kind {
	case content.Outside:
		return c.unheld(zone, dns.ExtendedErrorCodeInvalidData, "the copy of zone %s is that of another zone"), true, false
	case content.Delegation:
		if !c.query.RecursionDesired {
			return c.referred(zone, found), true, false
		}
		return c.fromOutside()
	case content.NoData, content.NoName:
		if mapped, is := c.network.LookupReverse(c.name(), c.query.Type); is {
			c.trace.lookup(c.name(), c.query.Type, mapped)
			answer, done = c.owned(mapped)
			return answer, done, false
		}
		if found.Kind == content.NoName && zone.Missing == zones.Forward {
			c.trace.add("copy", `zone %s has missing = "forward": the outside is asked`, zone.Name)
			return c.fromOutside()
		}
	}
	c.local, c.copied, c.last, c.suffix = true, true, Reply{}, zones.Name{}
	answer, done = c.said(zone, found, result.Owner == c.name())
	return answer, done, false
}

// owns tells whether the network says what there is of a type at a name, by itself or by the
// copy of a zone; else the outside does.
func (c *chain) owns(name zones.Name, qtype uint16) bool {
	result := c.network.Lookup(name, qtype)
	if result.Kind != zones.Copied {
		return result.Owned()
	}
	held, zone := c.snapshot.copies[result.Zone.Copy], result.Zone
	switch {
	case qtype == dns.TypeDS && name == zone.Name:
		return false
	case held.Zone == nil || held.Expired:
		return true
	}
	found := held.Zone.Lookup(name, qtype, false).Kind
	return found != content.Delegation && !(found == content.NoName && zone.Missing == zones.Forward)
}

// said is the answer that the zone gives, unless it is an alias.
func (c *chain) said(zone zones.Zone, found content.Result, apex bool) (Answer, bool) {
	answer := Answer{Zone: zone.Name}
	c.standsFor(found.Owner)
	c.records = joined(c.records, found.Records)
	switch found.Kind {
	case content.Alias:
		c.proofs = append(c.proofs, found.Authority...)
		if !found.Target.IsZero() {
			return c.step(found.Target)
		}
		answer.Rcode = dns.RcodeYXDomain
	case content.NoName:
		switch {
		case zone.Missing == zones.Refuse:
			answer = refused(dns.ExtendedErrorCodeProhibited, "the zone has no such name, and refuses missing names")
			answer.Zone = zone.Name
			return answer, true
		case apex || c.network.HasBelow(c.name()):
			c.trace.add("copy", "%s exists, because the network owns names at or below it: NODATA", c.name())
			answer.Authority = onlySOA(found.Authority) // what proves that there is nothing would lie
		default:
			answer.Rcode, answer.Authority = dns.RcodeNameError, found.Authority
		}
	default:
		answer.Authority = found.Authority
	}
	c.locally(&answer)
	return answer, true
}

// joined are records, and those of others that are not among them: one DNAME may lead to
// itself, and one proof hold for several names.
func joined(records, others []dns.RR) []dns.RR {
	for _, other := range others {
		if !slices.ContainsFunc(records, func(rr dns.RR) bool { return dns.IsDuplicate(rr, other) }) {
			records = append(slices.Clip(records), other)
		}
	}
	return records
}

// unheld is the failure of a zone that cannot be answered from.
func (c *chain) unheld(zone zones.Zone, code uint16, format string) Answer {
	c.last, c.suffix = Reply{}, zones.Name{}
	answer := failed(code, fmt.Sprintf(format, zone.Name))
	c.trace.add("copy", "%s", answer.Errors[0].Text)
	answer.Zone = zone.Name
	return answer
}

// referred tells who does not want recursion which servers are to be asked (RFC 1034 section
// 4.3.2).
func (c *chain) referred(zone zones.Zone, found content.Result) Answer {
	c.local, c.last, c.suffix = true, Reply{}, zones.Name{}
	c.standsFor(found.Owner)
	answer := Answer{Zone: zone.Name, Authority: found.Authority, Additional: found.Glue}
	c.locally(&answer)
	answer.Authoritative = len(answer.Records) > 0 // of the alias that led here
	return answer
}

// copied tells what the copy of a zone has for a name.
func (t *Trace) copied(zone zones.Zone, held content.Copy, found content.Result) {
	if t == nil {
		return
	}
	what := ""
	switch {
	case found.Kind == content.Alias && found.Target.IsZero():
		what = fmt.Sprintf("the name that follows from the DNAME of %s is too long", found.Owner)
	case found.Kind == content.Alias:
		what = fmt.Sprintf("an alias of %s, by %s", found.Target, found.Owner)
	case found.Kind == content.Records:
		what = fmt.Sprintf("answered by %s", found.Owner)
	case found.Kind == content.NoData:
		what = fmt.Sprintf("%s has no record of this type: NODATA", found.Owner)
	case found.Kind == content.Delegation:
		what = fmt.Sprintf("delegated at %s, to be answered by others", found.Owner)
	case found.Kind == content.NoName:
		what = "there is no such name"
	default:
		what = "the copy is that of another zone"
	}
	from := ""
	if held.From != "" {
		from = " from " + held.From
	}
	t.add("copy", "zone %s, serial %d, %d records%s: %s", zone.Name, held.Zone.Serial(), held.Zone.Len(), from, what)
	t.with(found.Records)
	t.with(found.Authority)
}
