package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pldns/resolver"
)

// patience is the least time that a question in the background is given, even if
// its first asker has less: others may wait for it who have more, and what comes
// of less says nothing about the upstream.
const patience = time.Second

// group is the view of one upstream group.
type group struct {
	cache *Cache
	name  string
	next  resolver.Exchanger

	mu      sync.Mutex
	open    map[resolver.Question]*flight
	waiting int
}

// flight is one question under way. Its result may be read once landed is closed.
type flight struct {
	group    *group
	question resolver.Question
	epoch    uint64    // of the store when it began
	ahead    bool      // it is asked although there is an answer
	deadline time.Time // when it lands at the latest
	landed   chan struct{}
	reply    resolver.Reply
	err      error
}

// errGivenUp is what is left to those who wait for a flight that panics.
var errGivenUp = errors.New("the question was given up")

// Start answers q from memory, or by way of the upstream.
func (g *group) Start(q resolver.Question, _ resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (reply resolver.Reply, pending bool, err error) {
	seen := g.cache.store.look(key{g.name, q}, g.cache.now())
	if seen.state == fresh {
		g.count(Hit)
		if seen.due {
			g.refresh(q, true)
		}
		return seen.reply, false, seen.err
	}
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if !deadline.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, deadline)
	}
	go func() { // ends at the deadline
		defer cancel()
		done(g.exchange(ctx, q, seen))
	}()
	return resolver.Reply{}, true, nil
}

// exchange answers q by way of the upstream, or with what has expired.
func (g *group) exchange(ctx context.Context, q resolver.Question, seen found) (resolver.Reply, error) {
	if seen.state == stale {
		return g.outlast(ctx, q, seen)
	}
	g.count(Miss)
	return g.ask(ctx, ctx, q)
}

// ask puts q to the upstream, or waits with others that have, until limit ends,
// which is ctx or ends before it. Whoever waits gets the same reply, or the same
// error.
func (g *group) ask(ctx, limit context.Context, q resolver.Question) (resolver.Reply, error) {
	if ctx.Err() != nil {
		return resolver.Reply{}, fmt.Errorf("ask upstream %s: %w", g.name, context.Cause(ctx))
	}
	f, first, err := g.board(q, g.cache.config.Flights, 1, g.landing(ctx))
	if err != nil {
		g.count(Busy)
		return resolver.Reply{}, err
	}
	defer g.leave()
	if first {
		g.launch(ctx, limit, f)
	} else {
		g.count(Coalesced)
	}
	select {
	case <-f.landed:
		return f.reply, f.err
	case <-f.end(limit):
		return resolver.Reply{}, fmt.Errorf("wait for upstream %s: %w", g.name, context.Cause(limit))
	}
}

// end is what ends the wait for f of those who wait until limit ends. Where f is
// known to land before the deadline of limit, nobody needs to watch that.
func (f *flight) end(limit context.Context) <-chan struct{} {
	deadline, ok := limit.Deadline()
	if ok && !f.deadline.After(deadline) {
		limit = resolver.Outer(limit)
	}
	return limit.Done()
}

// board finds the flight of q, or opens one if there are fewer than flights, and
// counts so many callers as waiting for it; the one that is opened is to land at
// a deadline. A flight that began before the last flush takes nobody on.
func (g *group) board(q resolver.Question, flights, callers int, deadline time.Time) (f *flight, first bool, err error) {
	epoch := g.cache.store.epoch.Load()
	g.mu.Lock()
	defer g.mu.Unlock()
	f = g.open[q]
	first = f == nil || f.epoch != epoch
	if g.waiting+callers > g.cache.config.Waiters || first && len(g.open) >= flights {
		return nil, false, ErrBusy
	}
	if first {
		f = &flight{group: g, question: q, epoch: epoch, deadline: deadline, landed: make(chan struct{})}
		g.open[q] = f
	}
	g.waiting += callers
	return f, first, nil
}

// leave counts one caller as waiting no more.
func (g *group) leave() {
	g.mu.Lock()
	g.waiting--
	g.mu.Unlock()
}

// landing is when the flight of a caller with ctx is to land: it has the caller's
// deadline, though never less than patience.
func (g *group) landing(ctx context.Context) time.Time {
	now := time.Now()
	deadline := g.deadline(ctx, now)
	if least := now.Add(patience); deadline.Before(least) {
		deadline = least
	}
	return deadline
}

// launch has f flown in the background, where it does not end with its first
// asker: others may wait for it, and the answer is wanted anyway. If the upstream
// can do without, no goroutine waits there. If nothing is done in the background
// the caller flies it, until limit ends by itself.
func (g *group) launch(ctx, limit context.Context, f *flight) {
	if g.start(f) {
		return
	}
	detached := context.WithoutCancel(ctx)
	if g.cache.spawn(func(context.Context) { g.fly(detached, f.deadline, f) }) {
		return
	}
	g.fly(detached, g.deadline(limit, time.Now()), f)
}

// start puts the question of f to the upstream. It is false if nothing is done in
// the background.
func (g *group) start(f *flight) bool {
	if !g.cache.enter() {
		return false
	}
	if f.known() {
		g.land(f)
		g.cache.background.Done()
		return true
	}
	reply, pending, err := g.next.Start(f.question, resolver.Asker{}, f.deadline, f.replied)
	if !pending {
		f.replied(reply, err)
	}
	return true
}

// replied lands a flight that was started.
func (f *flight) replied(reply resolver.Reply, err error) {
	f.err = errGivenUp // unless something better comes
	defer f.group.cache.background.Done()
	defer f.group.land(f)
	f.arrive(reply, err)
}

// deadline is that of ctx, or of those who name none.
func (g *group) deadline(ctx context.Context, now time.Time) time.Time {
	if deadline, ok := ctx.Deadline(); ok {
		return deadline
	}
	return now.Add(g.cache.config.Timeout)
}

// fly asks the upstream, remembers what it says, and lands. In that order, so
// that whoever finds no flight finds the answer.
func (g *group) fly(ctx context.Context, deadline time.Time, f *flight) {
	f.err = errGivenUp // unless something better comes
	defer g.land(f)
	if f.known() {
		return
	}
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	reply, err := resolver.Exchange(ctx, g.next, f.question, resolver.Asker{})
	if err != nil && ctx.Err() != nil && time.Since(began) < patience {
		f.reply, f.err = reply, err
		return // it had too little time to say anything about the upstream
	}
	f.arrive(reply, err)
}

// known tells whether the answer is there already: another flight may have landed
// since the caller looked.
func (f *flight) known() bool {
	if f.ahead {
		return false
	}
	c := f.group.cache
	seen := c.store.look(key{f.group.name, f.question}, c.now())
	if seen.state == fresh {
		f.reply, f.err = seen.reply, seen.err
	}
	return seen.state == fresh
}

// arrive takes what came of the question, and has it remembered.
func (f *flight) arrive(reply resolver.Reply, err error) {
	f.reply, f.err = reply, err
	if errors.Is(err, resolver.ErrOverload) {
		return // it was not even asked
	}
	f.reply, f.err = f.group.cache.remember(key{f.group.name, f.question}, reply, err, f.epoch)
}

// land closes f and lets the next asker open another.
func (g *group) land(f *flight) {
	g.mu.Lock()
	if g.open[f.question] == f { // not if a flush had it replaced
		delete(g.open, f.question)
	}
	g.mu.Unlock()
	close(f.landed)
}

func (g *group) count(event Event) { g.cache.config.Observer.CacheEvent(g.name, event) }
