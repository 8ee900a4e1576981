package resolvertest

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// Until waits until something is so, and fails the test if it is not within a minute. The
// message says what was waited for, and what the pointers in seen lead to then. It asks
// every millisecond, because what spins takes the processor from what it waits for; is may
// well ask the program something, and is called by this goroutine alone.
func Until(tb testing.TB, what string, is func() bool, seen ...any) {
	tb.Helper()
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for giveUp := time.Now().Add(time.Minute); ; <-pace.C {
		last := time.Now().After(giveUp) // before it is asked: the machine may have stood still
		if is() {
			return
		}
		if last {
			for _, at := range seen {
				what += fmt.Sprintf("\n%+v", reflect.ValueOf(at).Elem())
			}
			tb.Fatalf("not within a minute: %s", what)
		}
	}
}
