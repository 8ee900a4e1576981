package cache

import (
	"sync"
	"time"

	"pldns/resolver"
)

// pending is who waits, for what, and until when, for all groups of a cache. What
// ends a wait is the reply, whoever brings it, or the one timer. Nothing of others
// is called under its lock.
type pending struct {
	most  int // waiters
	start time.Time

	mu      sync.Mutex
	flights map[flightKey]*flight // that take waiters on
	spare   sync.Pool             // of *flight: those that nobody refers to
	flying  int                   // flights under way, those that a flush replaced included
	waiting int
	wheel   wheel
	timer   *time.Timer   // of the wheel; nil until it is needed
	armed   int64         // the tick at which it fires; 0 if it does not
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
	waiters    int    // who ever waited for it
	over       bool
	head, tail *waiter
	opener     waiter // the first waiter, in the same piece of memory
}

// waiter is a caller who waits for a flight.
type waiter struct {
	flight *flight
	done   func(resolver.Reply, error)
	old    *entry        // what it is told if no news come; nil if there is nothing
	due    time.Duration // when its time is up, since the start of pending
	full   bool          // its time is the answer timer and not its own
	slot   int16         // of the wheel

	before, after *waiter // of the same flight
	sooner, later *waiter // in the same slot
}

func newPending(most int) *pending {
	return &pending{most: most, start: time.Now(), flights: make(map[flightKey]*flight)}
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

// done is the end of a flight that has landed, and whose upstream says nothing more. So
// many of those who ever waited for it have been told; any other may still refer to it.
func (p *pending) done(f *flight, told int) {
	if told == f.waiters {
		*f = flight{replied: f.replied}
		p.spare.Put(f)
	}
}

// now is the time since the start, by the monotonic clock.
func (p *pending) now() time.Duration { return time.Since(p.start) }

// join finds the flight of a question, or opens one, and puts w among those who
// wait for it; w is nil for a flight that nobody waits for. A flight that began
// before the last flush takes nobody on. If too many wait, the one whose time would
// have been up first gives way.
func (p *pending) join(g *group, k *key, w *waiter, now time.Duration) (f *flight, first bool, gave *waiter) {
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
		gave = p.wheel.first()
		p.leave(gave)
	}
	place := &f.opener
	if !first {
		place = new(waiter)
	}
	*place = *w
	p.enter(f, place, now)
	return f, first, gave
}

// enter puts w among those who wait for f.
func (p *pending) enter(f *flight, w *waiter, now time.Duration) {
	w.flight, w.before = f, f.tail
	if f.tail == nil {
		f.head = w
	} else {
		f.tail.after = w
	}
	f.tail = w
	f.waiters++
	p.waiting++
	p.wheel.add(w, now)
	p.arm()
}

// leave takes w, which waits, from its flight and from the wheel.
func (p *pending) leave(w *waiter) {
	p.wheel.remove(w)
	p.unlink(w)
}

// unlink takes w, which the wheel has let go of, from its flight.
func (p *pending) unlink(w *waiter) {
	f := w.flight
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
		p.wheel.remove(w)
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

// arm has the timer fire when the next is due. A timer that fires for somebody who
// has left since costs less than to set it anew each time.
func (p *pending) arm() {
	next, ok := p.wheel.next()
	if !ok || p.armed != 0 && p.armed <= next {
		return
	}
	p.armed = next
	wait := time.Duration(next)*tick - p.now()
	if p.timer == nil {
		p.timer = time.AfterFunc(wait, p.expire)
	} else {
		p.timer.Reset(wait)
	}
}

// expire tells all whose time is up. The timer runs it.
func (p *pending) expire() {
	p.mu.Lock()
	p.armed = 0
	due := p.wheel.take(p.now())
	for w := due; w != nil; w = w.later {
		p.unlink(w)
	}
	p.arm()
	p.mu.Unlock()
	for due != nil {
		w := due
		due, w.later = w.later, nil
		w.timeUp()
	}
}

// drain waits until nothing is under way, at most for so long, and gives those who
// wait even then, a list by later.
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
	for w := p.wheel.first(); w != nil; w = p.wheel.first() {
		p.leave(w)
		w.later, left = left, w
	}
	return left
}
