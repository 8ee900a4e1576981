package listen

import (
	"bytes"
	"runtime/debug"
	"sync/atomic"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward/share"
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
	question []byte // of the request, which is not a part of the message any more
	control  []byte // of the reply, which is not a part of the packet any more

	among  *pendings // that it is one of
	slot   share.Slot
	before *query // the next of those that were woken
	pulse  *pulse
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
				s.conclude(q, func(q *query, x *scratch) outcome { return s.refuse(q, x, &q.request, Shed) })
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
	q.wait.pending = pending
	x.memory.key = nil // what was waited for is never remembered
	q.keep(r)
	if q.wait.among = s.datagrams; q.stream {
		q.wait.among = s.streams // who shows its address never gives way to addresses that may be forged
	}
	if !q.wait.among.enter(q, s.limits.Load().prefixes.of(q.client.Addr, int(q.client.Bits))) {
		out = s.refuse(q, x, r, Shed)
		out.taken = true
		return out
	}
	q.mail.entered()
	s.work.Add(1)
	defer func() {
		if !out.waits {
			out.taken = !q.leave() || out.taken
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
// for, or has its worker go on with it.
func (s *Server) resume(q *query) {
	if q.mail.post(q) {
		return
	}
	x := s.scratches.Get().(*scratch)
	s.proceed(q, x, s.settle)
	s.scratches.Put(x)
}

// conclude answers a query that has waited for long enough. Its state is over.
func (s *Server) conclude(q *query, how func(q *query, x *scratch) outcome) {
	x := s.scratches.Get().(*scratch)
	s.proceed(q, x, func(q *query, x *scratch) outcome {
		out := how(q, x)
		out.taken = true // the outside may speak yet
		return out
	})
	s.scratches.Put(x)
}

// proceed goes on with a query that waited, and delivers its reply if that is there then. A
// fault of this program costs this query and no other.
func (s *Server) proceed(q *query, x *scratch, how func(q *query, x *scratch) outcome) {
	out := func() (out outcome) {
		defer func() {
			if fault := recover(); fault != nil {
				q.wait.state.Store(isOver)
				out = s.refuse(q, x, &q.request, Panicked, "panic", fault, "stack", string(debug.Stack()))
				out.taken = true
			}
		}()
		return how(q, x)
	}()
	if !out.waits {
		s.deliver(q, x, out)
	}
	x.tidy()
}

// deliver is the end of a query that was pending.
func (s *Server) deliver(q *query, x *scratch, out outcome) {
	defer s.work.Done()
	held := q.leave()
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(q.transport, fault)
		}
	}()
	if to, can := q.to.(shedder); can && out.why == Shed {
		to.shed()
	} else if x.worker == nil || !x.worker.deliver(q, out.reply) {
		q.to.deliver(q, out.reply)
	}
	if held && !out.taken {
		s.queries.Put(q)
	}
}

// keep makes q independent of the message that r was read from.
func (q *query) keep(r *request) {
	q.wait.question = append(q.wait.question[:0], r.question...)
	q.request = *r
	q.request.question, q.request.options, q.request.tsig, q.request.subnet.data = q.wait.question, nil, nil, nil
	if q.sample.anew || q.sample.remembered {
		q.message = bytes.Clone(q.message)
	} else {
		q.message = nil
	}
	if q.control != nil {
		q.wait.control = append(q.wait.control[:0], q.control...)
		q.control = q.wait.control
	}
}

// leave is the end of the waiting of q; false if its place was taken away.
func (q *query) leave() (held bool) {
	q.mail.left()
	return q.wait.among.leave(q)
}

// giveUp answers whatever is pending. What is being worked on at this moment is left to
// the next time.
func (s *Server) giveUp() {
	for _, waiter := range append(s.datagrams.quota.Waiters(), s.streams.quota.Waiters()...) {
		if q := waiter.(*query); q.wait.state.CompareAndSwap(isWaiting, isOver) {
			s.conclude(q, func(q *query, x *scratch) outcome {
				return s.finish(q, x, &q.request, q.wait.pending.GiveUp(errStopping{}))
			})
		}
	}
}
