package listen

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestDue: every query is given when its time is up, not before, and at every step from
// then on until it leaves; one without a deadline never.
func TestDue(t *testing.T) {
	p := newPendings(1)
	began := time.Now()
	waiting := make(map[*query]bool)
	enter := func(at time.Time) {
		q := new(query)
		q.wait.deadline = at
		p.link(q, stepOf(at))
		waiting[q] = true
	}
	forever := new(query)
	p.link(forever, stepOf(forever.wait.deadline))
	enter(began.Add(-time.Hour)) // too late before it has begun
	for range 5000 {
		enter(began.Add(rand.N(3 * wheelSize * wheelStep))) // more than two turns of the wheel
	}
	now := began
	for len(waiting) > 0 {
		now = now.Add(wheelStep + rand.N(20*wheelStep)) // the clock may be late itself
		if len(waiting) == 1000 {
			now = now.Add(2 * wheelSize * wheelStep)
		}
		given := p.due(now)
		for _, q := range given {
			if !waiting[q] || q.wait.deadline.After(now) {
				t.Fatalf("given %v before its time", q.wait.deadline.Sub(now))
			}
		}
		for q := range waiting {
			if late := now.Sub(q.wait.deadline); late >= wheelStep && !slices.Contains(given, q) {
				t.Fatalf("not given %v after its time", late)
			}
		}
		for _, q := range given {
			if rand.N(3) > 0 { // the others are being worked on
				delete(waiting, q)
				p.unlink(q)
			}
		}
	}
	if all := p.all(); len(all) != 1 || all[0] != forever {
		t.Errorf("%d are left", len(all))
	}
}

// TestSpread: what came at one moment is given up at many, and none after its deadline.
func TestSpread(t *testing.T) {
	began := time.Now()
	deadline := began.Add(2500 * time.Millisecond)
	steps := make(map[int64]int)
	for range 2000 {
		at := spread(began, deadline)
		if at.After(deadline) || deadline.Sub(at) > deadline.Sub(began)/guardSpread {
			t.Fatalf("given up %v before the deadline", deadline.Sub(at))
		}
		steps[stepOf(at)]++
	}
	for step, n := range steps {
		if n > 200 {
			t.Errorf("%d of 2,000 are given up at step %d", n, step)
		}
	}
	for _, past := range []time.Time{began, began.Add(-time.Second), {}} {
		if at := spread(began, past); !at.Equal(past) {
			t.Errorf("a deadline of %v became %v", past, at)
		}
	}
}
