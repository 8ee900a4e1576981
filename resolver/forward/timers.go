package forward

import (
	"sync"
	"time"
)

const (
	// timerSpacing is the least time between two rounds of the timers. Under load they
	// are served in batches; what is due is late by as much.
	timerSpacing = 5 * time.Millisecond
	// turnSpacing is the same for turns before a limit of queries a second, for which
	// somebody is kept waiting.
	turnSpacing = time.Millisecond
	// leastRound is how many alarms ring in one round, if that is enough. Thousands of
	// questions to a silent server that came at once are given up at once, and their clients
	// ask again: whoever asks something else meanwhile must not wait for all of that. So
	// what is left over waits for the next round, which is larger by a part of roundGrowth;
	// with 16,000 that are due at once, the last is late by 0.3 s.
	leastRound  = 32
	roundGrowth = 16
)

// timers keeps the times of any number of things with one timer of the runtime,
// which is not running while there are none. Its methods may be called by many
// goroutines at once.
type timers struct {
	spacing time.Duration // the least time between two rounds

	mu      sync.Mutex
	heap    []*alarm // the earliest first
	timer   *time.Timer
	armed   time.Time // when the timer fires; zero if it does not
	last    time.Time // when it fired last
	round   int       // how many may ring in the next round
	ringing bool      // it has fired, and what is due is being told
	rung    sync.Cond // told when that is over; its lock is mu
	due     []*alarm  // of the round under way
}

// alarm is one time to be kept, for one thing.
type alarm struct {
	at    time.Time
	place int32 // in the heap, counted from 1; 0 while it is not there
	rings ringer
}

// ringer is told that its alarm is due. It must not wait for anything.
type ringer interface{ ring(now time.Time) }

// set lets an alarm ring at a time, or a little later, instead of any time that it
// was set to before.
func (t *timers) set(a *alarm, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.place == 0 {
		t.heap = append(t.heap, a)
		a.place = int32(len(t.heap))
	}
	a.at = at
	t.down(t.up(a))
	if !t.ringing && (t.armed.IsZero() || at.Before(t.armed)) {
		t.arm(at)
	}
}

// stop takes an alarm back; false if it was not set, or rings just now.
func (t *timers) stop(a *alarm) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.place == 0 {
		return false
	}
	t.remove(a)
	return true
}

// arm lets the timer fire at a time, but not right after the last one.
func (t *timers) arm(at time.Time) {
	if soonest := t.last.Add(t.spacing); at.Before(soonest) {
		at = soonest
	}
	t.armed = at
	if t.timer == nil {
		t.timer = time.AfterFunc(time.Until(at), t.fire)
		return
	}
	t.timer.Reset(time.Until(at))
}

// fire tells those whose time has come.
func (t *timers) fire() {
	now := time.Now()
	t.mu.Lock()
	if t.ringing { // by a timer that was set anew while it fired
		t.mu.Unlock()
		return
	}
	t.armed, t.last, t.ringing = time.Time{}, now, true
	due := t.due[:0]
	t.round = max(t.round, leastRound)
	for len(due) < t.round && len(t.heap) > 0 && !t.heap[0].at.After(now) {
		due = append(due, t.heap[0])
		t.remove(t.heap[0])
	}
	if len(due) == t.round {
		t.round += t.round / roundGrowth
	} else {
		t.round -= t.round / roundGrowth
	}
	t.mu.Unlock()
	for i, a := range due {
		a.rings.ring(now)
		due[i] = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due, t.ringing = due[:0], false
	t.rung.Broadcast()
	if len(t.heap) > 0 {
		t.arm(t.heap[0].at)
	}
}

// wait waits until nobody is being told anything by a round that has begun.
func (t *timers) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rung.L = &t.mu
	for t.ringing {
		t.rung.Wait()
	}
}

// The following are a binary heap in which each alarm knows its place.

func (t *timers) remove(a *alarm) {
	at, last := int(a.place)-1, len(t.heap)-1
	moved := t.heap[last]
	t.heap[last] = nil
	t.heap = t.heap[:last]
	a.place = 0
	if at == last {
		return
	}
	t.heap[at] = moved
	moved.place = int32(at + 1)
	t.down(t.up(moved))
}

// up moves an alarm to where those before it are earlier.
func (t *timers) up(a *alarm) *alarm {
	at := int(a.place) - 1
	for at > 0 {
		parent := (at - 1) / 2
		if !a.at.Before(t.heap[parent].at) {
			break
		}
		t.heap[at] = t.heap[parent]
		t.heap[at].place = int32(at + 1)
		at = parent
	}
	t.heap[at] = a
	a.place = int32(at + 1)
	return a
}

// down moves an alarm to where those after it are later.
func (t *timers) down(a *alarm) {
	at := int(a.place) - 1
	for {
		child := 2*at + 1
		if child >= len(t.heap) {
			break
		}
		if child+1 < len(t.heap) && t.heap[child+1].at.Before(t.heap[child].at) {
			child++
		}
		if !t.heap[child].at.Before(a.at) {
			break
		}
		t.heap[at] = t.heap[child]
		t.heap[at].place = int32(at + 1)
		at = child
	}
	t.heap[at] = a
	a.place = int32(at + 1)
}
