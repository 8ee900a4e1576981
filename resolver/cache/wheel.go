package cache

import (
	"math/bits"
	"time"
)

const (
	// tick is how exactly deadlines are kept: they are met, or missed by less than this.
	tick = 10 * time.Millisecond
	// spokes is how many ticks the wheel looks ahead: the usual deadline, and little
	// memory. What is due later waits in the last of them and is put back from there.
	spokes = 1 << 8
)

// wheel keeps waiters by the tick in which their time is up, those of one tick in
// the order in which they came. To add and to remove one takes the same time however
// many there are.
type wheel struct {
	slots [spokes]*waiter     // the first of each, whose sooner is the last
	used  [spokes / 64]uint64 // which slots hold somebody
	at    int64               // the last tick that was taken
}

// add keeps w until its time is up.
func (wh *wheel) add(w *waiter, now time.Duration) {
	wh.advance(now)
	due := int64((w.due + tick - 1) / tick)
	w.slot = int16(max(wh.at+1, min(due, wh.at+spokes-1)) % spokes)
	w.later = nil
	if head := wh.slots[w.slot]; head == nil {
		wh.slots[w.slot], w.sooner = w, w
		wh.used[w.slot/64] |= 1 << (w.slot % 64)
	} else {
		w.sooner = head.sooner
		head.sooner.later, head.sooner = w, w
	}
}

// advance moves the wheel on to now, or to the first that is due.
func (wh *wheel) advance(now time.Duration) {
	to := int64(now / tick)
	if next, ok := wh.next(); ok {
		to = min(to, next-1)
	}
	wh.at = max(wh.at, to)
}

// remove lets go of w, which is kept.
func (wh *wheel) remove(w *waiter) {
	head := wh.slots[w.slot]
	switch {
	case w.later != nil:
		w.later.sooner = w.sooner
	case w != head: // it is the last
		head.sooner = w.sooner
	default: // and the only one
		wh.used[w.slot/64] &^= 1 << (w.slot % 64)
	}
	if w == head {
		wh.slots[w.slot] = w.later
	} else {
		w.sooner.later = w.later
	}
	w.sooner, w.later = nil, nil
}

// next is the tick of the waiter that is due first; false if there is none.
func (wh *wheel) next() (int64, bool) {
	first := (wh.at + 1) % spokes
	word := first / 64
	for i := range int64(len(wh.used) + 1) {
		used := wh.used[(word+i)%int64(len(wh.used))]
		switch {
		case i == 0:
			used &= ^uint64(0) << (first % 64)
		case i == int64(len(wh.used)):
			used &= 1<<(first%64) - 1
		}
		if used != 0 {
			slot := (word+i)%int64(len(wh.used))*64 + int64(bits.TrailingZeros64(used))
			return wh.at + 1 + (slot-first+spokes)%spokes, true
		}
	}
	return 0, false
}

// first is the waiter who is due first, nil if there is none. Of those for whom the
// wheel does not look far enough ahead it is the one that came first.
func (wh *wheel) first() *waiter {
	at, ok := wh.next()
	if !ok {
		return nil
	}
	return wh.slots[at%spokes]
}

// take moves the wheel on to now and lets go of all whose time is up, a list by later.
func (wh *wheel) take(now time.Duration) *waiter {
	var due, early *waiter
	lastDue, lastEarly := &due, &early
	to := int64(now / tick)
	for at, ok := wh.next(); ok && at <= to; at, ok = wh.next() {
		for w := wh.slots[at%spokes]; w != nil; w = wh.slots[at%spokes] {
			wh.remove(w)
			last := &lastDue
			if w.due > now {
				last = &lastEarly
			}
			**last = w
			*last = &w.later
		}
	}
	for early != nil {
		w := early
		early = w.later
		wh.add(w, now)
	}
	wh.advance(now)
	return due
}
