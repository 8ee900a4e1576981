//go:build !portable

package listen

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestProcessors: the Go runtime has more processors while readers hold them, and no
// longer than a little after that.
func TestProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := newProcessors(1)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.run(ctx)
		}()
		now := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if got := runtime.GOMAXPROCS(0); got != before+want {
				t.Errorf("%s: %d processors, of %d before", when, got, before)
			}
		}
		now(0, "at the start")
		for range 2 {
			if p.enter() {
				t.Error("a processor that is not there is held")
			}
			now(1, "wanted")
			if !p.enter() {
				t.Fatal("the additional processor cannot be held")
			}
			if p.enter() {
				t.Error("more are held than there are")
			}
			time.Sleep(10 * spareFor)
			now(1, "held")
			p.leave()
			now(1, "just left")
			time.Sleep(spareFor)
			now(0, "left for long")
		}
		_ = p.enter()
		now(1, "wanted again")
		cancel()
		<-ended
		now(0, "at the end")
	})
	if p := newProcessors(0); p.enter() {
		t.Error("a processor is held where there are none to be held")
	}
}
