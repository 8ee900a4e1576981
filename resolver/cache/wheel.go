package cache

import (
	"math/bits"
	"time"
)

const (
	// tick is how exactly deadlines are kept: they are met, or missed by less than this.
	tick = 10 * time.Millisecond
	// spokes is how many ticks the wheel looks ahead. What is due later waits in the
	// last of them and is put back from there.
	spokes = 1 << 10
)

// wheel keeps waiters by the tick in which their time is up. To add and to remove
// one takes the same time however many there are.
type wheel struct {
	slots [spokes]*waiter
	used  [spokes / 64]uint64 // which slots hold somebody
	at    int64               // the last tick that was taken
}

// add keeps w until its time is up. The wheel must have been taken up to now, or
// be empty.
func (wh *wheel) add(w *waiter) {
	due := int64((w.due + tick - 1) / tick)
	w.slot = int16(max(wh.at+1, min(due, wh.at+spokes-1)) % spokes)
	head := wh.slots[w.slot]
	w.sooner, w.later = nil, head
	if head != nil {
		head.sooner = w
	}
	wh.slots[w.slot] = w
	wh.used[w.slot/64] |= 1 << (w.slot % 64)
}

// remove lets go of w, which is kept.
func (wh *wheel) remove(w *waiter) {
	if w.later != nil {
		w.later.sooner = w.sooner
	}
	if w.sooner != nil {
		w.sooner.later = w.later
	} else {
		wh.slots[w.slot] = w.later
		if w.later == nil {
			wh.used[w.slot/64] &^= 1 << (w.slot % 64)
		}
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

// first is one of the waiters that are due first; nil if there is none.
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
	to := int64(now / tick)
	for at, ok := wh.next(); ok && at <= to; at, ok = wh.next() {
		for w := wh.slots[at%spokes]; w != nil; w = wh.slots[at%spokes] {
			wh.remove(w)
			list := &due
			if w.due > now {
				list = &early
			}
			w.later, *list = *list, w
		}
	}
	wh.at = max(wh.at, to)
	for early != nil {
		w := early
		early = w.later
		wh.add(w)
	}
	return due
}
