package resolvertest

import (
	"testing"
	"time"
)

// Until waits until something is so, and fails the test if it is not within a minute.
// What says what was waited for, as in "waited in vain for" it. It asks every
// millisecond, because what spins takes the processor from what it waits for; is may
// ask the program something, and is called by this goroutine only.
func Until(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for giveUp := time.Now().Add(time.Minute); ; <-pace.C {
		last := time.Now().After(giveUp) // before it is asked: the machine may have stood still
		if is() {
			return
		}
		if last {
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}
