package forward

import (
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"pldns/resolver"
	"pldns/resolver/forward/share"
	"pldns/resolver/timers"
	"pldns/resolver/udpio"
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
	worker   *udpio.Worker // that begins it, in a batch; nil when that is over
	alarm    timers.Alarm
	slot     share.Slot // in the queue of the group, and then of what is in flight

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
	owed        bool // Run waits for it; this and the following need no lock
	probe       bool // it asks how one server is, once

	reply resolver.Reply // what came of it
	err   error

	only    [1]candidate // in most cases there is room here
	started [maxAttempts]*attempt
	first   attempt
}

// newExchange makes an exchange that has not begun: which servers may be asked, in which
// order; when it is given up, if its asker gives up at a deadline (zero for never); and
// how long one attempt is waited for.
func (p *Pool) newExchange(q resolver.Question, servers []*server, now, deadline time.Time, done func(resolver.Reply, error)) *exchange {
	x, _ := p.exchanges.Get().(*exchange)
	if x == nil {
		x = new(exchange)
	}
	x.pool, x.question, x.done, x.began = p, q, done, now
	x.alarm.Rings, x.owed = x, p.owes()
	x.ends = now.Add(p.config.Timeout)
	if !deadline.IsZero() {
		margin := min(maxMargin, deadline.Sub(now)/20)
		if deadline = deadline.Add(-margin); deadline.Before(x.ends) {
			x.ends = deadline
		}
	}
	x.patience = min(p.patience, x.ends.Sub(now)/maxAttempts)
	x.attempts, x.candidates = x.started[:0], x.only[:0]
	for _, s := range servers {
		x.candidates = append(x.candidates, candidate{server: s})
	}
	return x
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
	x.starting, x.worker = false, nil
	ended = x.over && !x.told
	x.told = x.told || ended
	return ended
}

// heard takes what came of a query.
func (x *exchange) heard(p *pendingQuery, r reading, now time.Time) {
	defer x.release()
	x.mu.Lock()
	a := p.attempt
	if x.over || a.pending != p {
		return
	}
	x.take(a, r, now)
	x.proceed(now)
}

// Ring is what happens when time has passed.
func (x *exchange) Ring(now time.Time) {
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
	x.cutLoops(now)
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

// cancel ends the exchange of a probe, which is kept; nobody is told anything.
func (x *exchange) cancel() {
	defer x.release()
	x.mu.Lock()
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
		x.abandon()
	}
	tell := x.over && !x.told && !x.starting
	x.told = x.told || tell
	x.mu.Unlock()
	if tell {
		x.tell()
	}
}

// abandon ends the exchange in spite of a fault, which may be met again on the way.
func (x *exchange) abandon() {
	x.kept, x.over, x.starting = true, true, false
	x.reply, x.err = resolver.Reply{}, errFault
	defer func() {
		if fault := recover(); fault != nil {
			x.pool.panicked(fault, debug.Stack())
		}
	}()
	x.finish(resolver.Reply{}, errFault)
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
	if (held || x.probe) && !x.kept {
		*x = exchange{}
		p.exchanges.Put(x)
	}
	return reply, err
}

// finish ends the exchange with an outcome, and gives up what is still pending.
func (x *exchange) finish(reply resolver.Reply, err error) {
	x.over, x.reply, x.err = true, reply, err
	if x.alarm.Rings != nil && !x.pool.timers.Stop(&x.alarm) {
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
	a.server.inFlight.Add(-1)
	if a.extra {
		x.pool.extra.Add(-1)
	}
}
