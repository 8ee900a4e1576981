package listen

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"pldns/resolver"
	"pldns/resolver/wire"
	"pldns/zones"
)

// Tap observes single queries and what became of them. Its methods are called by many
// goroutines at once, by those who answer, and must not wait for anything.
type Tap interface {
	// Wants says of which queries more is to be told. It is asked by [Server.SetTap].
	Wants() Wants
	// Exchanged is told of every query that was decided, and of every one that was
	// refused with a reply, when that is ready to be sent. What is answered from the reply
	// cache, which is nearly all, it is told of as Wants says. What is met with silence,
	// and what the program asks itself, nobody is told of. Nothing in e may be kept or
	// changed after it returns, but Query and Answer, which are values.
	Exchanged(e *Exchange)
}

// Wants says what a [Tap] is told beyond what is decided anyway. Both are samples: one
// query in so many, 1 for all and 0 for none.
type Wants struct {
	// Anew is the sample of queries that are decided although their reply is in the reply
	// cache, so that Answer says all of why. To decide a query costs several times as much
	// as to give a reply again.
	Anew uint32
	// Remembered is the sample of which also those are told of that are answered from the
	// reply cache. It costs hardly more than what the tap makes of them.
	Remembered uint32
}

// Or is what serves both who wants w and who wants other.
func (w Wants) Or(other Wants) Wants {
	return Wants{Anew: larger(w.Anew, other.Anew), Remembered: larger(w.Remembered, other.Remembered)}
}

// larger is the sample that holds the other.
func larger(a, b uint32) uint32 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Exchange is one query and what became of it.
type Exchange struct {
	Transport string         // a [resolver.Transport]
	From      netip.AddrPort // who sent the query; port 0 if a PROXY header names it
	Began     time.Time      // when it was read
	Took      time.Duration  // until its reply was ready
	// Why is Accepted if Answer says what was replied, or why it was refused.
	Why Refusal
	// Remembered says that the reply is from the reply cache. Then Name alone gives the
	// name, and Answer says no more than Network, Rcode, Source and Verdict.
	Remembered bool
	// Question is the question section as it came: name, type and class. It is empty if the
	// query was refused before that was read.
	Question []byte
	// Query is what was asked, as far as that was read; Query.Client is who asked, and at
	// which listener.
	Query resolver.Query
	// Answer is what was decided. Network, Rcode and Source are set whatever became of the
	// query: Network is that of the client, Rcode that of the reply.
	Answer  resolver.Answer
	Request []byte // as it came; nil unless the query is drawn for one of the samples wanted
	Reply   []byte // as it is sent, or would be if a policy did not drop the query
	lot     uint32
}

// Name is the name that was asked for; zero if none was read.
func (e *Exchange) Name() zones.Name {
	if !e.Query.Name.IsZero() || len(e.Question) == 0 {
		return e.Query.Name
	}
	name, _ := wire.Name(e.Question, 0)
	return name
}

// Drawn tells whether e belongs to a sample of one query in so many; 0 draws none. It
// says the same for everybody who asks, and a smaller sample is part of a larger one.
func (e *Exchange) Drawn(oneIn uint32) bool { return drawn(e.lot, oneIn) }

// drawn compares in 64 bits: a lot is below 2^32, so all of them are one in one.
func drawn(lot, oneIn uint32) bool { return oneIn > 0 && uint64(lot)*uint64(oneIn) < 1<<32 }

// tapped is a Tap and what it wants.
type tapped struct {
	to    Tap
	wants Wants
}

// SetTap says who is told of single queries, nil for nobody, from the next query on. Who
// wants something else than before is set again.
func (s *Server) SetTap(tap Tap) {
	if tap == nil {
		s.tap.Store(nil)
		return
	}
	s.tap.Store(&tapped{tap, tap.Wants()})
}

// sample is what a tap is told of a query, as far as it is known on reading.
type sample struct {
	tap        *tapped // nil for nobody
	anew       bool    // the query is to be decided, although its reply is remembered
	remembered bool    // the tap is told of it, although its reply is remembered
	lot        uint32
	from       netip.AddrPort
}

// begin notes the tap of the moment, if there is one, what it wants to know of q, and who
// has sent that: what a proxy says of its client has been read, a client subnet has not.
func (p *sample) begin(tap *tapped, q *query) {
	p.tap, p.anew, p.remembered = tap, false, false
	if tap == nil {
		return
	}
	p.lot = rand.Uint32()
	p.anew, p.remembered = drawn(p.lot, tap.wants.Anew), drawn(p.lot, tap.wants.Remembered)
	p.from = netip.AddrPortFrom(q.client.Addr, 0)
	if q.client.Addr == q.peer.Addr().Unmap().WithZone("") {
		p.from = netip.AddrPortFrom(q.client.Addr, q.peer.Port())
	}
}

// tell counts what became of q, and tells its tap. What was remembered is counted
// elsewhere, many at a time. Details are for the log, if it was refused.
func (s *Server) tell(q *query, x *scratch, r *request, e Exchange, details ...any) {
	defer s.survive(q.transport)
	e.Took = time.Since(q.began)
	switch {
	case e.Remembered:
	case e.Why == Accepted:
		s.tally(q, &e.Answer, false).Add(1, e.Took)
	default:
		s.refused(q.transport, e.Why, q.peer, details...)
	}
	p := &q.sample
	if p.tap == nil {
		return
	}
	e.Transport, e.From, e.Began, e.Question, e.Query, e.lot = q.transport, p.from, q.began, r.question, q.asked, p.lot
	if p.anew || p.remembered {
		e.Request = q.message
	}
	x.exchange = e // what a tap is given would be garbage otherwise
	p.tap.to.Exchanged(&x.exchange)
	x.exchange = Exchange{}
}

// survive ends a panic of those who are told of queries, so that it costs nobody a reply.
func (s *Server) survive(transport string) {
	if fault := recover(); fault != nil {
		s.panicked(transport, fault)
	}
}
