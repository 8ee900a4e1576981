package share_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pldns/resolver/forward/share"
)

// patience is how long questions wait in tests.
const patience = 100 * time.Millisecond

// add puts n questions into a queue, each under a key of its own.
func add(q *share.Queue, n int, at time.Time, keyOf func(i int) share.Key) []*question {
	asked := make([]*question, n)
	for i := range asked {
		asked[i] = &question{asked: keyOf(i).Name.String()}
		if !q.Add(&asked[i].slot, keyOf(i), at, asked[i]) {
			asked[i].lost++
		}
	}
	return asked
}

// drain serves a queue until nobody waits, and gives who was served, in order.
func drain(t *testing.T, q *share.Queue, now time.Time) (served []*question, end time.Time) {
	t.Helper()
	for range 100_000 {
		for next := q.Next(now); next != nil; next = q.Next(now) {
			served = append(served, next.(*question))
		}
		wait, some := q.Wait(now)
		if !some {
			return served, now
		}
		now = now.Add(wait)
	}
	t.Fatal("the queue does not come to an end")
	return nil, now
}

// spend uses up what may leave at once, and what is kept for newcomers.
func spend(q *share.Queue, now time.Time) (n int) {
	for q.Take(now) {
		n++
	}
	for i := 0; q.TakeNew(key(fmt.Sprint("before", i), i, fmt.Sprintf("www.before%d.example", i)), now); i++ {
		n++
	}
	return n
}

// What leaves in a second is what was said, and what is in turn need not wait.
func TestTheRateIsKept(t *testing.T) {
	q := share.NewQueue(900, patience)
	if n := spend(q, began); n != 90 {
		t.Errorf("%d leave at once, want a tenth of a second's", n)
	}
	sent, now := 0, began
	for now.Before(began.Add(time.Second)) {
		add(q, 5, now, func(int) share.Key { return key("europe", 1, "www.contoso.com") })
		for next := q.Next(now); next != nil; next = q.Next(now) {
			sent++
		}
		now = now.Add(time.Millisecond)
	}
	if sent < 870 || sent > 900 { // some are saved up again for newcomers
		t.Errorf("%d left in a second, want 900", sent)
	}
}

// Networks, then clients, then suffixes have their turn one after another.
func TestTurns(t *testing.T) {
	tests := []struct {
		name           string
		flood, other   share.Key
		flooded, asked int
		by             int // how many are served until the other's last one
	}{
		{"another network", key("a", 1, "x.flood.example"), key("b", 1, "x.flood.example"), 50, 5, 11},
		{"another client", key("a", 1, "x.flood.example"), key("a", 2, "x.flood.example"), 50, 5, 21},
		{"the same client otherwise", key("a", 1, "x.flood.example"), key("a", 1, "www.contoso.com"), 50, 5, 21},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := share.NewQueue(1000, patience)
			spend(q, began)
			tt.flood.Name = tt.flood.Name.Under("flood")
			add(q, tt.flooded, began, func(int) share.Key { return tt.flood })
			tt.other.Name = tt.other.Name.Under("other")
			add(q, tt.asked, began, func(int) share.Key { return tt.other })
			served, _ := drain(t, q, began)
			if len(served) != tt.flooded+tt.asked {
				t.Fatalf("%d of %d served", len(served), tt.flooded+tt.asked)
			}
			last := 0
			for i, next := range served {
				if next.asked == tt.other.Name.String() {
					last = i + 1
				}
			}
			if last > tt.by {
				t.Errorf("the last of the other's questions was served as number %d, want at most %d", last, tt.by)
			}
		})
	}
}

// The forwarder of a site has its turn beside a thousand clients with one silent
// domain, and keeps its places.
func TestAForwarderBesideABotnetInTheQueue(t *testing.T) {
	q := share.NewQueue(1000, patience)
	spend(q, began)
	var honest []*question
	now, served := began, 0
	for i := range 500 {
		add(q, 20, now, func(j int) share.Key { return key("a", 100+(i*20+j)%1000, fmt.Sprintf("n%d.silent.example", j)) })
		if i%5 == 0 {
			honest = append(honest, add(q, 1, now, func(int) share.Key { return key("a", 1, fmt.Sprintf("www.d%d.example", i)) })...)
		}
		for next := q.Next(now); next != nil; next = q.Next(now) {
			if next.(*question).asked == fmt.Sprintf("www.d%d.example", i/5*5) {
				served++
			}
		}
		now = now.Add(time.Millisecond)
	}
	if lost(honest) != 0 || served < len(honest)*9/10 {
		t.Errorf("of %d honest questions %d were lost, %d served within 5 ms", len(honest), lost(honest), served)
	}
}

// Whoever floods at the limit loses its own questions.
func TestAFloodLosesItsOwn(t *testing.T) {
	q := share.NewQueue(900, patience)
	var honest, flood []*question
	now := began
	for i := range 2000 { // two seconds
		flood = append(flood, add(q, 4, now, func(j int) share.Key { return key("a", 1, fmt.Sprintf("n%d.d%d.example", i, j)) })...)
		if i%20 == 0 {
			honest = append(honest, add(q, 1, now, func(int) share.Key { return key("a", 2, "www.contoso.com") })...)
			honest = append(honest, add(q, 1, now, func(int) share.Key { return key("b", 2, "www.contoso.com") })...)
		}
		for q.Next(now) != nil {
		}
		now = now.Add(time.Millisecond)
	}
	if lost(honest) != 0 {
		t.Errorf("%d of %d honest questions lost", lost(honest), len(honest))
	}
	if got := lost(flood); got < 5500 {
		t.Errorf("only %d of %d questions of the flood lost", got, len(flood))
	}
	if view := q.Top(1, now); view.Networks[0].Network != "a" || view.Clients[0].GaveWay < 5000 {
		t.Errorf("the view is %+v", view)
	}
}

// Nobody waits for longer than was said.
func TestAQueueIsBoundedInTime(t *testing.T) {
	q := share.NewQueue(10, 250*time.Millisecond) // three places
	spend(q, began)
	asked := add(q, 3, began, func(i int) share.Key { return key("a", i, "www.contoso.com") })
	served, end := drain(t, q, began)
	if len(served) != 2 || lost(asked) != 1 || end.Sub(began) > 251*time.Millisecond {
		t.Errorf("%d served and %d lost in %v", len(served), lost(asked), end.Sub(began))
	}
}

// Whatever the mix, each question is served, lost, or taken out, exactly once.
func TestAnyMixInAQueue(t *testing.T) {
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 14))
		q := share.NewQueue(1+float64(random.IntN(2000)), time.Duration(1+random.IntN(200))*time.Millisecond)
		now := began
		var asked []*question
		done := make(map[*question]int)
		for range 3000 {
			now = now.Add(time.Duration(random.IntN(int(2 * time.Millisecond))))
			k := key(fmt.Sprint(random.IntN(4)), random.IntN(4), fmt.Sprintf("n.d%d.example", random.IntN(4)))
			asked = append(asked, add(q, 1, now, func(int) share.Key { return k })...)
			if random.IntN(3) == 0 {
				if next := q.Next(now); next != nil {
					done[next.(*question)]++
				}
			}
			if one := asked[random.IntN(len(asked))]; q.Leave(&one.slot) {
				done[one]++
			}
		}
		served, end := drain(t, q, now)
		for _, next := range served {
			done[next]++
		}
		for _, a := range asked {
			if n := done[a] + a.lost; n != 1 {
				t.Fatalf("seed %d: one question ended %d times", seed, n)
			}
		}
		if share.QueueShares(q) != 0 || len(q.Top(1, end).Networks) > 1 {
			t.Errorf("seed %d: %d shares are left", seed, share.QueueShares(q))
		}
	}
}

func BenchmarkQueue(b *testing.B) {
	q := share.NewQueue(1e6, 20*time.Millisecond)
	keys := make([]share.Key, 20_000)
	for i := range keys {
		keys[i] = key(fmt.Sprintf("n%d", i%100), i, fmt.Sprintf("www.d%d.example", i))
	}
	now := began
	add(q, 19_000, now, func(i int) share.Key { return keys[i] })
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		asked := new(question)
		q.Add(&asked.slot, keys[i%len(keys)], now, asked)
		now = now.Add(time.Microsecond)
		q.Next(now)
	}
}
