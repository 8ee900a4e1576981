package share_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pldns/resolver/forward/share"
)

// As long as there is room everybody is let in, and what was given back can be
// taken again.
func TestAQuotaHoldsWhatItSays(t *testing.T) {
	q := share.NewQuota(100)
	asked := crowd(q, 100, began, func(i int) share.Key { return key("europe", i, "www.contoso.com") })
	if lost(asked) != 0 || q.Held() != 100 {
		t.Fatalf("%d of 100 lost, %d held", lost(asked), q.Held())
	}
	for _, a := range asked {
		if !q.Leave(&a.slot) {
			t.Fatal("a place that was held could not be given back")
		}
		if q.Leave(&a.slot) {
			t.Fatal("a place was given back twice")
		}
	}
	if q.Held() != 0 {
		t.Errorf("%d places are held by nobody", q.Held())
	}
}

// One client with a silent domain never makes others give way: not in another
// network, not in its own, and not its own questions for other suffixes.
func TestASilentDomainTakesItsOwnPlaces(t *testing.T) {
	bystanders := map[string]share.Key{
		"another network":           key("australia", 1, "www.contoso.com"),
		"another client":            key("europe", 2, "www.contoso.com"),
		"the same client otherwise": key("europe", 1, "www.contoso.com"),
		"another client, same name": key("europe", 2, "x.silent.example"),
	}
	for name, bystander := range bystanders {
		t.Run(name, func(t *testing.T) {
			q := share.NewQuota(1000)
			honest := crowd(q, 20, began, func(int) share.Key { return bystander })
			flood := crowd(q, 1500, began, func(i int) share.Key { return key("europe", 1, fmt.Sprintf("n%d.silent.example", i)) })
			later := began.Add(2 * usual) // by now all are overdue
			flood = append(flood, crowd(q, 1500, later, func(i int) share.Key { return key("europe", 1, fmt.Sprintf("m%d.silent.example", i)) })...)
			honest = append(honest, crowd(q, 20, later, func(int) share.Key { return bystander })...)
			if lost(honest) != 0 {
				t.Errorf("%d of %d honest questions lost", lost(honest), len(honest))
			}
			if got := lost(flood); got != 3000+40-1000 {
				t.Errorf("%d questions of the flood gave way", got)
			}
		})
	}
}

// Thousands of clients each ask a little about one silent domain. The forwarder of
// a site, one client with many questions of which some are slow, is not taken for
// the one who does it; over one network or many.
func TestAForwarderBesideABotnet(t *testing.T) {
	for _, networks := range []int{1, 20} {
		t.Run(fmt.Sprintf("%d networks", networks), func(t *testing.T) {
			q := share.NewQuota(4000)
			site := func(i int) share.Key { return key("n0", 1, fmt.Sprintf("www.d%d.example", i)) }
			botnet := func(i int) share.Key {
				return key(fmt.Sprintf("n%d", i%networks), 1000+i%5000, fmt.Sprintf("r%d.silent.example", i))
			}
			slow := crowd(q, 40, began, site)
			now := began
			for range 20 {
				quick := crowd(q, 300, now, site)
				crowd(q, 1000, now, botnet)
				if n := lost(quick) + lost(slow); n != 0 {
					t.Fatalf("%d questions of the forwarder lost", n)
				}
				for _, a := range quick {
					q.Leave(&a.slot)
				}
				now = now.Add(usual)
			}
		})
	}
}

// A network that floods with names of its own choice does not profit from a popular
// domain that is down for everybody.
func TestAPopularDomainThatIsDown(t *testing.T) {
	q := share.NewQuota(5000)
	tenants := crowd(q, 2000, began, func(i int) share.Key { return key(fmt.Sprintf("n%d", i%50), 1, "www.popular.example") })
	now := began.Add(2 * usual)
	for range 10 {
		crowd(q, 1000, now, func(i int) share.Key { return key("flooder", i%7, fmt.Sprintf("www.d%d.example", i)) })
		now = now.Add(usual)
	}
	if lost(tenants) != 0 {
		t.Errorf("%d questions of small networks lost", lost(tenants))
	}
}

// What is answered within the usual time is not given up for what is not, however
// much more there is of it.
func TestQuickAnswersKeepTheirPlaces(t *testing.T) {
	q := share.NewQuota(1000)
	crowd(q, 400, began, func(i int) share.Key { return key("dead", i, fmt.Sprintf("www.d%d.example", i)) })
	now := began.Add(2 * usual)
	busy := crowd(q, 800, now, func(i int) share.Key { return key("busy", 1, "www.contoso.com") })
	if lost(busy) != 0 {
		t.Errorf("%d of %d lost", lost(busy), len(busy))
	}
}

// Whoever is refused is part of the largest share, and is told by Enter alone.
func TestTheLargestShareIsRefused(t *testing.T) {
	q := share.NewQuota(10)
	crowd(q, 10, began, func(int) share.Key { return key("europe", 1, "www.contoso.com") })
	refused := new(question)
	if q.Enter(&refused.slot, key("europe", 1, "mail.contoso.com"), began, usual, refused) {
		t.Error("an eleventh question was let in")
	}
	if refused.lost != 0 || q.Leave(&refused.slot) || q.Held() != 10 {
		t.Errorf("told %d times, %d held", refused.lost, q.Held())
	}
	other := crowd(q, 1, began, func(int) share.Key { return key("europe", 2, "www.contoso.com") })
	if lost(other) != 0 || q.Held() != 10 {
		t.Errorf("the question of another client was refused; %d held", q.Held())
	}
}

// Whatever the mix, a network with less than its part of the places loses none,
// the places are never more than said, and all come back.
func TestAnyMix(t *testing.T) {
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 13))
		capacity, networks := 1+random.IntN(300), 1+random.IntN(12)
		q := share.NewQuota(capacity)
		now := began
		active := make(map[*question]int) // by network
		held := make([]int, networks+1)
		for range 5000 {
			now = now.Add(time.Duration(random.IntN(int(usual / 10))))
			// The last network asks now and then; the others by chance, some far more.
			network := int(float64(networks) * random.Float64() * random.Float64())
			if random.IntN(100) == 0 {
				network = networks
			}
			asked := new(question)
			k := key(fmt.Sprint(network), random.IntN(5), fmt.Sprintf("n%d.d%d.example", random.IntN(9), random.IntN(7)))
			if network < networks || held[network] < max(1, capacity/(networks+1)/16) {
				if q.Enter(&asked.slot, k, now, usual, asked) {
					active[asked] = network
					held[network]++
				} else if network == networks && capacity > 16*(networks+1) {
					t.Fatalf("seed %d: the small network was refused", seed)
				}
			}
			for a, n := range active {
				if a.lost > 0 {
					if n == networks && capacity > 16*(networks+1) {
						t.Fatalf("seed %d: the small network gave way", seed)
					}
					delete(active, a)
					held[n]--
				}
			}
			for a, n := range active { // one by chance is answered
				if random.IntN(3) == 0 {
					q.Leave(&a.slot)
					delete(active, a)
					held[n]--
				}
				break
			}
			if q.Held() > capacity || q.Held() != len(active) {
				t.Fatalf("seed %d: %d of %d held, for %d questions", seed, q.Held(), capacity, len(active))
			}
		}
		waiters := q.Waiters()
		if len(waiters) != len(active) {
			t.Errorf("seed %d: %d wait, of whom %d are known", seed, len(active), len(waiters))
		}
		for _, w := range waiters {
			if _, is := active[w.(*question)]; !is {
				t.Errorf("seed %d: one who holds nothing is said to wait", seed)
			}
		}
		for a := range active {
			if !q.Leave(&a.slot) {
				t.Fatalf("seed %d: a place was lost in silence", seed)
			}
		}
		if q.Held() != 0 || share.Shares(q) != 0 {
			t.Errorf("seed %d: %d places and %d shares are left", seed, q.Held(), share.Shares(q))
		}
	}
}

// Operators see who holds most, and who gave way lately, for a while.
func TestTopTellsWhoHoldsMost(t *testing.T) {
	q := share.NewQuota(100)
	crowd(q, 30, began, func(i int) share.Key { return key("europe", i%3, "www.contoso.com") })
	crowd(q, 5, began, func(int) share.Key { return key("australia", 9, "www.fabrikam.com") })
	view := q.Top(2, began)
	if view.Held != 35 || view.Capacity != 100 || len(view.Networks) != 2 || len(view.Clients) != 2 || len(view.Suffixes) != 2 {
		t.Fatalf("the view is %+v", view)
	}
	if n, s := view.Networks[0], view.Suffixes[1]; n.Network != "europe" || n.Held != 30 || s.Suffix != "fabrikam.com" || s.Held != 5 {
		t.Errorf("the view is %+v", view)
	}
	later := began.Add(2 * usual)
	crowd(q, 500, later, func(i int) share.Key { return key("asia", 1, fmt.Sprintf("n%d.silent.example", i)) })
	view = q.Top(3, later)
	if s := view.Suffixes[0]; s.Suffix != "silent.example" || s.GaveWay < 400 || s.Held == 0 {
		t.Errorf("after a flood the view is %+v", view)
	}
	if c := view.Clients[0]; c.Network != "asia" || c.Client != key("asia", 1, "a").Client {
		t.Errorf("after a flood the view is %+v", view)
	}
	if s := q.Top(3, later.Add(20*time.Minute)).Suffixes[0]; s.GaveWay != 0 {
		t.Errorf("after 20 minutes it is still told that %+v", s)
	}
}

func BenchmarkQuota(b *testing.B) {
	const capacity = 20_000
	cases := map[string]int{"quiet": 100, "crowded": 19_000, "full": capacity}
	for name, held := range cases {
		for _, distinct := range []int{1, capacity} {
			b.Run(fmt.Sprintf("%s/%d keys", name, distinct), func(b *testing.B) {
				q := share.NewQuota(capacity)
				keys := make([]share.Key, distinct)
				for i := range keys {
					keys[i] = key(fmt.Sprintf("n%d", i%100), i, fmt.Sprintf("www.d%d.example", i))
				}
				crowd(q, held, began, func(i int) share.Key { return keys[i%distinct] })
				asked, now := new(question), began
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					now = now.Add(time.Microsecond)
					if !q.Enter(&asked.slot, keys[i%distinct], now, usual, asked) || held < capacity {
						q.Leave(&asked.slot)
						continue
					}
					asked = new(question)
				}
			})
		}
	}
}
