package resolver

import (
	"slices"

	"github.com/miekg/dns"

	"pldns/zones"
)

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
	records, followed := c.withoutHints(reply.Answer), false
	for i, rr := range records {
		c.records = append(c.records, rr)
		target, is := c.aliasOf(rr)
		if !is {
			continue
		}
		followed = true
		if answer, done := c.step(target); done {
			return answer, true
		}
		if c.leaves(route, target, failing) {
			c.records = append(c.records, signatures(records[i+1:], rr)...)
			return Answer{}, false
		}
	}
	if failing {
		return unanswered(route.Group, reply), true
	}
	if followed && open(reply, c.name()) {
		return Answer{}, false
	}
	return c.end(reply), true
}

// end is the answer that ends as the outside says. A name above one that the network
// owns exists, whatever the outside says: a resolver that is told otherwise takes
// what is below it for missing, too (RFC 8020). So it has no data, and no proof of that.
func (c *chain) end(reply Reply) Answer {
	if reply.Rcode == dns.RcodeNameError && c.network.HasBelow(c.name()) {
		c.trace.add("splice", "%s exists, because the network owns names below it: NODATA", c.name())
		reply.Rcode, reply.Authority, c.altered = dns.RcodeSuccess, onlySOA(reply.Authority), true
	}
	return Answer{
		Rcode:         reply.Rcode,
		Records:       c.records,
		Authority:     reply.Authority,
		Authenticated: c.signed && !c.local && !c.altered,
		Errors:        reply.Errors,
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

// aliasOf gives the target if the record is the CNAME at the name where the
// chain has come to, and the question follows CNAMEs.
func (c *chain) aliasOf(rr dns.RR) (zones.Name, bool) {
	cname, is := rr.(*dns.CNAME)
	if !is || c.query.Type == dns.TypeCNAME || c.query.Type == dns.TypeANY || zones.NameOf(cname.Hdr.Name) != c.name() {
		return zones.Name{}, false
	}
	return zones.NameOf(cname.Target), true
}

// leaves tells whether the target is for somebody else to answer than the group
// behind the route: for the network itself, or, unless the group has failed, for
// another group.
func (c *chain) leaves(route Route, target zones.Name, failing bool) bool {
	if result := c.network.Lookup(target, c.query.Type); result.Owned() {
		c.trace.add("splice", "%s is owned by the network: the upstream's tail after it is dropped", target)
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
	if reply.Rcode != dns.RcodeSuccess || len(reply.Authority) > 0 {
		return false
	}
	return !slices.ContainsFunc(reply.Answer, func(rr dns.RR) bool {
		return zones.NameOf(rr.Header().Name) == last
	})
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
