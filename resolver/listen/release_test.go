package listen

import (
	"testing"
	"time"
)

func TestReleaseLimit(t *testing.T) {
	const allowed, asked = 1232, 45
	for _, row := range []struct {
		name string
		of   release
		want int
	}{
		{"soon and alone", release{asked: asked, waited: 80 * time.Millisecond, together: 1}, allowed},
		{"soon, in company", release{asked: asked, waited: 80 * time.Millisecond, together: 2}, 450},
		{"late and alone: there may be more for other names", release{asked: asked, waited: 2 * time.Second, together: 1}, 450},
		{"late, in company", release{asked: asked, waited: 2 * time.Second, together: 100}, 450},
		{"a proven address", release{asked: asked, waited: 2 * time.Second, together: 100, proven: true}, allowed},
		{"a long question", release{asked: 300, waited: 2 * time.Second, together: 100}, allowed},
		{"nothing is known of the others", release{asked: asked, waited: 80 * time.Millisecond}, allowed},
	} {
		if got := row.of.limit(allowed); got != row.want {
			t.Errorf("%s: %d octets, want %d", row.name, got, row.want)
		}
	}
}

// However many queries wait for a slow name, and however they differ, what is released
// at its end is within ten times what asked for it, and whoever asks alone of a name
// that is merely not in the cache notices nothing.
func TestPulseIsBounded(t *testing.T) {
	const allowed = 1232
	in, out := 0, 0
	for query := range 2500 {
		asked := 17 + query%60
		in += asked
		out += release{asked: asked, waited: 2500*time.Millisecond - time.Duration(query)*time.Millisecond, together: 1 + query%3}.limit(allowed)
		if query == 2000 { // the last half second is not saved up
			break
		}
	}
	if out > 10*in {
		t.Errorf("%d octets release %d", in, out)
	}
}
