package cache

import (
	"sync"
	"time"

	"pldns/resolver"
	"pldns/resolver/timers"
)

// tick is how exactly deadlines are kept: they are met, or missed by less than this.
const tick = 10 * time.Millisecond

// pending is who waits, for what, and until when, for all groups of a cache. What
// ends a wait is the reply, whoever brings it, or its alarm. Nothing of others is
// called under its lock.
type pending struct {
	most   int // waiters
	timers *timers.Wheel

	mu      sync.Mutex
	flights map[flightKey]*flight // that take waiters on
	spare   sync.Pool             // of *flight: those that nobody refers to
	flying  int                   // flights under way, those that a flush replaced included
	waiting int
	landed  chan struct{} // closed when nothing flies any more; nil if nobody wants to know
}

// flightKey is under which a flight is found. Views of one group by the same name have
// flights of their own, since they may ask different servers. Of two questions with one
// hash the newer takes waiters on.
type flightKey struct {
	group *group
	hash  uint64
}

// flight is one question under way. When nobody refers to it any more, it serves the next.
type flight struct {
	replied    func(resolver.Reply, error) // its method reply, made once
	group      *group
	key        key
	epoch      uint64 // of the store when it began
	over       bool
	left       bool // one who waited for it left before it was over, and may still refer to it
	head, tail *waiter
	opener     waiter // the first waiter, in the same piece of memory
}

// waiter is a caller who waits for a flight.
type waiter struct {
	flight *flight
	done   func(resolver.Reply, error)
	old    *entry // what it is told if no news come; nil if there is nothing
	full   bool   // its time is the answer timer and not its own
	alarm  timers.Alarm

	before, after *waiter // of the same flight
}

func newPending(most int) *pending {
	return &pending{most: most, timers: timers.New(tick, tick), flights: make(map[flightKey]*flight)}
}

// newFlight makes a flight for a question.
func (p *pending) newFlight(g *group, k *key, epoch uint64) *flight {
	f, _ := p.spare.Get().(*flight)
	if f == nil {
		f = new(flight)
		f.replied = f.reply
	}
	f.group, f.key, f.epoch = g, *k, epoch
	return f
}

// done is the end of a flight that has landed, and whose upstream says nothing more.
func (p *pending) done(f *flight) {
	if !f.left {
		*f = flight{replied: f.replied}
		p.spare.Put(f)
	}
}

// join finds the flight of a question, or opens one, and puts w among those who
// wait for it, until a time; w is nil for a flight that nobody waits for. A flight that
// began before the last flush takes nobody on. If too many wait, the one whose time would
// have been up first gives way.
func (p *pending) join(g *group, k *key, w *waiter, until time.Time) (f *flight, first bool, gave *waiter) {
	epoch := g.cache.store.epoch.Load()
	at := flightKey{g, k.exact}
	p.mu.Lock()
	defer p.mu.Unlock()
	f = p.flights[at]
	if f == nil || f.epoch != epoch || f.key.question != k.question {
		f, first = p.newFlight(g, k, epoch), true
		p.flights[at] = f
		p.flying++
	}
	if w == nil {
		return f, first, nil
	}
	if p.waiting >= p.most {
		if gave = p.first(); gave != nil {
			p.leave(gave)
		}
	}
	place := &f.opener
	if !first {
		place = new(waiter)
	}
	*place = *w
	p.enter(f, place, until)
	return f, first, gave
}

// enter puts w among those who wait for f.
func (p *pending) enter(f *flight, w *waiter, until time.Time) {
	w.flight, w.before = f, f.tail
	if f.tail == nil {
		f.head = w
	} else {
		f.tail.after = w
	}
	f.tail = w
	p.waiting++
	w.alarm.Rings = w
	p.timers.Set(&w.alarm, until)
}

// first is the waiter whose time would be up first; nil if there is none whose time is
// not up just now. Its alarm is stopped.
func (p *pending) first() *waiter {
	alarm := p.timers.StopFirst()
	if alarm == nil {
		return nil
	}
	return alarm.Rings.(*waiter)
}

// leave takes w, whose alarm is not set any more, from its flight.
func (p *pending) leave(w *waiter) {
	f := w.flight
	f.left = true
	if w.before == nil {
		f.head = w.after
	} else {
		w.before.after = w.after
	}
	if w.after == nil {
		f.tail = w.before
	} else {
		w.after.before = w.before
	}
	w.before, w.after = nil, nil
	p.waiting--
}

// land ends f, so that the next asker opens another, and gives those who waited for
// it to the end, a list by after.
func (p *pending) land(f *flight) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.over {
		return nil
	}
	f.over = true
	if at := (flightKey{f.group, f.key.exact}); p.flights[at] == f { // not if another has taken its place
		delete(p.flights, at)
	}
	for w := f.head; w != nil; w = w.after {
		if !p.timers.Stop(&w.alarm) {
			f.left = true // it rings just now
		}
		p.waiting--
	}
	waiters := f.head
	f.head, f.tail = nil, nil
	if p.flying--; p.flying == 0 && p.landed != nil {
		close(p.landed)
		p.landed = nil
	}
	return waiters
}

// Ring tells w that its time is up, unless its flight has just landed.
func (w *waiter) Ring(time.Time) {
	p := w.flight.group.cache.pending
	p.mu.Lock()
	waits := !w.flight.over
	if waits {
		p.leave(w)
	}
	p.mu.Unlock()
	if waits {
		w.timeUp()
	}
}

// drain waits until nothing is under way, at most for so long, and gives those who
// wait even then, a list by after.
func (p *pending) drain(patience time.Duration) *waiter {
	p.mu.Lock()
	if p.flying > 0 && p.landed == nil {
		p.landed = make(chan struct{})
	}
	landed := p.landed
	p.mu.Unlock()
	if landed == nil {
		return nil
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-landed:
		return nil
	case <-timeout.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var left *waiter
	for w := p.first(); w != nil; w = p.first() {
		p.leave(w)
		w.after, left = left, w
	}
	return left
}
