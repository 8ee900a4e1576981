package upstream

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"pldns/resolver"
	"pldns/resolver/upstream/share"
)

const (
	// maxAttempts is how often one server is asked for one question (RFC 9520
	// section 3.1).
	maxAttempts = 3
	// maxPatience is how long a server is waited for before another attempt begins.
	// Three of them fit into the deadline of a query.
	maxPatience = 800 * time.Millisecond
	// retryPause is how long a server is left alone before it is asked again.
	retryPause = 200 * time.Millisecond
	// busyPause is how long to wait for room for one more query.
	busyPause = 50 * time.Millisecond
	// maxMargin is what is left of the caller's time when a question is given up, so
	// that what was learnt still reaches the client.
	maxMargin = 50 * time.Millisecond
	// hedgeUnknown is when to ask another server as long as it is not known how
	// long this one usually takes, and hedgeLeast is when at the earliest.
	hedgeUnknown = 300 * time.Millisecond
	hedgeLeast   = 5 * time.Millisecond
)

// candidate is a server that may be asked for a question.
type candidate struct {
	*server
	attempts int
	notYet   time.Time // it is not asked again before
	out      bool      // it had its say
}

// exchange is one question that is put to the group: attempts that begin one after
// another and go on until one of them brings an answer. An attempt is never broken
// off because the next one begins, so a slow server still counts. What moves it are
// events: a reply, an end of a connection, its alarm. Whoever brings one does the
// work, so that a question takes neither a goroutine nor a timer.
type exchange struct {
	pool     *Pool
	question resolver.Question
	done     func(resolver.Reply, error)
	alarm    alarm
	slot     share.Slot // in the queue of the group, and then of what is in flight
	owed     bool       // Run waits for it
	entered  bool       // it was let in
	probe    bool       // it asks how one server is, once

	mu          sync.Mutex
	began, ends time.Time
	patience    time.Duration // how long one attempt is waited for
	nextAttempt time.Time
	candidates  []candidate
	attempts    []*attempt
	refused     *resolver.Reply // the last reply that said no more than that it failed
	failures    []*Failure
	starting    bool // Start has not returned
	queued      bool // it waits for its turn to be sent
	over        bool // it has ended
	told        bool // and the asker was told, or is being told
	kept        bool // something may still refer to it

	reply resolver.Reply // what came of it
	err   error

	only    [1]candidate // in most cases there is room here
	started [maxAttempts]*attempt
	first   attempt
}

// newExchange makes an exchange that has not begun.
func (p *Pool) newExchange(q resolver.Question, now, deadline time.Time, done func(resolver.Reply, error)) *exchange {
	x, _ := p.exchanges.Get().(*exchange)
	if x == nil {
		x = new(exchange)
	}
	x.pool, x.question, x.done, x.began = p, q, done, now
	x.alarm.rings, x.owed = x, p.owes()
	x.ends, x.patience = p.times(now, deadline)
	x.attempts = x.started[:0]
	return x
}

// among says which servers may be asked, in which order.
func (x *exchange) among(servers []*server) {
	x.candidates = x.only[:0]
	for _, s := range servers {
		x.candidates = append(x.candidates, candidate{server: s})
	}
}

// times are when a question that was begun at some time is given up, if its asker
// gives up at a deadline (zero for never), and how long one attempt is waited for.
func (p *Pool) times(began, askers time.Time) (ends time.Time, patience time.Duration) {
	ends = began.Add(p.config.Timeout)
	if !askers.IsZero() {
		margin := min(maxMargin, askers.Sub(began)/20)
		if askers = askers.Add(-margin); askers.Before(ends) {
			ends = askers
		}
	}
	return ends, min(p.patience, ends.Sub(began)/maxAttempts)
}

// The following are the events. Each ends in release.

// begin starts the first attempt. If that ends the exchange, nobody is told but
// whoever called.
func (x *exchange) begin(now time.Time) (ended bool) {
	defer x.release()
	x.mu.Lock()
	x.queued = false
	if !x.over {
		if !x.probe {
			x.pool.hedges.earn()
		}
		x.proceed(now)
	}
	x.starting = false
	ended = x.over && !x.told
	x.told = x.told || ended
	return ended
}

// heard takes what came of a query.
func (x *exchange) heard(p *pendingQuery, r reading) {
	defer x.release()
	x.mu.Lock()
	a := p.attempt
	if x.over || a.pending != p {
		return
	}
	now := time.Now()
	x.take(a, r, now)
	x.proceed(now)
}

// ring is what happens when time has passed.
func (x *exchange) ring(now time.Time) {
	defer x.release()
	x.mu.Lock()
	switch {
	case x.over:
		return
	case x.queued:
		if x.pool.queue.Leave(&x.slot) {
			x.finish(resolver.Reply{}, x.pool.shed(x.question))
		}
		return
	}
	x.settleForDoubts(now)
	x.overdue(now)
	x.proceed(now)
}

// GiveWay ends the exchange because others need its place.
func (x *exchange) GiveWay() {
	defer x.release()
	x.mu.Lock()
	x.kept = true // whoever calls may still look at it
	if !x.over {
		x.finish(resolver.Reply{}, x.pool.shed(x.question))
	}
}

// cancel ends the exchange; nobody is told anything.
func (x *exchange) cancel() {
	defer x.release()
	x.mu.Lock()
	x.kept = true
	if !x.over {
		x.finish(resolver.Reply{}, nil)
		x.told = true
		x.pool.settle(x.owed)
	}
}

// release ends what an event has done, and tells the asker if the exchange ended by
// it. A panic ends this exchange and nothing else.
func (x *exchange) release() {
	if fault := recover(); fault != nil {
		x.pool.panicked(fault, debug.Stack())
		x.kept, x.over, x.starting = true, true, false
		x.reply, x.err = resolver.Reply{}, errFault
	}
	tell := x.over && !x.told && !x.starting
	x.told = x.told || tell
	x.mu.Unlock()
	if tell {
		x.tell()
	}
}

// errFault is what is said about a question that met a fault of this program.
var errFault = errors.New("a fault of this program ended the question: see the log and report it")

// tell tells the asker what came of the question.
func (x *exchange) tell() {
	p, done, owed := x.pool, x.done, x.owed
	reply, err := x.leave()
	defer func() {
		if fault := recover(); fault != nil {
			p.panicked(fault, debug.Stack())
		}
		p.settle(owed)
	}()
	done(reply, err)
}

// leave gives back the place of an exchange that has ended, and gives its outcome.
// Nobody may refer to it from then on.
func (x *exchange) leave() (resolver.Reply, error) {
	p, reply, err := x.pool, x.reply, x.err
	held := p.inFlight.Leave(&x.slot)
	if x.entered {
		p.config.Observer.UpstreamQuestions(p.config.Name, -1)
	}
	if (held || x.probe) && !x.kept {
		*x = exchange{}
		p.exchanges.Put(x)
	}
	return reply, err
}

// finish ends the exchange with an outcome, and gives up what is still pending.
func (x *exchange) finish(reply resolver.Reply, err error) {
	x.over, x.reply, x.err = true, reply, err
	if x.alarm.rings != nil && !x.pool.timers.stop(&x.alarm) {
		x.kept = true // it rings just now
	}
	for _, a := range x.attempts {
		if !a.settled {
			x.ended(a)
			x.kept = !a.withdraw() || x.kept
		}
	}
	x.kept = x.kept || len(x.attempts) > 1
}

// ended counts a query that is no longer waited for.
func (x *exchange) ended(a *attempt) {
	a.settled = true
	x.pool.ended(a.server)
	if a.extra {
		x.pool.extra.Add(-1)
	}
}

// proceed begins attempts if it is time, and sets the alarm to the next event that
// only time brings. When nothing can come any more, it ends the exchange.
func (x *exchange) proceed(now time.Time) {
	if x.over {
		return
	}
	if !now.Before(x.ends) {
		x.giveUp(true)
		return
	}
	next, at := x.next()
	for next != nil && !at.After(now) && x.attempt(next, now) {
		next, at = x.next()
	}
	wake, more := x.ends, next != nil
	for _, a := range x.attempts {
		if a.settled {
			continue
		}
		more = true
		if until := a.began.Add(x.patience); !a.late && until.Before(wake) {
			wake = until
		}
		if listen := a.pending.listen; listen.After(now) && listen.Before(wake) {
			wake = listen
		}
	}
	if !more {
		x.giveUp(false)
		return
	}
	if next != nil {
		if at = x.nextAt(next); at.Before(wake) {
			wake = at
		}
	}
	x.pool.timers.set(&x.alarm, wake)
}

// next is the server to ask next, and when: the first of those that were asked
// least often.
func (x *exchange) next() (*candidate, time.Time) {
	limit := maxAttempts
	if x.probe {
		limit = 1
	}
	var next *candidate
	for i := range x.candidates {
		c := &x.candidates[i]
		if !c.out && c.attempts < limit && (next == nil || c.attempts < next.attempts) {
			next = c
		}
	}
	if next == nil {
		return nil, time.Time{}
	}
	return next, x.nextAt(next)
}

func (x *exchange) nextAt(c *candidate) time.Time {
	if c.notYet.Before(x.nextAttempt) {
		return x.nextAttempt
	}
	return c.notYet
}

// attempt begins an attempt, or puts it off if there is no room for it: then it is
// false.
func (x *exchange) attempt(to *candidate, now time.Time) bool {
	why, ok := x.permit(now)
	if !ok {
		return false
	}
	a := &x.first
	if len(x.attempts) > 0 {
		a = new(attempt)
	}
	a.exchange, a.server, a.candidate, a.began, a.extra = x, to.server, to, now, len(x.attempts) > 0
	a.usual, a.options = to.usual(x.patience), to.options(x.question, now)
	to.attempts++
	to.notYet = now.Add(min(retryPause, x.patience))
	x.attempts = append(x.attempts, a)
	x.nextAttempt = now.Add(a.usual)
	x.pool.sent(to.server, why)
	if err := a.send(now); err != nil {
		x.take(a, reading{err: err}, now)
	}
	return true
}

// usual is within what time a server usually answers, as far as it is waited for.
func (s *server) usual(patience time.Duration) time.Duration {
	within, known := s.health.usual()
	if !known {
		within = hedgeUnknown
	}
	return min(max(within, hedgeLeast), patience)
}

// permit tells whether another query may be sent now, and why it is. The first
// always may, as the question was let in. Another one needs room; if nothing has
// failed yet it is a hedge, and needs to have been earned.
func (x *exchange) permit(now time.Time) (why Why, ok bool) {
	if len(x.attempts) == 0 {
		if x.probe {
			return Probe, true
		}
		return First, true
	}
	why = Hedge
	patient := now.Add(hedgeLeast) // when a server has been waited for long enough
	for _, a := range x.attempts {
		if a.settled || a.late {
			why = Retry
		} else if until := a.began.Add(x.patience); until.After(patient) {
			patient = until
		}
	}
	if why == Hedge && !x.pool.hedges.spend() {
		x.nextAttempt = patient
		return why, false
	}
	if x.pool.extra.Add(1) > int64(x.pool.config.MaxInFlight) {
		x.pool.extra.Add(-1)
		x.nextAttempt = now.Add(busyPause)
		return why, false
	}
	if q := x.pool.queue; q != nil && !q.Take(now) {
		x.pool.extra.Add(-1)
		x.nextAttempt = now.Add(busyPause)
		return why, false
	}
	return why, true
}

// settleForDoubts takes doubtful replies for what they are worth, where a better one
// was waited for long enough.
func (x *exchange) settleForDoubts(now time.Time) {
	for _, a := range x.attempts {
		p := a.pending
		if a.settled || x.over || p.listen.IsZero() || now.Before(p.listen) {
			continue
		}
		if r, did := p.over.settleFor(p); did {
			x.take(a, r, now)
		}
	}
}

// overdue counts the attempts that were waited for long enough.
func (x *exchange) overdue(now time.Time) {
	for _, a := range x.attempts {
		if !a.settled && !a.late && now.Sub(a.began) >= x.patience {
			a.late = true
			x.blame(a.server, a.server.silent, now)
		}
	}
}

// take takes what came of a query of an attempt. It may end the attempt, and with it
// the exchange.
func (x *exchange) take(a *attempt, r reading, now time.Time) {
	r, ended := a.goOn(r, now)
	if !ended {
		return
	}
	x.ended(a)
	if r.err == errFault {
		x.finish(resolver.Reply{}, errFault)
		return
	}
	if !a.late {
		x.nextAttempt = time.Time{} // the next one may begin at once
	}
	reply, failure := a.server.reply(x.question, r)
	if failure != nil {
		if !a.late || failure.Reason != TimedOut {
			x.blame(a.server, failure, now)
		}
		// What is surely the server's own reply is no better the next time.
		a.candidate.out = failure.Reason == Lame || failure.Reason == Malformed && (a.stream || a.server.Transport != Plain)
		return
	}
	a.server.learned.show(malformed, now)
	took := now.Sub(a.began)
	x.pool.answered(a.server, reply, took)
	if failing(reply.Rcode) {
		last := reply
		x.refused, a.refused, a.candidate.out = &last, true, true
		return
	}
	x.won(a, now, took)
	x.finish(reply, nil)
}

// won credits the server that answered, and tells what that says of the others:
// who refused or failed could have answered, and who was asked before and takes
// longer than usual was overtaken. Only then do these count against a server: a
// question that nobody can answer says nothing about who was asked.
func (x *exchange) won(winner *attempt, now time.Time, took time.Duration) {
	if x.probe {
		return
	}
	p := x.pool
	if winner.server.health.answered(now, took) {
		p.rose(winner.server)
	}
	for _, a := range x.attempts {
		s := a.server
		switch elapsed := now.Sub(a.began); {
		case s == winner.server:
		case a.refused && s.health.failed(now, x.question):
			p.dropped(s, "it refuses or fails what others answer")
		case !a.settled && !a.late && elapsed >= a.usual && a.began.Before(winner.began) &&
			s.health.overtaken(now, elapsed, x.question):
			p.dropped(s, "it takes far longer than usual")
		}
	}
}

// blame notes a failure of a server. A reply that cannot be read counts against its
// health only if those for several unrelated names cannot: else it is the name.
func (x *exchange) blame(s *server, f *Failure, now time.Time) {
	x.failures = append(x.failures, f)
	x.pool.config.Observer.UpstreamFailed(x.pool.config.Name, s.Text, f.Reason)
	if x.probe || f.Reason == Malformed && !s.learned.agree(malformed, x.question, now) {
		return
	}
	if s.health.failed(now, x.question) {
		x.pool.dropped(s, f.Error())
	}
}

// giveUp is the end of an exchange that nobody won.
func (x *exchange) giveUp(late bool) {
	if x.refused != nil {
		x.finish(*x.refused, nil)
		return
	}
	name := x.pool.config.Name
	if late && len(x.attempts) == 0 {
		x.finish(resolver.Reply{}, fmt.Errorf("ask upstream %s about %s: its time was over before it was sent", name, x.question.Name))
		return
	}
	now := time.Now()
	for _, a := range x.attempts {
		if !a.settled && !a.late {
			x.blame(a.server, a.server.silent, now)
		}
	}
	failures := slices.Clip(x.failures)
	if len(x.candidates) == 0 {
		for _, s := range x.pool.servers {
			failures = append(failures, &Failure{Server: s.Text, Reason: Looping})
		}
	}
	x.finish(resolver.Reply{}, &Error{Group: name, Failures: failures})
}
