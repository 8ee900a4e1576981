package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pldns/resolver"
)

const (
	// maxTries is how often one server is asked for one question (RFC 9520
	// section 3.1).
	maxTries = 3
	// maxPatience is how long a server is waited for before another try begins.
	// Three of them fit into the deadline of a query.
	maxPatience = 800 * time.Millisecond
	// retryPause is how long a server is left alone before it is asked again.
	retryPause = 200 * time.Millisecond
	// busyPause is how long to wait for room for one more query.
	busyPause = 50 * time.Millisecond
	// maxMargin is what is left of the caller's time when a race is given up, so
	// that what was learnt still reaches the client.
	maxMargin = 50 * time.Millisecond
	// hedgeUnknown is when to ask another server as long as it is not known how
	// long this one usually takes, and hedgeLeast is when at the earliest.
	hedgeUnknown = 300 * time.Millisecond
	hedgeLeast   = 5 * time.Millisecond
)

// try is one query of a race.
type try struct {
	runner  *runner
	began   time.Time
	usual   time.Duration // within which the server usually answers
	extra   bool          // it is not the first
	late    bool          // it was given up waiting for, but may still be answered
	settled bool          // it was answered, or failed
	refused bool          // its answer was that the server failed or refused
}

// runner is a server in a race.
type runner struct {
	*server
	tries  int
	notYet time.Time // it is not asked again before
	out    bool      // it had its say
}

// outcome is how a try ended.
type outcome struct {
	try   *try
	reply resolver.Reply
	err   error
	at    time.Time
}

// race is one Exchange: tries that begin one after another and go on until one of
// them brings an answer. A try is never broken off because the next one begins,
// so a slow server still counts. Its methods are called by one goroutine.
type race struct {
	pool     *Pool
	question resolver.Question
	runners  []*runner
	tries    []*try
	outcomes chan outcome
	running  sync.WaitGroup
	patience time.Duration
	nextTry  time.Time
	refused  *resolver.Reply // the last reply that said no more than that it failed
	failures []*Failure
}

func newRace(p *Pool, q resolver.Question, servers []*server) *race {
	r := &race{pool: p, question: q, outcomes: make(chan outcome, maxTries*len(servers))}
	for _, s := range servers {
		r.runners = append(r.runners, &runner{server: s})
	}
	return r
}

// run runs the race, in which the query of a call may have been sent already. It
// returns when every query it sent has ended.
func (r *race) run(ctx context.Context, sent *call) (resolver.Reply, error) {
	began := time.Now()
	if sent != nil {
		began = sent.began
	}
	ends, _ := ctx.Deadline()
	ends, r.patience = r.pool.times(began, ends)
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer r.running.Wait()
	defer cancel()
	if sent != nil {
		r.join(ctx, sent)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			r.overdue()
		case o := <-r.outcomes:
			if reply, won := r.settle(o); won {
				return reply, nil
			}
		case <-ctx.Done():
			return r.giveUp(ctx)
		}
		wait, more := r.proceed(ctx)
		if !more {
			return r.giveUp(ctx)
		}
		timer.Reset(wait)
	}
}

// times are when a race that began at some time is given up, if its caller gives
// up at a deadline (zero for never), and how long one try is waited for.
func (p *Pool) times(began, callers time.Time) (ends time.Time, patience time.Duration) {
	ends = began.Add(p.config.Timeout)
	if !callers.IsZero() {
		margin := min(maxMargin, callers.Sub(began)/20)
		if callers = callers.Add(-margin); callers.Before(ends) {
			ends = callers
		}
	}
	return ends, min(p.patience, ends.Sub(began)/maxTries)
}

// proceed begins a try if it is time, and says how long to wait for the next
// event that only time brings. More is false when nothing can come any more.
func (r *race) proceed(ctx context.Context) (wait time.Duration, more bool) {
	now := time.Now()
	next, at := r.next()
	if next != nil && !at.After(now) {
		r.begin(ctx, next, now)
		next, at = r.next()
	}
	wait, more = r.patience, next != nil
	for _, t := range r.tries {
		if t.settled {
			continue
		}
		more = true
		if !t.late {
			wait = min(wait, t.began.Add(r.patience).Sub(now))
		}
	}
	if next != nil {
		wait = min(wait, at.Sub(now))
	}
	return max(wait, 0), more
}

// next is the server to ask next, and when: the first of those that were asked
// least often.
func (r *race) next() (*runner, time.Time) {
	var next *runner
	for _, c := range r.runners {
		if !c.out && c.tries < maxTries && (next == nil || c.tries < next.tries) {
			next = c
		}
	}
	if next == nil || next.notYet.Before(r.nextTry) {
		return next, r.nextTry
	}
	return next, next.notYet
}

// begin sends one query, or puts it off if there is no room for it.
func (r *race) begin(ctx context.Context, to *runner, now time.Time) {
	why, ok := r.permit(now)
	if !ok {
		return
	}
	t := r.enter(to, now)
	r.pool.sent(to.server, why)
	r.running.Go(func() {
		reply, err := to.ask(ctx, r.question)
		r.ended(t, reply, err)
	})
}

// enter makes a try of a server that is asked now.
func (r *race) enter(to *runner, now time.Time) *try {
	t := &try{runner: to, began: now, extra: len(r.tries) > 0, usual: to.usual(r.patience)}
	to.tries++
	to.notYet = now.Add(min(retryPause, r.patience))
	r.tries = append(r.tries, t)
	r.nextTry = now.Add(t.usual)
	return t
}

// join takes the query of a call for the first try.
func (r *race) join(ctx context.Context, c *call) {
	t := r.enter(r.runners[0], c.began)
	r.running.Go(func() {
		reply, err := t.runner.resume(ctx, r.question, &c.ticket, c.box)
		r.ended(t, reply, err)
	})
}

// ended takes what came of a try.
func (r *race) ended(t *try, reply resolver.Reply, err error) {
	r.pool.ended(t.runner.server)
	if t.extra {
		r.pool.extra.Add(-1)
	}
	r.outcomes <- outcome{t, reply, err, time.Now()}
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
// always may, as the Exchange was let in. Another one needs room; if nothing has
// failed yet it is a hedge, and needs to have been earned.
func (r *race) permit(now time.Time) (why Why, ok bool) {
	if len(r.tries) == 0 {
		return First, true
	}
	why = Hedge
	patient := now // when a server has been waited for long enough
	for _, t := range r.tries {
		if t.settled || t.late {
			why = Retry
		} else if until := t.began.Add(r.patience); until.After(patient) {
			patient = until
		}
	}
	if why == Hedge && !r.pool.hedges.spend() {
		r.nextTry = patient
		return why, false
	}
	if r.pool.extra.Add(1) > int64(r.pool.config.MaxInFlight) {
		r.pool.extra.Add(-1)
		r.nextTry = now.Add(busyPause)
		return why, false
	}
	if _, ok := r.pool.rate.take(now, 0); !ok {
		r.pool.extra.Add(-1)
		r.nextTry = now.Add(busyPause)
		return why, false
	}
	return why, true
}

// overdue counts the tries that were waited for long enough.
func (r *race) overdue() {
	now := time.Now()
	for _, t := range r.tries {
		if !t.settled && !t.late && now.Sub(t.began) >= r.patience {
			t.late = true
			r.blame(t.runner.server, &Failure{Server: t.runner.Text, Reason: TimedOut})
		}
	}
}

// settle takes the outcome of a try; won says that it ends the race.
func (r *race) settle(o outcome) (reply resolver.Reply, won bool) {
	t := o.try
	t.settled = true
	if !t.late {
		r.nextTry = time.Time{} // the next one may begin at once
	}
	var failure *Failure
	if errors.As(o.err, &failure) {
		counted := t.late && failure.Reason == TimedOut
		if !counted && !errors.Is(failure, context.Canceled) {
			r.blame(t.runner.server, failure)
		}
		t.runner.out = failure.Reason == Lame
		return resolver.Reply{}, false
	}
	took := o.at.Sub(t.began)
	r.pool.answered(t.runner.server, o.reply, took)
	if failing(o.reply.Rcode) {
		r.refused, t.refused, t.runner.out = &o.reply, true, true
		return resolver.Reply{}, false
	}
	r.won(t, o.at, took)
	return o.reply, true
}

// won credits the server that answered, and tells what that says of the others:
// who refused or failed could have answered, and who was asked before and takes
// longer than usual was overtaken. Only then do these count against a server: a
// question that nobody can answer says nothing about who was asked.
func (r *race) won(winner *try, now time.Time, took time.Duration) {
	p := r.pool
	if winner.runner.health.answered(now, took) {
		p.rose(winner.runner.server)
	}
	for _, t := range r.tries {
		s := t.runner.server
		switch elapsed := now.Sub(t.began); {
		case s == winner.runner.server:
		case t.refused && s.health.failed(now, r.question):
			p.dropped(s, "it refuses or fails what others answer")
		case !t.settled && !t.late && elapsed >= t.usual && t.began.Before(winner.began) &&
			s.health.overtaken(now, elapsed, r.question):
			p.dropped(s, "it takes far longer than usual")
		}
	}
}

// blame notes a failure of a server.
func (r *race) blame(s *server, f *Failure) {
	r.failures = append(r.failures, f)
	r.pool.config.Observer.UpstreamFailed(r.pool.config.Name, s.Text, f.Reason)
	if s.health.failed(time.Now(), r.question) {
		r.pool.dropped(s, f.Error())
	}
}

// giveUp is the end of a race that nobody won.
func (r *race) giveUp(ctx context.Context) (resolver.Reply, error) {
	if r.refused != nil {
		return *r.refused, nil
	}
	name := r.pool.config.Name
	err := ctx.Err()
	if err != nil && (len(r.tries) == 0 || !errors.Is(err, context.DeadlineExceeded)) {
		return resolver.Reply{}, fmt.Errorf("ask upstream %s about %s: %w", name, r.question.Name, err)
	}
	for _, t := range r.tries {
		if !t.settled && !t.late {
			r.blame(t.runner.server, &Failure{Server: t.runner.Text, Reason: TimedOut})
		}
	}
	if len(r.runners) == 0 {
		for _, s := range r.pool.servers {
			r.failures = append(r.failures, &Failure{Server: s.Text, Reason: Looping})
		}
	}
	return resolver.Reply{}, &Error{Group: name, Failures: r.failures}
}
