package forward_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/zones"
)

// simulation is a network of servers a, b, c... in the time of a synctest bubble.
type simulation struct {
	mu      sync.Mutex
	chance  *rand.Rand
	servers map[string]*simulated
	asked   []string
}

// simulated is how one server behaves.
type simulated struct {
	rtt     time.Duration
	loss    float64 // the share of queries that get no answer
	refuses bool
}

// simulate makes a group of n servers that answer after 20 ms.
func simulate(t *testing.T, n int, config forward.Config) (*simulation, *forward.Pool) {
	t.Helper()
	sim := &simulation{chance: rand.New(rand.NewPCG(1, 2)), servers: make(map[string]*simulated)}
	config.Name = "azure"
	for i := range n {
		name := string(rune('a' + i))
		sim.servers[name] = &simulated{rtt: 20 * time.Millisecond}
		config.Servers = append(config.Servers, forward.Server{Addr: netip.MustParseAddrPort("192.0.2.1:53"), Text: name})
	}
	return sim, forward.Simulate(newPool(t, config), sim.talk)
}

// set changes how a server behaves from now on.
func (sim *simulation) set(server string, s simulated) {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	sim.servers[server] = &s
}

// talk is one query over the network.
func (sim *simulation) talk(ctx context.Context, server string, q resolver.Question) (*dns.Msg, error) {
	sim.mu.Lock()
	sim.asked = append(sim.asked, server)
	s := *sim.servers[server]
	lost := sim.chance.Float64() < s.loss
	// A round trip varies by a fifth.
	rtt := s.rtt + time.Duration(sim.chance.Int64N(int64(s.rtt)/5+1))
	sim.mu.Unlock()
	if lost {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	select {
	case <-time.After(rtt):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	msg := new(dns.Msg).SetQuestion(q.Name.FQDN(), q.Type)
	msg.Response, msg.RecursionAvailable = true, true
	if s.refuses {
		msg.Rcode = dns.RcodeRefused
	}
	return msg, nil
}

// counts is how often each server was asked since the last call.
func (sim *simulation) counts() map[string]int {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	n := make(map[string]int)
	for _, server := range sim.asked {
		n[server]++
	}
	sim.asked = nil
	return n
}

// ask asks n questions one after another and gives the times that the answers
// took, sorted.
func (sim *simulation) ask(t *testing.T, p *forward.Pool, n int) []time.Duration {
	t.Helper()
	var took []time.Duration
	for range n {
		began := time.Now()
		reply, err := exchange(p, question("www.contoso.com", dns.TypeA))
		if err != nil || reply.Rcode != dns.RcodeSuccess {
			t.Fatalf("got %s, %v", dns.RcodeToString[reply.Rcode], err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took
}

func p99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }

// One of three servers loses 30 % of packets: the 99th percentile stays below
// twice that of healthy servers, and nothing fails.
func TestAServerThatLosesPackets(t *testing.T) {
	for _, policy := range []forward.Policy{forward.Ordered, forward.Fastest, forward.Spread} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim, p := simulate(t, 3, forward.Config{Policy: policy})
				sim.ask(t, p, 100)
				healthy := p99(sim.ask(t, p, 2000))
				sim.set("a", simulated{rtt: 20 * time.Millisecond, loss: 0.3})
				lossy := p99(sim.ask(t, p, 2000))
				t.Logf("p99: %v healthy, %v with loss; asked %v", healthy, lossy, sim.counts())
				if lossy >= 2*healthy {
					t.Errorf("p99 is %v with one lossy server and %v without", lossy, healthy)
				}
			})
		})
	}
}

// When the first server dies, questions are slow only until that is known; when
// it comes back it is asked again within seconds. So for silence and for REFUSED.
func TestFailoverAndReturn(t *testing.T) {
	deaths := map[string]simulated{
		"silent":  {rtt: 20 * time.Millisecond, loss: 1},
		"refuses": {rtt: 20 * time.Millisecond, refuses: true},
	}
	for name, death := range deaths {
		for _, run := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, run %v", name, run), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					seen := new(events)
					sim, p := simulate(t, 2, forward.Config{Observer: seen})
					if run {
						ctx, cancel := context.WithCancel(context.Background())
						done := make(chan error)
						go func() { done <- p.Run(ctx) }()
						defer func() { cancel(); <-done }()
					}
					sim.ask(t, p, 50)
					if got := sim.counts(); got["b"] > 10 {
						t.Errorf("with all healthy the servers were asked %v", got)
					}
					sim.set("a", death)
					sim.ask(t, p, 20)
					since := p.State()[0].UnhealthySince
					if p.State()[0].Healthy || since.IsZero() {
						t.Errorf("a failing server is taken for healthy, or fails since %v", since)
					}
					if state := p.State(); state[0].Reason == "" || state[1].Reason != "" {
						t.Errorf("it is not said why: %q and %q", state[0].Reason, state[1].Reason)
					}
					time.Sleep(10 * time.Second)
					if got := p.State()[0].UnhealthySince; !got.Equal(since) {
						t.Errorf("it fails since %v, and later since %v", since, got)
					}
					sim.counts()
					took := sim.ask(t, p, 50)
					if got := sim.counts(); got["a"] > 12 || took[25] > 25*time.Millisecond {
						t.Errorf("while a fails the servers were asked %v, the median is %v", got, took[25])
					}
					sim.set("a", simulated{rtt: 20 * time.Millisecond})
					time.Sleep(5 * time.Second)
					sim.ask(t, p, 1)
					sim.counts()
					sim.ask(t, p, 50)
					if got := sim.counts(); got["a"] < 45 || !p.State()[0].Healthy || !p.State()[0].UnhealthySince.IsZero() || p.State()[0].Reason != "" {
						t.Errorf("five seconds after its return the servers were asked %v", got)
					}
					if seen.count("health a false") == 0 || seen.count("health a true") < 2 {
						t.Errorf("health was reported %d times", seen.count("health"))
					}
				})
			})
		}
	}
}

// All servers die and return: an answer within 5 s of the return.
func TestAllServersDieAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, p := simulate(t, 3, forward.Config{})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		defer func() { cancel(); <-done }()
		for _, server := range []string{"a", "b", "c"} {
			sim.set(server, simulated{rtt: 20 * time.Millisecond, loss: 1})
		}
		for range 20 {
			began := time.Now()
			_, err := exchange(p, question("www.contoso.com", dns.TypeA))
			var failed *forward.Error
			if !errors.As(err, &failed) || !failed.Timeout() || time.Since(began) > 5100*time.Millisecond {
				t.Fatalf("got %v after %v", err, time.Since(began))
			}
		}
		for _, server := range []string{"a", "b", "c"} {
			sim.set(server, simulated{rtt: 20 * time.Millisecond})
		}
		if took := sim.ask(t, p, 1); took[0] > time.Second {
			t.Errorf("the first answer after the return took %v", took[0])
		}
	})
}

// A question that no server can answer says nothing about the servers.
func TestABrokenDomainHarmsNoServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := simulate(t, 2, forward.Config{})
		forward.Simulate(p, func(_ context.Context, _ string, q resolver.Question) (*dns.Msg, error) {
			msg := new(dns.Msg).SetQuestion(q.Name.FQDN(), q.Type)
			msg.Response, msg.Rcode = true, dns.RcodeServerFailure
			return msg, nil
		})
		for range 50 {
			if _, err := exchange(p, question("broken.example", dns.TypeA)); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range p.State() {
			if !s.Healthy || s.Failures != 0 {
				t.Errorf("server %s: %+v", s.Server, s)
			}
		}
	})
}

func TestFastestAsksTheFastest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, p := simulate(t, 3, forward.Config{Policy: forward.Fastest})
		sim.set("a", simulated{rtt: 80 * time.Millisecond})
		sim.set("b", simulated{rtt: 40 * time.Millisecond})
		sim.set("c", simulated{rtt: 5 * time.Millisecond})
		sim.ask(t, p, 20)
		sim.counts()
		sim.ask(t, p, 100)
		if got := sim.counts(); got["c"] < 95 {
			t.Errorf("servers that answer in 80, 40 and 5 ms were asked %v", got)
		}
		// The order changes: the new fastest is found though it was not asked.
		sim.set("a", simulated{rtt: 5 * time.Millisecond})
		sim.set("c", simulated{rtt: 80 * time.Millisecond})
		for range 100 {
			time.Sleep(3 * time.Second)
			sim.ask(t, p, 1)
		}
		sim.counts()
		sim.ask(t, p, 100)
		if got := sim.counts(); got["a"] < 95 {
			t.Errorf("five minutes after the order changed the servers were asked %v", got)
		}
	})
}

func TestSpreadAsksAllAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, p := simulate(t, 3, forward.Config{Policy: forward.Spread})
		sim.ask(t, p, 3000)
		for server, n := range sim.counts() {
			if n < 850 || n > 1250 {
				t.Errorf("server %s was asked %d of 3000 questions", server, n)
			}
		}
	})
}

// Not more than two queries in five are hedges, even if every server becomes slow
// at once.
func TestHedgesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := new(events)
		sim, p := simulate(t, 3, forward.Config{Observer: seen})
		sim.ask(t, p, 100)
		for _, server := range []string{"a", "b", "c"} {
			sim.set(server, simulated{rtt: 700 * time.Millisecond})
		}
		var asking sync.WaitGroup
		for range 500 {
			asking.Go(func() { _, _ = exchange(p, question("www.contoso.com", dns.TypeA)) })
		}
		asking.Wait()
		hedges := 0
		for _, event := range seen.all() {
			if event[len(event)-5:] == "hedge" {
				hedges++
			}
		}
		if hedges > 600*4/10+20 {
			t.Errorf("%d hedges for 600 questions", hedges)
		}
	})
}

// A server whose answers are late but come is not given up: a hedge goes to the
// next one meanwhile, at the time by which it usually answers.
func TestTheHedgeComesAtTheUsualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, p := simulate(t, 2, forward.Config{})
		sim.ask(t, p, 100)
		sim.set("a", simulated{rtt: 20 * time.Millisecond, loss: 1})
		if took := sim.ask(t, p, 1); took[0] < 40*time.Millisecond || took[0] > 60*time.Millisecond {
			t.Errorf("a lost packet cost %v: servers answer within 24 ms", took[0])
		}
	})
}

// silentBelow is a network that answers all but the names below one.
func silentBelow(domain string) func(context.Context, string, resolver.Question) (*dns.Msg, error) {
	return func(ctx context.Context, _ string, q resolver.Question) (*dns.Msg, error) {
		if q.Name.Within(zones.MustName(domain)) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		msg := new(dns.Msg).SetQuestion(q.Name.FQDN(), q.Type)
		msg.Response, msg.RecursionAvailable = true, true
		return msg, nil
	}
}
