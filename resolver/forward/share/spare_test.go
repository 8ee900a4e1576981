package share_test

import (
	"testing"
	"time"

	"pldns/resolver/forward/share"
)

// A turn is to spare when none can be saved up any more: whoever asks for real has all
// that there are, and does not wait for those who take what is left.
func TestSpareTurns(t *testing.T) {
	now := time.Now()
	q := share.NewQueue(100, time.Second) // ten may leave at once
	if !q.TakeSpare(now) {
		t.Fatal("nobody asks, and there is no turn to spare")
	}
	if q.TakeSpare(now) {
		t.Error("a second one at once")
	}
	now = now.Add(10 * time.Millisecond) // one more has been saved up
	if !q.TakeSpare(now) {
		t.Error("there is none again")
	}
	now = now.Add(time.Second)
	if !q.Take(now) {
		t.Fatal("nobody waits, and there is no turn")
	}
	if q.TakeSpare(now) {
		t.Error("somebody has just asked")
	}
}
