package forward

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// bell is something that is to ring at a time.
type bell struct {
	alarm
	want time.Time
	rang []time.Duration // how late
}

func (b *bell) ring(now time.Time) { b.rang = append(b.rang, now.Sub(b.want)) }

// Each alarm rings once, when it was set to last, not early and hardly late; one that
// was stopped does not.
func TestAlarmsRingInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bells = 2000
		chance := rand.New(rand.NewPCG(3, 4))
		var ts timers
		all := make([]*bell, bells)
		soon := func() time.Time { return time.Now().Add(time.Duration(chance.Int64N(int64(2 * time.Second)))) }
		for i := range all {
			b := new(bell)
			b.rings, all[i] = b, b
			for range 1 + i%3 {
				b.want = soon()
				ts.set(&b.alarm, b.want)
			}
		}
		for i := 0; i < bells; i += 5 {
			if !ts.stop(&all[i].alarm) {
				t.Error("an alarm that was set was not")
			}
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		for i, b := range all {
			switch {
			case i%5 == 0 && len(b.rang) != 0:
				t.Error("an alarm that was stopped rang")
			case i%5 == 0:
			case len(b.rang) != 1 || b.rang[0] < 0 || b.rang[0] > 2*timerSpacing:
				t.Errorf("an alarm rang %v late", b.rang)
			}
			if ts.stop(&b.alarm) {
				t.Error("an alarm is still set")
			}
		}
		if len(ts.heap) != 0 || !ts.armed.IsZero() {
			t.Errorf("a timer runs for nobody: %d alarms", len(ts.heap))
		}
	})
}

// again is set anew by its own ringing.
type again struct {
	alarm
	timers *timers
	rang   []time.Time
}

func (a *again) ring(now time.Time) {
	a.rang = append(a.rang, now)
	if len(a.rang) < 100 {
		a.timers.set(&a.alarm, now)
	}
}

// However much is due, the timer fires only so often.
func TestTheTimerIsCoarse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := timers{spacing: timerSpacing}
		a := &again{timers: &ts}
		a.rings = a
		ts.set(&a.alarm, time.Now())
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(a.rang) != 100 {
			t.Fatalf("it rang %d times", len(a.rang))
		}
		for i, at := range a.rang[1:] {
			if spacing := at.Sub(a.rang[i]); spacing < timerSpacing {
				t.Errorf("it rang again after %v", spacing)
			}
		}
		if !slices.IsSortedFunc(a.rang, time.Time.Compare) {
			t.Error("time went back")
		}
	})
}

// Of thousands of alarms that are due at once, few ring in one round, so that others
// have their turn; yet all ring soon.
func TestManyAlarmsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bells = 16_000
		var ts timers
		ts.spacing = timerSpacing
		all, at := make([]bell, bells), time.Now().Add(time.Second)
		for i := range all {
			all[i].rings, all[i].want = &all[i], at
			ts.set(&all[i].alarm, at)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		rounds := make(map[time.Duration]int)
		for _, b := range all {
			if len(b.rang) != 1 || b.rang[0] > 350*time.Millisecond {
				t.Fatalf("an alarm rang %v late", b.rang)
			}
			rounds[b.rang[0]]++
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
