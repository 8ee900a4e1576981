package resolver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"pldns/zones"
)

// maxHops bounds the CNAMEs of one answer. Azure's longest public chains have
// about ten.
const maxHops = 16

// chain is the way from the asked name to the answer, within one network.
type chain struct {
	query    Query
	snapshot *Snapshot
	network  *zones.Network
	routes   routes
	trace    *Trace
	inside   bool // nothing may be asked outside

	names   []zones.Name // every name of the chain so far, the current one last
	records []dns.RR
	local   bool // a record or a denial came from the network's table
	outside bool // something was asked outside
	open    bool // something would have to be, and may not: there is no answer
	once    bool // some of it may be different the next time: see Reuse
	signed  bool // the outside vouched for all that it said
	last    Reply
	suffix  zones.Name // of the forward entry that led to last
}

// answerIn decides the answer for a client of the network: what is not served at
// all, else the chain. It is false if that leads outside and may not.
func (s *Snapshot) answerIn(ctx context.Context, q Query, network *zones.Network, trace *Trace, inside bool) (Answer, bool) {
	switch {
	case q.Class != dns.ClassINET:
		return refused(dns.ExtendedErrorCodeNotSupported, "only class IN is served"), true
	case q.Type == dns.TypeAXFR || q.Type == dns.TypeIXFR:
		return refused(dns.ExtendedErrorCodeNotSupported, "zone transfers are not served"), true
	}
	c := &chain{
		query: q, snapshot: s, network: network, routes: s.routes[network], trace: trace, inside: inside,
		names: []zones.Name{q.Name}, signed: true,
	}
	answer := c.follow(ctx)
	if c.open {
		return Answer{}, false
	}
	answer.Source, answer.Suffix, answer.Group, answer.Server = c.source(answer), c.suffix, c.last.Group, c.last.Server
	answer.Hops = len(c.names) - 1
	answer.Reuse = c.reuse(answer)
	return answer, true
}

// source tells where the part of the answer came from that decided it.
func (c *chain) source(answer Answer) Source {
	switch {
	case answer.Rcode == dns.RcodeServerFailure && c.last.Source == FromNowhere, answer.Rcode == dns.RcodeRefused && !c.local:
		return c.last.Source
	case c.local:
		return FromLocal
	default:
		return c.last.Source
	}
}

// follow is the one loop: a name that the network owns is answered from its
// table, any other is asked outside, and each CNAME begins it anew. It ends
// because every turn makes the chain longer, and the chain is bounded.
func (c *chain) follow(ctx context.Context) Answer {
	var limited *Limited
	for {
		result := c.network.Lookup(c.name(), c.query.Type)
		c.trace.lookup(c.name(), c.query.Type, result)
		if result.Owned() {
			answer, done := c.owned(result)
			if done {
				return answer
			}
			continue
		}
		if limited == nil && !c.inside { // the one deadline begins here: all before took no time
			limited = WithDeadline(ctx, time.Now().Add(c.snapshot.deadline))
			defer limited.End()
		}
		if answer, done := c.ask(limited); done {
			return answer
		}
	}
}

// name is where the chain has come to.
func (c *chain) name() zones.Name { return c.names[len(c.names)-1] }

// owned takes what the network's table says. It is done unless that is an alias.
func (c *chain) owned(result zones.Result) (Answer, bool) {
	c.local, c.last, c.suffix = true, Reply{}, zones.Name{}
	answer := Answer{Zone: result.Zone.Name}
	if !result.Endpoint.IsZero() {
		answer.Endpoint = result.Endpoint.Name()
	}
	switch result.Kind {
	case zones.Alias:
		c.records = append(c.records, result.Records...)
		return c.step(result.Target)
	case zones.Records:
		picked, errors := c.pick(result)
		c.records, answer.Errors = append(c.records, picked...), errors
	case zones.NoData:
		answer.Authority = []dns.RR{result.SOA}
	case zones.NoName:
		if result.Zone.Missing == zones.Refuse {
			answer = refused(dns.ExtendedErrorCodeProhibited, "no endpoint here, and the zone refuses missing names")
			answer.Zone = result.Zone.Name
			return answer, true
		}
		answer.Rcode, answer.Authority = dns.RcodeNameError, []dns.RR{result.SOA}
		if !result.Zone.Special {
			answer.Errors = []Error{{dns.ExtendedErrorCodeOther, "no endpoint here, and the zone denies missing names"}}
		}
	}
	answer.Records, answer.Authoritative = c.records, !c.outside
	return answer, true
}

// step goes on to the target of a CNAME. It is done where that leads nowhere: a
// name seen before, or one hop too many.
func (c *chain) step(target zones.Name) (Answer, bool) {
	if slices.Contains(c.names, target) {
		return failed(dns.ExtendedErrorCodeOther, fmt.Sprintf("the CNAME chain comes back to %s", target)), true
	}
	c.names = append(c.names, target)
	if len(c.names) > maxHops+1 {
		return failed(dns.ExtendedErrorCodeOther, fmt.Sprintf("the CNAME chain has more than %d links", maxHops)), true
	}
	return Answer{}, false
}

// ask asks outside about the name where the chain has come to.
func (c *chain) ask(ctx context.Context) (Answer, bool) {
	if !c.query.RecursionDesired {
		return c.unasked(), true
	}
	if !forwardable(c.query.Type) {
		return Answer{Rcode: dns.RcodeNotImplemented, Errors: []Error{{dns.ExtendedErrorCodeInvalidQueryType, "this type is no question for the outside"}}}, true
	}
	route, found := c.routes.to(c.name())
	if !found {
		c.trace.add("upstream", "no forward entry covers %s", c.name())
		return refused(dns.ExtendedErrorCodeNotSupported, "nothing is forwarded for this name"), true
	}
	if c.inside {
		c.open = true
		return Answer{}, true
	}
	question := c.query.Question
	question.Name = c.name()
	c.outside, c.suffix = true, route.Suffix
	reply, err := Exchange(ctx, route.To, question, c.asker())
	reply.Group = route.Group
	c.last = reply
	c.once = c.once || err != nil || reply.Source != FromCache
	c.trace.exchange(route, question, reply, err)
	if err != nil {
		return failure(route.Group, err), true
	}
	return c.splice(route, reply)
}

// asker is on whose behalf the outside is asked.
func (c *chain) asker() Asker {
	return Asker{Network: c.network.Name(), Client: c.query.Client.Prefix()}
}

// unasked answers a query without RD that would have to be asked outside: with
// what is known here, else not at all. The cache is not looked into, so that it
// tells nobody what others asked.
func (c *chain) unasked() Answer {
	c.trace.add("upstream", "not asked: the query does not desire recursion")
	if len(c.records) > 0 {
		return Answer{Records: c.records, Authoritative: true}
	}
	return refused(dns.ExtendedErrorCodeNotAuthoritative, "recursion was not desired, and the name is not ours")
}

// forwardable tells whether a type may be asked outside: types that only have a
// meaning between two neighbours may not (RFC 6895 section 3.1).
func forwardable(qtype uint16) bool {
	switch qtype {
	case dns.TypeNone, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY:
		return false
	}
	return true
}

// splice walks the chain that the outside gave. At the first name that the
// network owns, or that is routed to another group, the rest is dropped and the
// chain goes on there (DESIGN part 3, rule 4). A chain that the outside left
// open is asked on.
func (c *chain) splice(route Route, reply Reply) (Answer, bool) {
	c.signed = c.signed && reply.Authenticated
	if reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return unanswered(route.Group, reply), true
	}
	followed := false
	for i, rr := range reply.Answer {
		c.records = append(c.records, rr)
		target, is := c.aliasOf(rr)
		if !is {
			continue
		}
		followed = true
		if answer, done := c.step(target); done {
			return answer, true
		}
		if c.leaves(route, target) {
			c.records = append(c.records, signatures(reply.Answer[i+1:], rr)...)
			return Answer{}, false
		}
	}
	if followed && open(reply, c.name()) {
		return Answer{}, false
	}
	return Answer{
		Rcode:         reply.Rcode,
		Records:       c.records,
		Authority:     reply.Authority,
		Authenticated: c.signed && !c.local,
		Errors:        reply.Errors,
	}, true
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
// behind the route: for the network itself, or for another group.
func (c *chain) leaves(route Route, target zones.Name) bool {
	if result := c.network.Lookup(target, c.query.Type); result.Owned() {
		c.trace.add("splice", "%s is owned by the network: the upstream's tail after it is dropped", target)
		return true
	}
	other, found := c.routes.to(target)
	if !found || other.Group != route.Group {
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
