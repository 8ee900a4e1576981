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
	epoch  uint64 // of the store when it began
	ahead  bool   // it is asked although there is an answer
	landed chan struct{}
	reply  resolver.Reply
	err    error
}

// errGivenUp is what is left to those who wait for a flight that panics.
var errGivenUp = errors.New("the question was given up")

// Exchange answers q from memory, or by way of the upstream.
func (g *group) Exchange(ctx context.Context, q resolver.Question) (resolver.Reply, error) {
	seen := g.cache.store.look(key{g.name, q}, g.cache.now())
	switch seen.state {
	case fresh:
		g.count(Hit)
		if seen.due {
			g.refresh(q, true)
		}
		return seen.reply, seen.err
	case stale:
		return g.outlast(ctx, q, seen)
	default:
		g.count(Miss)
		return g.ask(ctx, ctx, q)
	}
}

// ask puts q to the upstream, or waits with others that have, until limit ends,
// which is ctx or ends before it. Whoever waits gets the same reply, or the same
// error.
func (g *group) ask(ctx, limit context.Context, q resolver.Question) (resolver.Reply, error) {
	if ctx.Err() != nil {
		return resolver.Reply{}, fmt.Errorf("ask upstream %s: %w", g.name, context.Cause(ctx))
	}
	f, first, err := g.board(q, g.cache.config.Flights, 1)
	if err != nil {
		g.count(Busy)
		return resolver.Reply{}, err
	}
	defer g.leave()
	if first {
		g.launch(ctx, limit, q, f)
	} else {
		g.count(Coalesced)
	}
	select {
	case <-f.landed:
		return f.reply, f.err
	case <-limit.Done():
		return resolver.Reply{}, fmt.Errorf("wait for upstream %s: %w", g.name, context.Cause(limit))
	}
}

// board finds the flight of q, or opens one if there are fewer than flights, and
// counts so many callers as waiting for it. A flight that began before the last
// flush takes nobody on.
func (g *group) board(q resolver.Question, flights, callers int) (f *flight, first bool, err error) {
	epoch := g.cache.store.epoch.Load()
	g.mu.Lock()
	defer g.mu.Unlock()
	f = g.open[q]
	first = f == nil || f.epoch != epoch
	if g.waiting+callers > g.cache.config.Waiters || first && len(g.open) >= flights {
		return nil, false, ErrBusy
	}
	if first {
		f = &flight{epoch: epoch, landed: make(chan struct{})}
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

// launch has f flown in the background, where it does not end with its first
// asker: others may wait for it, and the answer is wanted anyway. There it has
// the deadline of ctx, though never less than patience. If nothing is done in the
// background the caller flies it, until limit ends by itself.
func (g *group) launch(ctx, limit context.Context, q resolver.Question, f *flight) {
	now := time.Now()
	detached := context.WithoutCancel(ctx)
	if g.cache.spawn(func(context.Context) {
		deadline := g.deadline(ctx, now)
		if least := now.Add(patience); deadline.Before(least) {
			deadline = least
		}
		g.fly(detached, deadline, q, f)
	}) {
		return
	}
	g.fly(detached, g.deadline(limit, now), q, f)
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
func (g *group) fly(ctx context.Context, deadline time.Time, q resolver.Question, f *flight) {
	f.err = errGivenUp // unless something better comes
	defer g.land(q, f)
	if !f.ahead {
		// Another flight may have landed since the caller looked.
		if seen := g.cache.store.look(key{g.name, q}, g.cache.now()); seen.state == fresh {
			f.reply, f.err = seen.reply, seen.err
			return
		}
	}
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	f.reply, f.err = g.next.Exchange(ctx, q)
	if f.err != nil && ctx.Err() != nil && time.Since(began) < patience {
		return // it had too little time to say anything about the upstream
	}
	if errors.Is(f.err, resolver.ErrOverload) {
		return // it was not even asked
	}
	f.reply, f.err = g.cache.remember(key{g.name, q}, f.reply, f.err, f.epoch)
}

// land closes f and lets the next asker open another.
func (g *group) land(q resolver.Question, f *flight) {
	g.mu.Lock()
	if g.open[q] == f { // not if a flush had it replaced
		delete(g.open, q)
	}
	g.mu.Unlock()
	close(f.landed)
}

func (g *group) count(event Event) { g.cache.config.Observer.CacheEvent(g.name, event) }
