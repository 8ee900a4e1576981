package resolver

import (
	"context"
	"time"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Pending is a query whose answer needs something of the outside that has not come
// yet. It holds no goroutine and no timer. One call of its methods may be under way at
// a time, and none after one of them has given an answer.
type Pending interface {
	// Resume goes on, when the pending query has been woken: to the answer, or to the
	// next thing that has to be waited for, and then it gives a Pending as Begin does.
	Resume() (Answer, Pending)
	// GiveUp is the answer if nobody waits any longer, for the reason given. What the
	// outside says after that wakes nobody.
	GiveUp(reason error) Answer
}

// Begin decides q for a client of the network, nil for one that belongs to none. It
// gives the answer, unless that has to be waited for: then it gives what waits. Wake is
// called each time there is something to [Pending.Resume] with, by whoever learnt it,
// maybe before Begin has returned; it must not wait for anything, and should resume. The
// last time is at the deadline of the query at the latest, which the outside keeps. The
// network is one of the table of s.
func (s *Snapshot) Begin(q Query, network *zones.Network, wake func()) (Answer, Pending) {
	return s.begin(q, network, time.Time{}, nil, wake)
}

// begin walks the stages in their order: who asks, what may be asked at all, and then
// the chain. A question that has gone round is cut here, before all. Nothing about a
// name is looked at before the network is known.
func (s *Snapshot) begin(q Query, network *zones.Network, deadline time.Time, trace *Trace, wake func()) (Answer, Pending) {
	if answer, done := s.unserved(q, network); done {
		answer.Release = s.release
		trace.answer(answer)
		return answer, nil
	}
	once := s.encrypted.concerns(&q) // what is told of the server follows the address that was asked
	if once {
		if answer, known := s.designated(&q, network); known {
			trace.designated(answer)
			return answer, nil
		}
	}
	c := s.chains.Get().(*chain)
	c.walk = walk{
		query: q, snapshot: s, network: network, routes: s.routes[network], trace: trace, wake: wake, deadline: deadline,
		names: append(c.names[:0], q.Name), signed: true, once: once, held: s.heldTo(network),
	}
	return c.result(c.follow())
}

// unserved is the answer to what is not served at all.
func (s *Snapshot) unserved(q Query, network *zones.Network) (answer Answer, done bool) {
	switch {
	case s.loops != nil && s.loops.Caught(q.Name): // whoever brings it: it is our own
		return refused(dns.ExtendedErrorCodeOther, "this question went round in a circle"), true
	case network == nil:
		return refused(dns.ExtendedErrorCodeProhibited, "this client belongs to no network"), true
	case q.Class != dns.ClassINET:
		var known bool
		if answer, known = s.identity.answer(q); !known {
			answer = refused(dns.ExtendedErrorCodeNotSupported, "only class IN is served")
		}
	case q.Type == dns.TypeAXFR || q.Type == dns.TypeIXFR:
		answer = refused(dns.ExtendedErrorCodeNotSupported, "zones are given to listed servers alone")
	default:
		return Answer{}, false
	}
	answer.Network = network.Name()
	return answer, true
}

// Resume goes on with the reply that c was woken for.
func (c *chain) Resume() (Answer, Pending) {
	answer, done := c.heard()
	if !done {
		answer, done = c.follow()
	}
	return c.result(answer, done)
}

// result gives what Begin and Resume give. A chain that is done serves another query.
func (c *chain) result(answer Answer, done bool) (Answer, Pending) {
	if done {
		answer, done = c.synthesized(c.confined(answer))
	}
	if !done {
		return Answer{}, c
	}
	answer = c.finish(answer)
	chains := &c.snapshot.chains
	c.walk = walk{names: c.names}
	chains.Put(c)
	return answer, nil
}

// GiveUp is the answer if nothing more is waited for. The chain is not used again,
// because the outside may still speak.
func (c *chain) GiveUp(reason error) Answer {
	c.turn.Add(1)
	c.last, c.once = Reply{Group: c.route.Group}, true
	c.trace.exchange(c.route, c.asked, Reply{}, reason)
	return c.finish(failure(c.route.Group, reason))
}

// wait is Begin for those who wait: until ctx ends, or the deadline of s. The answer is
// in the form of records.
func (s *Snapshot) wait(ctx context.Context, q Query, trace *Trace) Answer {
	match, found := s.table.NetworkFor(q.Client)
	trace.network(q.Client, match, found)
	ctx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	deadline, _ := ctx.Deadline()
	woken := make(chan struct{}, 1)
	answer, pending := s.begin(q, match.Network, deadline, trace, func() { woken <- struct{}{} })
	for pending != nil {
		select {
		case <-woken:
			answer, pending = pending.Resume()
		case <-ctx.Done():
			return pending.GiveUp(context.Cause(ctx))
		}
	}
	return answer.Unpacked()
}
