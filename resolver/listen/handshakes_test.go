package listen

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// A client of which a connection was ended for excess begins no other for a second, and no
// other client is the worse for it.
func TestExpelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandshakes(Config{Connections: 4096, ClientConnections: 256})
		bad, good := netip.MustParsePrefix("10.0.0.7/32"), netip.MustParsePrefix("10.0.0.8/32")
		h.expel(bad)
		if h.enter(bad) || !h.enter(good) {
			t.Error("the wrong client is refused")
		}
		time.Sleep(999 * time.Millisecond) // of the test's own clock
		if h.enter(bad) {
			t.Error("it is back too early")
		}
		time.Sleep(time.Millisecond)
		if !h.enter(bad) {
			t.Error("it may not come back")
		}
	})
}
