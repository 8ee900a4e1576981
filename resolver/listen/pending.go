package listen

import (
	"context"
	"hash/maphash"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/upstream/share"
)

const (
	// usualWait is within which the outside answers as a rule. A query that waits
	// longer gives way before others do.
	usualWait = 300 * time.Millisecond
	// guardInterval is how often it is looked for queries whose time is up, and
	// guardSweep is which of these looks is at all of them: as a rule the oldest are
	// the first whose time is up.
	guardInterval = 25 * time.Millisecond
	guardSweep    = 40
)

// errStopping ends the queries that are pending when the server has to stop.
type errStopping struct{}

func (errStopping) Error() string    { return "the server is stopping" }
func (errStopping) InfoCode() uint16 { return dns.ExtendedErrorCodeNotReady }

// The states of a query that the Handler decides. Whoever changes the state from
// waiting is the only one to go on with the query.
const (
	isRunning uint32 = iota // somebody works on it
	isWoken                 // and the Handler can go on
	isWaiting               // for the outside
	isLost                  // somebody works on it, and its place is gone
	isOver                  // it is answered
)

// wait is the part of a query that waits for the outside. It takes no goroutine and no
// timer.
type wait struct {
	state    atomic.Uint32
	wake     func() // is q.awake, made once
	server   *Server
	pending  resolver.Pending
	deadline time.Time
	question []byte // of the request, which is not a part of the message any more
	control  []byte // of the reply, which is not a part of the packet any more

	slot       share.Slot
	next, prev *query
	pulse      *pulse
}

// begin readies q for the Handler.
func (w *wait) begin(s *Server, q *query) {
	w.state.Store(isRunning)
	if w.wake == nil {
		w.server, w.wake = s, q.awake
	}
}

// awake is called when the Handler can go on with q.
func (q *query) awake() {
	for {
		switch q.wait.state.Load() {
		case isWaiting:
			if q.wait.state.CompareAndSwap(isWaiting, isWoken) {
				q.wait.server.resume(q)
				return
			}
		case isRunning:
			if q.wait.state.CompareAndSwap(isRunning, isWoken) {
				return
			}
		default:
			return
		}
	}
}

// GiveWay is called when others need the place of q more.
func (q *query) GiveWay() {
	for {
		switch state := q.wait.state.Load(); state {
		case isWaiting:
			if q.wait.state.CompareAndSwap(isWaiting, isOver) {
				s := q.wait.server
				s.conclude(q, func(x *scratch) outcome { return s.refuse(q, x, &q.request, Shed) })
				return
			}
		case isRunning, isWoken:
			if q.wait.state.CompareAndSwap(state, isLost) {
				return
			}
		default:
			return
		}
	}
}

// park lets q wait for the outside, in a place among those that do. Private names and
// what is cached never come here, so they never need one.
func (s *Server) park(q *query, x *scratch, r *request, pending resolver.Pending) (out outcome) {
	q.wait.pending, q.wait.deadline = pending, pending.Deadline()
	network := x.memory.name()
	x.memory.key = nil // what was waited for is never remembered
	q.keep(r)
	if !s.pendings(q).enter(q, network, s.limits.Load().prefixes.of(q.client.Addr, int(q.client.Bits))) {
		out = s.refuse(q, x, r, Shed)
		out.taken = true
		return out
	}
	s.work.Add(1)
	defer func() {
		if !out.waits {
			out.taken = !s.leave(q) || out.taken
			s.work.Done()
		}
	}()
	return s.settle(q, x)
}

// settle has q wait, unless it was woken or has lost its place meanwhile.
func (s *Server) settle(q *query, x *scratch) outcome {
	for !q.wait.state.CompareAndSwap(isRunning, isWaiting) {
		if q.wait.state.Swap(isRunning) == isLost {
			q.wait.state.Store(isOver)
			out := s.refuse(q, x, &q.request, Shed)
			out.taken = true
			return out
		}
		answer, pending := q.wait.pending.Resume()
		if pending == nil {
			q.wait.state.Store(isOver)
			q.wait.pending = nil
			return s.finish(q, x, &q.request, answer)
		}
		q.wait.pending = pending
	}
	return outcome{waits: true, taken: true}
}

// resume goes on with a query that waited, on behalf of whoever learnt what it waited
// for. A fault of this program costs this query and no other.
func (s *Server) resume(q *query) {
	x := s.scratches.Get().(*scratch)
	out := s.resumed(q, x)
	if !out.waits {
		s.deliver(q, x, out)
	}
	x.tidy()
	s.scratches.Put(x)
}

func (s *Server) resumed(q *query, x *scratch) (out outcome) {
	defer func() {
		if fault := recover(); fault != nil {
			q.wait.state.Store(isOver)
			out = s.refuse(q, x, &q.request, Panicked, "panic", fault, "stack", string(debug.Stack()), "name", q.request.name, "type", q.request.kind)
			out.taken = true
		}
	}()
	return s.settle(q, x)
}

// conclude answers a query that has waited for long enough. Its state is over.
func (s *Server) conclude(q *query, how func(x *scratch) outcome) {
	x := s.scratches.Get().(*scratch)
	out := func() (out outcome) {
		defer func() {
			if fault := recover(); fault != nil {
				out = s.refuse(q, x, &q.request, Panicked, "panic", fault, "stack", string(debug.Stack()))
			}
		}()
		return how(x)
	}()
	out.taken = true // the outside may speak yet
	s.deliver(q, x, out)
	x.tidy()
	s.scratches.Put(x)
}

// deliver is the end of a query that was pending.
func (s *Server) deliver(q *query, x *scratch, out outcome) {
	defer s.work.Done()
	held := s.leave(q)
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(q.transport, fault)
		}
	}()
	q.to.deliver(q, out.reply)
	s.told(q, x, out.reply)
	if held && !out.taken {
		s.queries.Put(q)
	}
}

// keep makes q independent of the message that r was read from.
func (q *query) keep(r *request) {
	q.wait.question = append(q.wait.question[:0], r.question...)
	q.request = *r
	q.request.question, q.request.options, q.request.tsig, q.request.subnet.data = q.wait.question, nil, nil, nil
	if q.control != nil {
		q.wait.control = append(q.wait.control[:0], q.control...)
		q.control = q.wait.control
	}
}

// pendings are those that q is among. Who shows its address, over a stream, never gives
// way to addresses that may be forged.
func (s *Server) pendings(q *query) *pendings {
	if q.stream {
		return s.streams
	}
	return s.datagrams
}

func (s *Server) leave(q *query) (held bool) { return s.pendings(q).leave(q) }

// pendings are the queries that wait for the outside, over UDP or over streams. There
// is room for so many; how it is shared out, package share says.
type pendings struct {
	quota *share.Quota
	count atomic.Int64
	seed  maphash.Seed

	mu         sync.Mutex
	head, tail *query // in the order in which they came
	pulses     map[uint64]*pulse
}

// pulse is what one answer may release at one time: the queries of clients that count
// as one for the same question.
type pulse struct {
	key        uint64
	held, most int
}

func newPendings(limit int) *pendings {
	return &pendings{quota: share.NewQuota(limit), seed: maphash.MakeSeed(), pulses: make(map[uint64]*pulse)}
}

// enter takes q in, for the addresses of a network that count as one client; false if
// there is no room for it.
func (p *pendings) enter(q *query, network string, client netip.Prefix) bool {
	key := maphash.Comparable(p.seed, struct {
		client   netip.Prefix
		question resolver.Question
	}{client, q.asked.Question})
	p.count.Add(1)
	p.mu.Lock()
	if q.wait.prev = p.tail; p.tail != nil {
		p.tail.wait.next = q
	} else {
		p.head = q
	}
	p.tail = q
	at := p.pulses[key]
	if at == nil {
		at = &pulse{key: key}
		p.pulses[key] = at
	}
	at.held++
	at.most = max(at.most, at.held)
	q.wait.pulse = at
	p.mu.Unlock()
	if !p.quota.Enter(&q.wait.slot, share.Key{Network: network, Client: client, Name: q.asked.Name}, q.began, usualWait, q) {
		p.leave(q)
		return false
	}
	return true
}

// leave is the end of q; false if its place was taken away.
func (p *pendings) leave(q *query) (held bool) {
	p.count.Add(-1)
	p.mu.Lock()
	w := &q.wait
	if w.prev == nil {
		p.head = w.next
	} else {
		w.prev.wait.next = w.next
	}
	if w.next == nil {
		p.tail = w.prev
	} else {
		w.next.wait.prev = w.prev
	}
	w.prev, w.next = nil, nil
	if w.pulse.held--; w.pulse.held == 0 {
		delete(p.pulses, w.pulse.key)
	}
	w.pulse = nil
	p.mu.Unlock()
	return p.quota.Leave(&w.slot)
}

// together is how many queries one answer has to do with that q waits for.
func (p *pendings) together(q *query) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return q.wait.pulse.most
}

// due gives the queries whose time is up: all of them, or those in front.
func (p *pendings) due(now time.Time, all bool) (due []*query) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for q := p.head; q != nil; q = q.wait.next {
		late := !q.wait.deadline.IsZero() && !now.Before(q.wait.deadline)
		if late {
			due = append(due, q)
		} else if !all {
			break
		}
	}
	return due
}

// all gives every query.
func (p *pendings) all() (all []*query) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for q := p.head; q != nil; q = q.wait.next {
		all = append(all, q)
	}
	return all
}

// guard sees to it that every query is answered by its deadline, whatever the Handler
// and the outside do, until ctx ends. One clock is enough for all.
func (s *Server) guard(ctx context.Context) {
	never := time.Now().AddDate(100, 0, 0) // later than every deadline
	ticker := time.NewTicker(guardInterval)
	defer ticker.Stop()
	for round := 1; ; round++ {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for _, p := range []*pendings{s.datagrams, s.streams} {
				if s.abandoned.Load() {
					s.giveUp(p.all(), never, errStopping{})
				} else {
					s.giveUp(p.due(now, round%guardSweep == 0), now, context.DeadlineExceeded)
				}
			}
		}
	}
}

// giveUp answers those queries for which nobody waits any longer. One that is being
// worked on at this moment is left to the next time.
func (s *Server) giveUp(queries []*query, by time.Time, reason error) {
	for _, q := range queries {
		if !q.wait.state.CompareAndSwap(isWaiting, isRunning) {
			continue
		}
		if by.Before(q.wait.deadline) { // it has been answered, and this is another
			s.unclaim(q)
			continue
		}
		q.wait.state.Store(isOver)
		s.conclude(q, func(x *scratch) outcome { return s.finish(q, x, &q.request, q.wait.pending.GiveUp(reason)) })
	}
}

// unclaim has a query wait again.
func (s *Server) unclaim(q *query) {
	if !q.wait.state.CompareAndSwap(isRunning, isWaiting) {
		s.resume(q)
	}
}
