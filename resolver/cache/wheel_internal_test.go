package cache

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The wheel gives everybody back at the tick in which their time is up, however far
// away that was, and nobody who has left. It is held against a plain list.
func TestWheel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var wh wheel
	var list []*waiter
	now := time.Duration(0)
	for range 20_000 {
		switch random.IntN(4) {
		case 0, 1:
			w := &waiter{due: now + time.Duration(random.Int64N(int64(3*time.Second)))}
			if random.IntN(20) == 0 {
				w.due += time.Duration(random.Int64N(int64(time.Minute)))
			}
			wh.add(w, now)
			list = append(list, w)
		case 2:
			if len(list) > 0 {
				i := random.IntN(len(list))
				wh.remove(list[i])
				list = slices.Delete(list, i, i+1)
			}
		case 3:
			now += time.Duration(random.Int64N(int64(100 * time.Millisecond)))
			if random.IntN(100) == 0 {
				now += 15 * time.Second // nobody had the time to look
			}
			taken := make(map[*waiter]bool)
			for w := wh.take(now); w != nil; w = w.later {
				taken[w] = true
			}
			list = slices.DeleteFunc(list, func(w *waiter) bool {
				up := w.due <= now.Truncate(tick)
				if taken[w] != up && !(taken[w] && w.due <= now) {
					t.Fatalf("taken: %v, due at %v, now %v", taken[w], w.due, now)
				}
				return taken[w]
			})
		}
		if next, ok := wh.next(); ok != (len(list) > 0) || ok && wh.first() == nil {
			t.Fatalf("next is %d (%v), with %d to wait for", next, ok, len(list))
		} else if ok {
			least := slices.MinFunc(list, func(a, b *waiter) int { return int(a.due - b.due) })
			if far := time.Duration(next) * tick; far > least.due.Truncate(tick)+tick && far > now+tick {
				t.Fatalf("next at %v, the first is due at %v", far, least.due)
			}
		}
	}
}
