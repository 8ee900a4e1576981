// Package timers keeps the times of any number of things with one timer of the runtime:
// deadlines, retries, turns. A time is met, or missed by less than a step of its [Wheel], so
// that to set and to stop an [Alarm] takes the same short time however many there are, and
// allocates nothing.
package timers

import (
	"sync"
	"time"
)

const (
	// turn is how many steps a wheel has a place for. What is set to a later time is looked
	// at once a turn.
	turn = 1024
	// leastRound is how many alarms ring in one round, if that is enough. Thousands of
	// questions to a silent server that came at once are due at once, and their clients
	// ask again: whoever asks something else meanwhile must not wait for all of that. So
	// what is left over waits for the next round, which is larger by a part of roundGrowth;
	// of 16,000 that are due at once, the last rings 57 rounds later.
	leastRound  = 32
	roundGrowth = 16
)

// Wheel keeps alarms by the step of time at which they ring, those of one step in the order
// in which they were set. Its timer does not run while there are none. Its methods may be
// called by many goroutines at once.
type Wheel struct {
	step    time.Duration
	spacing int64     // the least number of steps between two rounds
	start   time.Time // steps are counted from here, by a clock that nobody sets

	mu      sync.Mutex
	places  [turn]struct{ first, last *Alarm }
	count   int   // alarms that are set
	past    int64 // the last step of which nothing is left
	timer   *time.Timer
	armed   int64     // the step at which the timer fires; 0 if it does not
	soonest int64     // the step at which it may fire next
	round   int       // how many may ring then
	ringing bool      // the timer has fired, and what is due is being told
	rung    sync.Cond // told when that is over; its lock is mu
	due     []*Alarm  // of the round under way
}

// Alarm is one time to be kept, for one thing. It is meant to be a part of that, and must
// not be copied while it is set.
type Alarm struct {
	// Rings is told that the alarm is due.
	Rings Ringer

	step       int64 // at which it rings; 0 while it is not set
	next, prev *Alarm
}

// Ringer is told that its alarm is due, by the goroutine that tells all others after it.
type Ringer interface {
	// Ring must not wait for anything. The alarm is not set any more.
	Ring(now time.Time)
}

// New makes a wheel with steps of a length, and the least time between two rounds of its
// alarms: under load they ring in batches, late by as much.
func New(step, spacing time.Duration) *Wheel {
	w := &Wheel{step: step, spacing: int64(spacing / step), start: time.Now(), round: leastRound}
	w.rung.L = &w.mu
	return w
}

// Set lets an alarm ring at a time, and not at any other that it was set to before. What is
// past rings at the next step.
func (w *Wheel) Set(a *Alarm, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.step != 0 {
		w.remove(a)
	}
	if w.count == 0 && !w.ringing { // nobody has looked at the clock since
		w.past = max(w.past, w.steps(time.Now()))
	}
	w.add(a, max(w.past+1, w.steps(at.Add(w.step-1))))
	if step := max(a.step, w.soonest); !w.ringing && (w.armed == 0 || step < w.armed) {
		w.arm(step)
	}
}

// Stop takes an alarm back; false if it was not set, or rings just now.
func (w *Wheel) Stop(a *Alarm) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.step == 0 {
		return false
	}
	w.remove(a)
	return true
}

// StopFirst takes back the alarm that rings first, and gives it; nil if none is set. Of
// those that ring later than in a turn of the wheel it may be any.
func (w *Wheel) StopFirst() *Alarm {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		return nil
	}
	first := w.places[w.next()%turn].first
	w.remove(first)
	return first
}

// Wait waits until nobody is being told anything by a round that has begun.
func (w *Wheel) Wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.ringing {
		w.rung.Wait()
	}
}

// steps is how many steps have passed at a time.
func (w *Wheel) steps(at time.Time) int64 { return int64(at.Sub(w.start) / w.step) }

// add puts an alarm into the place of a step.
func (w *Wheel) add(a *Alarm, step int64) {
	place := &w.places[step%turn]
	a.step, a.prev = step, place.last
	if place.last = a; a.prev == nil {
		place.first = a
	} else {
		a.prev.next = a
	}
	w.count++
}

// remove takes an alarm out of its place.
func (w *Wheel) remove(a *Alarm) {
	place := &w.places[a.step%turn]
	if a.prev == nil {
		place.first = a.next
	} else {
		a.prev.next = a.next
	}
	if a.next == nil {
		place.last = a.prev
	} else {
		a.next.prev = a.prev
	}
	a.step, a.next, a.prev = 0, nil, nil
	w.count--
}

// next is the first step in whose place there are alarms. There are some.
func (w *Wheel) next() int64 {
	step := w.past + 1
	for w.places[step%turn].first == nil {
		step++
	}
	return step
}

// arm lets the timer fire at a step. That it may fire for somebody who has left since
// costs less than to set it anew each time.
func (w *Wheel) arm(step int64) {
	w.armed = step
	wait := time.Until(w.start.Add(time.Duration(step) * w.step))
	if w.timer == nil {
		w.timer = time.AfterFunc(wait, w.fire)
	} else {
		w.timer.Reset(wait)
	}
}

// fire tells those whose time has come.
func (w *Wheel) fire() {
	now := time.Now()
	w.mu.Lock()
	if w.ringing { // by a timer that was set anew while it fired
		w.mu.Unlock()
		return
	}
	over := w.steps(now)
	w.armed, w.ringing, w.soonest = 0, true, over+w.spacing
	due := w.take(over)
	w.mu.Unlock()
	for i, a := range due {
		a.Rings.Ring(now)
		due[i] = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due, w.ringing = due[:0], false
	w.rung.Broadcast()
	if w.count > 0 {
		w.arm(max(w.next(), w.soonest))
	}
}

// take takes those out that are due at a step, at most one round.
func (w *Wheel) take(step int64) []*Alarm {
	due := w.due[:0]
	w.past = max(w.past, step-turn) // one turn is enough to see all
	for w.past < step && len(due) < w.round {
		var next *Alarm
		for a := w.places[(w.past+1)%turn].first; a != nil && len(due) < w.round; a = next {
			if next = a.next; a.step <= step {
				w.remove(a)
				due = append(due, a)
			}
		}
		if len(due) < w.round {
			w.past++
		}
	}
	if len(due) == w.round {
		w.round += w.round / roundGrowth
	} else {
		w.round = max(leastRound, w.round-w.round/roundGrowth)
	}
	return due
}
