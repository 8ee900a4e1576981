package share_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pldns/resolver/forward/share"
)

// traffic is a queue under load, event by event, served as a group of servers does.
type traffic struct {
	queue   *share.Queue
	rate    float64
	now     time.Time
	sent    []time.Time // when something left
	sources []*source
	busy    time.Time // since when somebody waits; zero if nobody does
	before  int       // how many had left then
	idle    int       // the most turns that were not used while somebody waited
}

// source is somebody who asks.
type source struct {
	every time.Duration
	many  int // at a time
	from  time.Duration
	key   func(n int) share.Key

	next  time.Time
	asked int
	waits []time.Duration // of those that were sent
	lost  int
}

// asked is a question of a source.
type asked struct {
	slot   share.Slot
	source *source
	at     time.Time
}

func (a *asked) GiveWay() { a.source.lost++ }

func (s *source) longest() time.Duration {
	if len(s.waits) == 0 {
		return 0
	}
	return slices.Max(s.waits)
}

func newTraffic(rate float64, patience time.Duration, sources ...*source) *traffic {
	for _, s := range sources {
		s.many, s.next = max(s.many, 1), began.Add(s.from)
	}
	return &traffic{queue: share.NewQueue(rate, patience), rate: rate, now: began, sources: sources}
}

// run lets time pass.
func (t *traffic) run(length time.Duration) {
	for end := t.now.Add(length); ; {
		next := end
		for _, s := range t.sources {
			if s.next.Before(next) {
				next = s.next
			}
		}
		if wait, some := t.queue.Wait(t.now); some && t.now.Add(wait).Before(next) {
			next = t.now.Add(wait)
		}
		t.now = next
		if !t.now.Before(end) {
			return
		}
		for waiter := t.queue.Next(t.now); waiter != nil; waiter = t.queue.Next(t.now) {
			t.send(waiter.(*asked))
		}
		for _, s := range t.sources {
			for !s.next.After(t.now) {
				s.next = s.next.Add(s.every)
				for range s.many {
					t.ask(s)
				}
			}
		}
		t.account()
	}
}

// account counts the turns that were not used while somebody waited.
func (t *traffic) account() {
	switch _, waits := t.queue.Wait(t.now); {
	case !waits:
		t.busy = time.Time{}
	case t.busy.IsZero():
		t.busy, t.before = t.now, len(t.sent)
	default:
		t.idle = max(t.idle, int(t.rate*t.now.Sub(t.busy).Seconds())-(len(t.sent)-t.before))
	}
}

func (t *traffic) ask(s *source) {
	k := s.key(s.asked)
	s.asked++
	q := &asked{source: s, at: t.now}
	switch {
	case t.queue.Take(t.now), t.queue.TakeNew(k, t.now):
		t.send(q)
	case !t.queue.Add(&q.slot, k, t.now, q):
		s.lost++
	}
}

func (t *traffic) send(q *asked) {
	q.source.waits = append(q.source.waits, t.now.Sub(q.at))
	t.sent = append(t.sent, t.now)
}

// checkRate checks that in no time more left than may.
func (t *traffic) checkRate(test *testing.T, rate float64, burst int) {
	test.Helper()
	tokens, last := float64(burst), began
	for i, at := range t.sent {
		tokens = min(tokens+rate*at.Sub(last).Seconds(), float64(burst)) - 1
		last = at
		if tokens < -1e-3 {
			test.Fatalf("query %d of %d left %v too early, after %v", i, len(t.sent), time.Duration(-tokens/rate*1e9), at.Sub(began))
		}
	}
}

// Those who flood: each makes up something else.
var floods = []struct {
	name string
	in   func(network string) func(n int) share.Key
}{
	{"random names", func(network string) func(int) share.Key {
		return func(n int) share.Key { return key(network, 1, fmt.Sprintf("n%d.flood.example", n)) }
	}},
	{"random domains", func(network string) func(int) share.Key {
		return func(n int) share.Key { return key(network, 1, fmt.Sprintf("www.d%d.example", n)) }
	}},
	{"random clients", func(network string) func(int) share.Key {
		return func(n int) share.Key { return key(network, 1000+n%100_000, fmt.Sprintf("n%d.flood.example", n)) }
	}},
	{"a few clients and domains", func(network string) func(int) share.Key {
		return func(n int) share.Key { return key(network, 1000+n%7, fmt.Sprintf("n%d.d%d.example", n, n%11)) }
	}},
}

// made up are both clients and domains.
func madeUp(network string) func(n int) share.Key {
	return func(n int) share.Key { return key(network, 1000+n%100_000, fmt.Sprintf("www.d%d.example", n)) }
}

// bystander asks for a name with three types at once, again and again.
func bystander(network string, client int, domain string, every time.Duration) *source {
	return &source{every: every, many: 3, from: 7 * time.Millisecond, key: func(n int) share.Key {
		return key(network, client, fmt.Sprintf("www%d.%s", n/3, domain))
	}}
}

// Whatever is made up, in whatever rhythm, those who ask for little do not wait.
func TestNewcomersDoNotWait(t *testing.T) {
	const rate = 900
	for _, flood := range floods {
		for _, rhythm := range []source{
			{every: 250 * time.Microsecond},
			{every: 100 * time.Millisecond, many: 500},
			{every: time.Second, many: 2000},
			{every: time.Second/rate - 1},
			{every: 20 * time.Millisecond, many: 19},
		} {
			t.Run(fmt.Sprintf("%s, %d every %v", flood.name, max(1, rhythm.many), rhythm.every), func(t *testing.T) {
				flooder := &source{every: rhythm.every, many: rhythm.many, key: flood.in("a")}
				beside := bystander("a", 9, "contoso.com", 40*time.Millisecond)
				elsewhere := bystander("b", 9, "contoso.com", 40*time.Millisecond)
				// Who asks for the domain that is flooded has at least the turns of a client.
				same := bystander("a", 8, "flood.example", 80*time.Millisecond)
				load := newTraffic(rate, time.Second, flooder, beside, elsewhere, same)
				load.run(3 * time.Second)
				load.checkRate(t, rate, 90)
				for who, s := range map[string]*source{"in its network": beside, "in another": elsewhere} {
					// The own questions, and a quantum of each that was made up and is a client
					// and a suffix of its own, have their turn first; every other turn is one.
					most := 8 * time.Second / rate
					if flood.name == "a few clients and domains" && s == beside {
						most = (7*4 + 8) * 2 * time.Second / rate
					}
					if s.lost > 0 || s.longest() > most {
						t.Errorf("a bystander %s waited for %v, want at most %v; %d of %d were lost", who, s.longest(), most, s.lost, s.asked)
					}
					if slices.Sort(s.waits); s.waits[len(s.waits)*9/10] > 5*time.Second/rate {
						t.Errorf("a bystander %s waited for %v and more, once in ten times", who, s.waits[len(s.waits)*9/10])
					}
				}
				if flood.name == "random clients" {
					return // of whom it is one
				}
				if most := 100 * time.Millisecond; same.lost > 0 || same.longest() > most {
					t.Errorf("a bystander with the domain of the flood waited for %v, want at most %v; %d of %d were lost",
						same.longest(), most, same.lost, same.asked)
				}
			})
		}
	}
}

// Where clients and domains are made up at once, nobody can be told apart in that
// network. It still takes no more than half of the turns from those who wait there,
// and nothing from those in other networks.
func TestWhoMakesEverythingUp(t *testing.T) {
	const rate = 900
	flooder := &source{every: 250 * time.Microsecond, key: madeUp("a")}
	elsewhere := bystander("b", 9, "contoso.com", 40*time.Millisecond)
	steady := &source{every: 2 * time.Millisecond, from: time.Second, key: func(n int) share.Key { // more than it gets
		return key("a", 2, fmt.Sprintf("n%d.contoso.com", n))
	}}
	load := newTraffic(rate, time.Second, flooder, elsewhere, steady)
	load.run(11 * time.Second)
	load.checkRate(t, rate, 90)
	if most := 8 * time.Second / rate; elsewhere.lost > 0 || elsewhere.longest() > most {
		t.Errorf("a bystander waited for %v, want at most %v; %d were lost", elsewhere.longest(), most, elsewhere.lost)
	}
	if got, want := len(steady.waits), 10*rate*4/10; got < want {
		t.Errorf("who waits was served %d times in 10 s, want at least %d", got, want)
	}
	if got, want := len(flooder.waits), 10*rate*4/10; got < want {
		t.Errorf("newcomers were served %d times in 10 s, want at least %d", got, want)
	}
}

// Whoever always asks a little less than what makes it wait takes no turn from
// another who asks for little.
func TestWhoKeepsBeingNew(t *testing.T) {
	const rate = 900
	for _, beside := range []bool{false, true} {
		sneaking := &source{every: 20 * time.Millisecond, many: 4, key: floods[1].in("a")}
		others := []*source{sneaking}
		for client := range 8 {
			others = append(others, &source{every: 7 * time.Millisecond, many: 4, from: time.Duration(client) * time.Millisecond,
				key: func(n int) share.Key { return key("a", 100+client, fmt.Sprintf("n.d%d.example", 100*client+n%50)) }})
		}
		if beside {
			others = append(others, &source{every: time.Millisecond, key: floods[0].in("c")})
		}
		elsewhere := bystander("b", 9, "contoso.com", 40*time.Millisecond)
		load := newTraffic(rate, time.Second, append(others, elsewhere)...)
		load.run(10 * time.Second)
		load.checkRate(t, rate, 90)
		if most := 12 * time.Second / rate; elsewhere.lost > 0 || elsewhere.longest() > most {
			t.Errorf("a bystander waited for %v, want at most %v; %d were lost", elsewhere.longest(), most, elsewhere.lost)
		}
	}
}

// Whatever the mix: no more leaves than may, nothing is held back while somebody
// waits, and nobody who keeps asking gets nothing.
func TestAnyMixOfNewcomers(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 13))
		rate := []float64{1, 3, 9.5, 40, 150, 900}[random.IntN(6)]
		burst := max(1, int(rate/10))
		var sources []*source
		for n := range 1 + random.IntN(6) {
			network := string(rune('a' + random.IntN(3)))
			from := time.Duration(random.IntN(int(2 * time.Second)))
			every := time.Duration(float64(time.Second) / rate * (0.3 + 3*random.Float64()))
			keyOf := madeUp(network)
			for _, flood := range floods {
				if random.IntN(3) == 0 {
					keyOf = flood.in(network)
				}
			}
			if random.IntN(2) == 0 {
				keyOf = func(i int) share.Key { return key(network, n, fmt.Sprintf("n%d.own%d.example", i, n)) }
			}
			sources = append(sources, &source{every: every, many: 1 + random.IntN(3), from: from, key: keyOf})
		}
		load := newTraffic(rate, time.Second, sources...)
		length := time.Duration(20 / min(rate, 10) * float64(10*time.Second))
		load.run(length / 4)
		load.checkRate(t, rate, burst)
		if load.idle > burst/4+2 {
			t.Errorf("seed %d: %d turns of %.1f a second were not used while somebody waited", seed, load.idle, rate)
		}
		asked, ended := 0, 0
		for i, s := range sources {
			asked += s.asked
			ended += len(s.waits) + s.lost
			if len(s.waits) == 0 && rate >= 40 {
				t.Errorf("seed %d: source %d asked %d times, and nothing left", seed, i, s.asked)
			}
			if s.longest() > time.Second {
				t.Errorf("seed %d: source %d waited for %v", seed, i, s.longest())
			}
		}
		if held := load.queue.Top(1, load.now).Held; held != asked-ended {
			t.Errorf("seed %d: %d wait, of %d that were asked %d have ended", seed, held, asked, ended)
		}
		load.sources = nil
		load.run(2 * time.Second)
		if share.QueueShares(load.queue) != 0 {
			t.Errorf("seed %d: %d shares are left", seed, share.QueueShares(load.queue))
		}
	}
}
