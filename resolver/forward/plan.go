package forward

import (
	"sync/atomic"
	"time"
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

// Hedges are counted in parts.
const (
	// hedgeParts is how many parts a hedge has.
	hedgeParts = 5
	// hedgeShare is what a question earns. A server that loses a third of its packets
	// can be made up for; one that becomes slow as a whole does not get twice the load.
	hedgeShare = 2
	// hedgeStore is what may be saved up.
	hedgeStore = 20 * hedgeParts
)

// The following decide when which server is asked for a question.

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
		if _, at = x.next(); at.Before(wake) { // it may have been put off
			wake = at
		}
	}
	x.pool.timers.Set(&x.alarm, wake)
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
	if next.notYet.Before(x.nextAttempt) {
		return next, x.nextAttempt
	}
	return next, next.notYet
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
	a.usual, a.options = to.health.usual(hedgeUnknown, x.patience), to.options(x.question, now)
	to.attempts++
	to.notYet = now.Add(min(retryPause, x.patience))
	x.attempts = append(x.attempts, a)
	x.nextAttempt = now.Add(a.usual)
	to.inFlight.Add(1)
	x.pool.config.Observer.UpstreamSent(x.pool.config.Name, to.Text, why)
	if err := a.send(now); err != nil {
		x.take(a, reading{err: err}, now)
	}
	return true
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

// allowance is how many hedges may be sent. Questions earn it, not time: it is no
// limiter of golang.org/x/time/rate. Its methods may be called by many goroutines at once.
type allowance struct{ left atomic.Int64 }

// earn adds what one question earns. As long as nothing is spent it changes nothing.
func (a *allowance) earn() {
	for left := a.left.Load(); left < hedgeStore; left = a.left.Load() {
		if a.left.CompareAndSwap(left, min(left+hedgeShare, hedgeStore)) {
			return
		}
	}
}

// spend takes one hedge, if there is one.
func (a *allowance) spend() bool {
	for left := a.left.Load(); left >= hedgeParts; left = a.left.Load() {
		if a.left.CompareAndSwap(left, left-hedgeParts) {
			return true
		}
	}
	return false
}
