package timers

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

const step, spacing = time.Millisecond, 5 * time.Millisecond

// bell is something that is to ring at a time.
type bell struct {
	Alarm
	want time.Time
	rang []time.Duration // how late
}

func (b *bell) Ring(now time.Time) { b.rang = append(b.rang, now.Sub(b.want)) }

// Each alarm rings once, when it was set to last, not early and hardly late, however far
// away that was; one that was stopped does not.
func TestAlarmsRingInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bells = 5000
		chance := rand.New(rand.NewPCG(3, 4))
		w := New(step, spacing)
		all := make([]*bell, bells)
		soon := func() time.Time { return time.Now().Add(time.Duration(chance.Int64N(int64(3 * turn * step)))) }
		for i := range all {
			b := new(bell)
			b.Rings, all[i] = b, b
			for range 1 + i%3 {
				b.want = soon()
				w.Set(&b.Alarm, b.want)
			}
		}
		for i := 0; i < bells; i += 5 {
			if !w.Stop(&all[i].Alarm) {
				t.Error("an alarm that was set was not")
			}
		}
		time.Sleep(4 * turn * step)
		synctest.Wait()
		for i, b := range all {
			switch {
			case i%5 == 0 && len(b.rang) != 0:
				t.Error("an alarm that was stopped rang")
			case i%5 == 0:
			case len(b.rang) != 1 || b.rang[0] < 0 || b.rang[0] >= spacing:
				t.Errorf("an alarm rang %v late", b.rang)
			}
			if w.Stop(&b.Alarm) {
				t.Error("an alarm is still set")
			}
		}
		if w.count != 0 || w.armed != 0 {
			t.Errorf("a timer runs for nobody: %d alarms", w.count)
		}
	})
}

// TestDue: whatever is due is given when somebody looks, be it late by turns of the wheel,
// and nothing else is. It is held against a plain list.
func TestDue(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	w := New(step, spacing)
	w.round = 1 << 30
	list := make(map[*Alarm]int64)
	now := int64(0)
	for range 20_000 {
		switch chance.IntN(4) {
		case 0, 1:
			at := now + 1 + chance.Int64N(300)
			if chance.IntN(20) == 0 {
				at += chance.Int64N(10 * turn)
			}
			a := new(Alarm)
			w.add(a, at)
			list[a] = at
		case 2:
			for a := range list {
				w.remove(a)
				delete(list, a)
				break
			}
		case 3:
			now += chance.Int64N(20)
			if chance.IntN(100) == 0 {
				now += 3 * turn // nobody had the time to look
			}
			w.round = 1 << 30
			given := w.take(now)
			for _, a := range given {
				if list[a] > now {
					t.Fatalf("given at %d, due at %d", now, list[a])
				}
				delete(list, a)
			}
			w.due = given[:0]
		}
		first := int64(1 << 62)
		for _, at := range list {
			first = min(first, at)
		}
		if first <= now {
			t.Fatalf("not given at %d, due at %d", now, first)
		}
		if w.count != len(list) || len(list) > 0 && w.next() > first {
			t.Fatalf("%d are set, want %d, of which the first is due at %d", w.count, len(list), first)
		}
	}
}

// again is set anew by its own ringing.
type again struct {
	Alarm
	wheel *Wheel
	rang  []time.Time
}

func (a *again) Ring(now time.Time) {
	a.rang = append(a.rang, now)
	if len(a.rang) < 100 {
		a.wheel.Set(&a.Alarm, now)
	}
}

// However much is due, the timer fires only so often.
func TestTheTimerIsCoarse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &again{wheel: New(step, spacing)}
		a.Rings = a
		a.wheel.Set(&a.Alarm, time.Now())
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(a.rang) != 100 {
			t.Fatalf("it rang %d times", len(a.rang))
		}
		for i, at := range a.rang[1:] {
			if after := at.Sub(a.rang[i]); after < spacing {
				t.Errorf("it rang again after %v", after)
			}
		}
		if !slices.IsSortedFunc(a.rang, time.Time.Compare) {
			t.Error("time went back")
		}
	})
}

// Of thousands of alarms that are due at once, few ring in one round, so that others
// have their turn; yet all ring soon, in the order in which they were set.
func TestManyAlarmsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bells = 16_000
		w := New(step, spacing)
		all, at := make([]bell, bells), time.Now().Add(time.Second)
		for i := range all {
			all[i].Rings, all[i].want = &all[i], at
			w.Set(&all[i].Alarm, at)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		rounds, last := make(map[time.Duration]int), time.Duration(0)
		for _, b := range all {
			if len(b.rang) != 1 || b.rang[0] > 350*time.Millisecond || b.rang[0] < last {
				t.Fatalf("an alarm rang %v late", b.rang)
			}
			last = b.rang[0]
			rounds[last]++
		}
		if first := rounds[0]; first != leastRound {
			t.Errorf("%d rang in the first round, want %d", first, leastRound)
		}
		for late, n := range rounds {
			if n > bells/10 {
				t.Errorf("%d of %d rang at once, %v late", n, bells, late)
			}
		}
	})
}

// The first is taken back before others, and none that rings.
func TestStopFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(step, spacing)
		if w.StopFirst() != nil {
			t.Error("one was set")
		}
		var bells [3]bell
		for i, after := range []time.Duration{300, 100, 200} {
			bells[i].Rings = &bells[i]
			w.Set(&bells[i].Alarm, time.Now().Add(after*time.Millisecond))
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		for _, i := range []int{2, 0} {
			if w.StopFirst() != &bells[i].Alarm {
				t.Errorf("it was not %d", i)
			}
		}
		if w.StopFirst() != nil || len(bells[1].rang) != 1 {
			t.Error("one is left")
		}
	})
}
