package upstream

import (
	"context"
	"errors"
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
	// retryPause is how long a server that failed at once is left alone.
	retryPause = 200 * time.Millisecond
	// maxMargin is what is left of the caller's time when a race is given up, so
	// that what was learnt still reaches the client.
	maxMargin = 50 * time.Millisecond
)

// try is one query of a race.
type try struct {
	runner  *runner
	why     Why
	began   time.Time
	late    bool // it was given up waiting for, but may still be answered
	settled bool // it was answered, or failed
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
	took  time.Duration
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

func newRace(p *Pool, q resolver.Question) *race {
	r := &race{pool: p, question: q, outcomes: make(chan outcome, maxTries*len(p.servers))}
	for _, s := range p.servers {
		r.runners = append(r.runners, &runner{server: s})
	}
	return r
}

// run runs the race. It returns when every query it sent has ended.
func (r *race) run(ctx context.Context) (resolver.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.deadline(ctx))
	defer r.running.Wait()
	defer cancel()
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

// deadline is when the race is given up, and sets the patience by it.
func (r *race) deadline(ctx context.Context) time.Time {
	now := time.Now()
	deadline := now.Add(r.pool.config.Timeout)
	if ends, ok := ctx.Deadline(); ok {
		margin := min(maxMargin, ends.Sub(now)/20)
		if ends = ends.Add(-margin); ends.Before(deadline) {
			deadline = ends
		}
	}
	r.patience = min(maxPatience, deadline.Sub(now)/maxTries)
	return deadline
}

// proceed begins a try if it is time, and says how long to wait for the next
// event that only time brings. More is false when nothing can come any more.
func (r *race) proceed(ctx context.Context) (wait time.Duration, more bool) {
	now := time.Now()
	if next, at := r.next(); next != nil {
		if wait := at.Sub(now); wait > 0 {
			return wait, true
		}
		r.begin(ctx, next, now)
		return r.patience, true
	}
	for _, t := range r.tries {
		if !t.settled {
			return r.patience, true
		}
	}
	return 0, false
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

// begin sends one query.
func (r *race) begin(ctx context.Context, to *runner, now time.Time) {
	t := &try{runner: to, began: now}
	if len(r.tries) > 0 {
		t.why = Retry
	}
	to.tries++
	to.notYet = now.Add(retryPause)
	r.tries = append(r.tries, t)
	r.nextTry = now.Add(r.patience)
	observer := r.pool.config.Observer
	observer.UpstreamSent(to.group, to.Text, t.why)
	observer.UpstreamInFlight(to.group, to.Text, 1)
	r.running.Go(func() {
		reply, err := to.ask(ctx, r.question)
		observer.UpstreamInFlight(to.group, to.Text, -1)
		r.outcomes <- outcome{t, reply, err, time.Since(now)}
	})
}

// overdue counts the tries that were waited for long enough.
func (r *race) overdue() {
	for _, t := range r.tries {
		if !t.settled && !t.late && time.Since(t.began) >= r.patience {
			t.late = true
			r.fail(&Failure{Server: t.runner.Text, Reason: TimedOut})
		}
	}
}

// settle takes the outcome of a try; won says that it ends the race.
func (r *race) settle(o outcome) (reply resolver.Reply, won bool) {
	o.try.settled = true
	var failure *Failure
	switch {
	case errors.As(o.err, &failure):
		if !o.try.late || failure.Reason != TimedOut {
			r.fail(failure)
		}
		o.try.runner.out = failure.Reason == Lame
	default:
		r.pool.config.Observer.UpstreamAnswered(r.pool.config.Name, o.reply.Server, o.reply.Rcode, o.took)
		if !failing(o.reply.Rcode) {
			return o.reply, true
		}
		r.refused = &o.reply
		o.try.runner.out = true
	}
	if !o.try.late {
		r.nextTry = time.Time{} // the next one may begin at once
	}
	return resolver.Reply{}, false
}

// fail notes a failure.
func (r *race) fail(f *Failure) {
	r.failures = append(r.failures, f)
	r.pool.config.Observer.UpstreamFailed(r.pool.config.Name, f.Server, f.Reason)
}

// giveUp is the end of a race that nobody won.
func (r *race) giveUp(ctx context.Context) (resolver.Reply, error) {
	if r.refused != nil {
		return *r.refused, nil
	}
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return resolver.Reply{}, err
	}
	for _, t := range r.tries {
		if !t.settled && !t.late {
			r.fail(&Failure{Server: t.runner.Text, Reason: TimedOut})
		}
	}
	return resolver.Reply{}, &Error{Group: r.pool.config.Name, Failures: r.failures}
}
