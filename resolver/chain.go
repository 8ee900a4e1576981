package resolver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"pldns/zones"
)

const (
	// maxHops bounds the CNAMEs of one answer. Azure's longest public chains have
	// about ten; other resolvers follow up to thirty in what one reply holds.
	maxHops = 32
	// maxAsks bounds how often the outside is asked for one answer, so that a chain
	// whose links lie apart does not make many queries of one.
	maxAsks = 17
	// deadlineSpread is the part of its time by which a query may be given up early. What
	// came at one moment is given up at many: the clients of a silent domain ask again at
	// once, thousands together, and whoever asks something else would wait for all of that.
	deadlineSpread = 8
)

// chain is the way from the asked name to the answer, within one network. It is
// also what waits for the outside: see [Pending].
type chain struct {
	turn atomic.Uint64 // odd while the outside is being asked; never begins anew
	walk
}

// walk is what a chain knows of its one query.
type walk struct {
	query    Query
	snapshot *Snapshot
	network  *zones.Network
	routes   routes
	trace    *Trace
	wake     func()
	deadline time.Time // zero until the outside is asked

	names   []zones.Name // every name of the chain so far, the current one last
	records []dns.RR
	local   bool // a record or a denial came from the network's table
	outside bool // something was asked outside
	once    bool // some of it may be different the next time: see Reuse
	altered bool // what the outside said was not passed on as it came
	signed  bool // the outside vouched for all that it said
	last    Reply
	suffix  zones.Name // of the forward entry that led to last
	plain   *plain     // what came of it before DNS64; nil where that does nothing
	owner   zones.Name // what stands for the asked name: see Answer.Owner
	proofs  []dns.RR   // that wildcards of copies stand for names of the chain
	copied  bool       // a record or a denial came from a copy

	held *held // to policies; nil where the network is held to none

	asks  int
	asked Question // outside, just now
	route Route    // that asked is asked by
	reply Reply    // to asked
	err   error    // in the place of a reply
}

// finish completes an answer. The chain is not used any more.
func (c *chain) finish(answer Answer) Answer {
	answer.Source, answer.Suffix, answer.Group, answer.Server = c.source(answer), c.suffix, c.last.Group, c.last.Server
	answer.Hops, answer.Owner = len(c.names)-1, c.owner
	if c.held != nil && c.held.verdict.Policy != "" {
		answer = c.held.policed(answer)
	}
	answer.Reuse = c.reuse(answer)
	answer.Network, answer.Release = c.network.Name(), c.snapshot.release
	c.trace.answer(answer)
	return answer
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

// reuse is the Reuse of the answer that the chain ended in.
func (c *chain) reuse(a Answer) Reuse {
	switch {
	case c.once, a.Truncated, a.Rcode != dns.RcodeSuccess && a.Rcode != dns.RcodeNameError:
		return Once
	case c.outside:
		return WhileFresh
	default:
		return WithSnapshot
	}
}

// follow is the one loop: a name that the network owns is answered from its
// table or from the copy of its zone, any other is asked outside, and each CNAME begins it anew. It ends
// because every turn makes the chain longer, and the chain is bounded. It is not
// done where the outside has been asked and has said nothing yet.
func (c *chain) follow() (answer Answer, done bool) {
	for {
		result := c.network.Lookup(c.name(), c.query.Type)
		c.trace.lookup(c.name(), c.query.Type, result)
		pending := false
		if target, is := c.translated(result); is {
			answer, done = c.step(target)
		} else if result.Kind == zones.Copied {
			answer, done, pending = c.fromCopy(result)
		} else if result.Owned() {
			answer, done = c.owned(result)
		} else {
			answer, done, pending = c.fromOutside()
		}
		if done || pending {
			return answer, done
		}
	}
}

// fromOutside asks the outside about the name where the chain has come to, unless a policy
// decides about it. It is pending where the outside has said nothing yet.
func (c *chain) fromOutside() (answer Answer, done, pending bool) {
	if match, is := c.screened(c.name()); is {
		answer, done = c.obey(match)
		return answer, done, false
	}
	if answer, done = c.unasked(); done {
		return answer, true, false
	}
	if c.ask() {
		return Answer{}, false, true
	}
	answer, done = c.heard()
	return answer, done, false
}

// name is where the chain has come to.
func (c *chain) name() zones.Name { return c.names[len(c.names)-1] }

// owned takes what the network's table says. It is done unless that is an alias.
func (c *chain) owned(result zones.Result) (Answer, bool) {
	c.local, c.last, c.suffix = true, Reply{}, zones.Name{}
	c.standsFor(result.Owner)
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
	c.locally(&answer)
	return answer, true
}

// standsFor takes note of the name that matched, if it is not the asked one.
func (c *chain) standsFor(owner zones.Name) {
	if len(c.names) == 1 && owner != c.query.Name {
		c.owner = owner
	}
}

// locally completes an answer that ends in what is held here.
func (c *chain) locally(answer *Answer) {
	answer.Records, answer.Authoritative = c.records, !c.outside
	if c.proofs != nil {
		answer.Authority = joined(answer.Authority, c.proofs)
	}
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

// unasked is the answer where the outside is not to be asked about the name where the
// chain has come to; else it finds the way to ask.
func (c *chain) unasked() (answer Answer, done bool) {
	if !c.query.RecursionDesired {
		return c.undesired(), true
	}
	if !forwardable(c.query.Type) {
		why := Error{dns.ExtendedErrorCodeInvalidQueryType, "this type is no question for the outside"}
		return Answer{Rcode: dns.RcodeNotImplemented, Errors: []Error{why}}, true
	}
	if c.asks++; c.asks > maxAsks {
		return failed(dns.ExtendedErrorCodeOther, fmt.Sprintf("the CNAME chain has to be asked for more than %d times", maxAsks)), true
	}
	route, found := c.routes.to(c.name())
	if !found {
		c.trace.add("upstream", "no forward entry covers %s", c.name())
		return refused(dns.ExtendedErrorCodeNotSupported, "nothing is forwarded for this name"), true
	}
	c.asked, c.route = c.query.Question, route
	c.asked.Name = c.name()
	if c.query.Type == dns.TypeANY {
		c.asked.Type = dns.TypeA // see minimal
	}
	c.outside, c.suffix = true, route.Suffix
	return Answer{}, false
}

// undesired answers a query without RD that would have to be asked outside: with
// what is known here, else not at all. The cache is not looked into, so that it
// tells nobody what others asked.
func (c *chain) undesired() Answer {
	c.trace.add("upstream", "not asked: the query does not desire recursion")
	if len(c.records) > 0 {
		var answer Answer
		c.locally(&answer)
		return answer
	}
	return refused(dns.ExtendedErrorCodeNotAuthoritative, "recursion was not desired, and the name is not ours")
}

// ask asks outside, and tells whether the reply is yet to come.
func (c *chain) ask() (pending bool) {
	if c.deadline.IsZero() { // the one deadline begins here: all before took no time
		c.deadline = time.Now().Add(spread(c.snapshot.deadline))
	}
	turn := c.turn.Add(1)
	told := func(reply Reply, err error) { c.told(turn, reply, err) }
	reply, pending, err := c.route.To.Start(c.asked, c.asker(), c.deadline, told)
	if !pending && c.turn.CompareAndSwap(turn, turn+1) {
		c.reply, c.err = reply, err
	}
	return pending
}

// spread is the time that a query has of the time for all.
func spread(whole time.Duration) time.Duration { return whole - rand.N(whole/deadlineSpread+1) }

// told takes what the outside said at a turn, once, and wakes whoever waits for it.
func (c *chain) told(turn uint64, reply Reply, err error) {
	if c.turn.CompareAndSwap(turn, turn+1) {
		c.reply, c.err = reply, err
		c.wake()
	}
}

// heard goes on with what the outside said.
func (c *chain) heard() (Answer, bool) {
	c.reply.Group = c.route.Group
	if c.err == nil {
		c.reply, c.err = c.reply.Packed(c.asked)
	}
	c.last = c.reply
	c.once = c.once || c.err != nil || c.reply.Source != FromCache
	c.trace.exchange(c.route, c.asked, c.reply, c.err)
	switch {
	case c.query.AtOnce && errors.Is(c.err, ErrUnknown):
		return Answer{Waits: true}, true
	case c.err != nil:
		return failure(c.route.Group, c.err), true
	}
	if c.query.Type == dns.TypeANY {
		if match, is := c.screenedAddresses(c.reply); is {
			return c.obey(match)
		}
		return c.minimal(), true
	}
	return c.splice(c.route, c.reply)
}

// siteBits is the length of the prefixes of IPv6 that count as one client: a site has as
// many addresses as it likes in it.
const siteBits = 56

// asker is on whose behalf the outside is asked.
func (c *chain) asker() Asker {
	client := c.query.Client.Prefix()
	if client.Addr().Is6() && client.Bits() > siteBits {
		client = netip.PrefixFrom(client.Addr(), siteBits).Masked()
	}
	return Asker{Network: c.network.Name(), Client: client, AtOnce: c.query.AtOnce, Worker: c.query.Worker}
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
