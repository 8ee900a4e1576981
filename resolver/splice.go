package resolver

import (
	"github.com/miekg/dns"

	"pldns/resolver/wire"
	"pldns/zones"
)

// minimalTTL is how long, in seconds, clients may keep the record that stands for all
// that a name has.
const minimalTTL = 300

// splice walks the chain that the outside gave. At the first name that the
// network owns, or that is routed to another group, the rest is dropped and the
// chain goes on there. A chain that the outside left open is asked on.
//
// A failure is about the end of the chain in it (RFC 6604 section 3). So an alias that
// comes with one counts where it leads to a name of the network, whose public end
// nobody needs; anywhere else the failure is the answer.
func (c *chain) splice(route Route, reply Reply) (Answer, bool) {
	c.signed = c.signed && reply.Authenticated
	failing := reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError
	if c.query.Type == dns.TypeHTTPS || c.query.Type == dns.TypeSVCB {
		reply = c.withoutHints(reply)
	}
	followed, taken := false, 0
	for record := range reply.Wire.In(wire.Answer) {
		taken++
		target, is := c.aliasOf(reply.Wire, record)
		if !is {
			continue
		}
		followed = true
		if answer, done := c.step(target); done {
			return answer, true
		}
		if c.leaves(route, target, failing) {
			c.take(reply, taken)
			return Answer{}, false
		}
	}
	if failing {
		return unanswered(route.Group, reply), true
	}
	if followed && open(reply, c.name()) {
		c.take(reply, taken)
		return Answer{}, false
	}
	if match, is := c.screenedAddresses(reply); is {
		c.aliases(reply)
		return c.obey(match)
	}
	return c.end(reply), true
}

// take adds the first records of a reply's answer to those of the chain, with the
// signatures of the last of them.
func (c *chain) take(reply Reply, count int) {
	records := reply.Unpacked().Answer
	if count = min(count, len(records)); count > 0 {
		c.records = append(c.records, records[:count]...)
		c.records = append(c.records, signatures(records[count:], records[count-1])...)
	}
}

// end is the answer that ends as the outside says. A name above one that the network
// owns exists, whatever the outside says: a resolver that is told otherwise takes
// what is below it for missing, too (RFC 8020). So it has no data, and no proof of that.
func (c *chain) end(reply Reply) Answer {
	answer := Answer{Rcode: reply.Rcode, Errors: reply.Errors}
	exists := reply.Rcode == dns.RcodeNameError && c.network.HasBelow(c.name())
	if exists {
		c.trace.add("splice", "%s exists, because the network owns names below it: NODATA", c.name())
		answer.Rcode, c.altered = dns.RcodeSuccess, true
	}
	answer.Authenticated = c.signed && !c.local && !c.altered
	if !exists && len(c.records) == 0 && c.asked == c.query.Question {
		answer.Wire = reply.Wire // all of it is as it was said
		return answer
	}
	whole := reply.Unpacked()
	if answer.Authority = whole.Authority; exists {
		answer.Authority = onlySOA(whole.Authority)
	}
	answer.Authority = joined(answer.Authority, c.proofs)
	c.records = append(c.records, whole.Answer...)
	answer.Records = c.records
	return answer
}

// minimal answers a question for ANY, which is never put to the outside: who answers it
// is a lever for reflection, and few do (RFC 8482). The outside has been asked for
// addresses. What it has at the name, addresses or an alias, is one RRset of several
// and enough; where it has neither, the name still exists, and a HINFO record says so:
// programs that ask for ANY take an empty answer for a name that does not exist.
func (c *chain) minimal() Answer {
	reply := c.reply
	c.signed = c.signed && reply.Authenticated
	for _, rr := range reply.Unpacked().Answer {
		if zones.NameOf(rr.Header().Name) == c.name() {
			c.records = append(c.records, rr)
		}
	}
	switch {
	case len(c.records) > 0: // whatever became of the end of the chain
		return Answer{Records: c.records, Authenticated: c.signed}
	case reply.Rcode == dns.RcodeSuccess:
		c.altered = true
		c.records = append(c.records, &dns.HINFO{
			Hdr: dns.RR_Header{Name: c.name().FQDN(), Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: minimalTTL}, Cpu: "RFC8482",
		})
		return Answer{Records: c.records, Errors: reply.Errors}
	case reply.Rcode == dns.RcodeNameError:
		return c.end(reply)
	default:
		return unanswered(c.route.Group, reply)
	}
}

// onlySOA is the SOA among the records of a negative answer, without its signature.
func onlySOA(authority []dns.RR) []dns.RR {
	for _, rr := range authority {
		if rr.Header().Rrtype == dns.TypeSOA {
			return []dns.RR{rr}
		}
	}
	return nil
}

// aliasOf gives the target if a record of the message is the CNAME at the name where the
// chain has come to, and the question follows CNAMEs.
func (c *chain) aliasOf(m wire.Message, record wire.Record) (zones.Name, bool) {
	if record.Type != dns.TypeCNAME || c.query.Type == dns.TypeCNAME || c.query.Type == dns.TypeANY ||
		!wire.IsName(m.Octets(), record.Owner, c.name()) {
		return zones.Name{}, false
	}
	return wire.Name(m.Octets(), record.Data)
}

// leaves tells whether the target is for somebody else to answer than the group
// behind the route: for the network itself, for its policies, or, unless the group has failed, for
// another group.
func (c *chain) leaves(route Route, target zones.Name, failing bool) bool {
	if c.owns(target, c.query.Type) {
		c.trace.add("splice", "%s is owned by the network: the upstream's tail after it is dropped", target)
		return true
	}
	if match, is := c.screened(target); is {
		c.held.found = match
		return true
	}
	other, found := c.routes.to(target)
	if !failing && (!found || other.Group != route.Group) {
		c.trace.add("splice", "%s is not for upstream %s to answer: its tail is dropped", target, route.Group)
		return true
	}
	return false
}

// open tells whether the outside stopped before the end of its chain, with
// neither records at the last name nor a denial of them.
func open(reply Reply, last zones.Name) bool {
	if reply.Rcode != dns.RcodeSuccess || reply.Wire.Count(wire.Authority) > 0 {
		return false
	}
	for record := range reply.Wire.In(wire.Answer) {
		if wire.IsName(reply.Wire.Octets(), record.Owner, last) {
			return false
		}
	}
	return true
}

// signatures are the RRSIGs among the records that cover the given one.
func signatures(records []dns.RR, covered dns.RR) []dns.RR {
	var found []dns.RR
	for _, rr := range records {
		signature, is := rr.(*dns.RRSIG)
		if is && signature.TypeCovered == covered.Header().Rrtype && signature.Hdr.Name == covered.Header().Name {
			found = append(found, rr)
		}
	}
	return found
}
