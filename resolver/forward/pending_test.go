package forward_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

// sentOnly is an Observer that counts queries.
type sentOnly struct {
	*events
	sent atomic.Int64
}

func (s *sentOnly) UpstreamSent(string, string, forward.Why) { s.sent.Add(1) }
func (s *sentOnly) UpstreamFailed(string, string, forward.Reason) {
}

// A question that nobody answers takes little memory and no goroutine, however
// often it was asked, so that very many fit.
func TestWhatASilentQuestionCosts(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for ten seconds for a silent server: make test-all runs it")
	}
	if !hasPool(t) {
		t.Skip("this build has no socket pool: every question has a goroutine")
	}
	seen := &sentOnly{events: new(events)}
	p, empty := forward.Pooled(newPool(t, forward.Config{
		Name: "azure", Servers: []forward.Server{plain(resolvertest.SilentAddr(t))}, Timeout: 10 * time.Second,
		MaxInFlight: 2 * silentQuestions, Observer: seen,
	}))
	defer empty()
	asked := make([]resolver.Question, silentQuestions)
	for i := range asked {
		asked[i] = question(fmt.Sprintf("n%d.silent.example", i), dns.TypeA)
	}
	var ended sync.WaitGroup
	ended.Add(len(asked))
	done := func(_ resolver.Reply, err error) {
		if !errors.As(err, new(*forward.Error)) {
			t.Errorf("got %v", err)
		}
		ended.Done()
	}
	before, goroutines := heap(), runtime.NumGoroutine()
	for _, q := range asked {
		if _, pending, err := p.Start(q, resolver.Asker{Network: "hub"}, time.Time{}, done); !pending {
			t.Fatalf("the question was not asked: %v", err)
		}
	}
	once := (heap() - before) / silentQuestions
	resolvertest.Until(t, "the third query of every question", func() bool { return seen.sent.Load() >= 3*silentQuestions })
	thrice := (heap() - before) / silentQuestions
	t.Logf("%d octets for a question that was asked once, %d for one that was asked three times", once, thrice)
	if thrice > maxSilent {
		t.Errorf("a silent question takes %d octets, want %d", thrice, maxSilent)
	}
	if more := runtime.NumGoroutine() - goroutines; more > 10 {
		t.Errorf("%d goroutines more than before", more)
	}
	if load := p.Load(); load.InFlight != silentQuestions || load.Shed != 0 {
		t.Errorf("load is %+v", load)
	}
	ended.Wait()
}

// heap is how much memory is in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// asker is a client of a network.
func asker(network, client string) resolver.Asker {
	return resolver.Asker{Network: network, Client: netip.MustParsePrefix(client)}
}

// A domain that nobody answers takes the room of nobody else: neither of another
// network, nor of another client, nor of other names of the same client.
func TestASilentDomainTakesNobodysRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room = 200
		_, p := simulate(t, 1, forward.Config{MaxInFlight: room})
		forward.Simulate(p, silentBelow("silent.example"))
		var answered, made, failed atomic.Int64
		ask := func(name string, from resolver.Asker, done func(resolver.Reply, error)) {
			reply, pending, err := p.Start(question(name, dns.TypeA), from, time.Time{}, done)
			if !pending {
				done(reply, err)
			}
		}
		for i := range 10 * room {
			ask(fmt.Sprintf("n%d.silent.example", i), asker("one", "10.0.0.1/32"), func(_ resolver.Reply, err error) {
				if errors.Is(err, forward.ErrShed) {
					made.Add(1)
				}
			})
			if i%100 == 0 {
				time.Sleep(20 * time.Millisecond)
				for j, from := range []resolver.Asker{asker("two", "10.1.0.1/32"), asker("one", "10.0.0.2/32"), asker("one", "10.0.0.1/32")} {
					ask(fmt.Sprintf("www.example%d.com", j), from, func(_ resolver.Reply, err error) {
						if err != nil {
							failed.Add(1)
							t.Errorf("bystander %d: %v", j, err)
						}
						answered.Add(1)
					})
				}
			}
		}
		load := p.Load()
		time.Sleep(10 * time.Second)
		if answered.Load() != 60 || made.Load() < 9*room {
			t.Errorf("%d of 60 bystanders were answered, %d silent questions made room", answered.Load(), made.Load())
		}
		if load.InFlight > room || load.Capacity != room || load.Shed != int(made.Load()) || len(load.Limited) == 0 ||
			load.Limited[0].Suffix != "silent.example" {
			t.Errorf("load was %+v", load)
		}
	})
}

// One client that floods a group with a limit of queries takes nobody's turn.
func TestAFloodBeforeTheLimitTakesNobodysTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := simulate(t, 1, forward.Config{MaxQPS: 900})
		var answered atomic.Int64
		for i := range 20_000 { // 4,000 a second
			time.Sleep(250 * time.Microsecond)
			_, _, _ = p.Start(question(fmt.Sprintf("n%d.flood.example", i), dns.TypeA), asker("one", "10.0.0.1/32"), time.Time{},
				func(resolver.Reply, error) {})
			if i%100 != 0 {
				continue
			}
			began := time.Now()
			bystander := func(_ resolver.Reply, err error) {
				if took := time.Since(began); err != nil || took > 100*time.Millisecond {
					t.Errorf("a bystander got %v after %v", err, took)
				}
				answered.Add(1)
			}
			_, pending, err := p.Start(question("www.contoso.com", dns.TypeA), asker("two", "10.1.0.1/32"), time.Time{}, bystander)
			if !pending {
				t.Errorf("a bystander was not asked for: %v", err)
			}
		}
		time.Sleep(5 * time.Second)
		if answered.Load() != 200 {
			t.Errorf("%d of 200 bystanders were answered", answered.Load())
		}
		if load := p.Load(); load.InFlight != 0 || load.Queued != 0 || load.Shed == 0 {
			t.Errorf("load is %+v", load)
		}
	})
}

// A reply that comes long after the client has gone still counts, if whoever asked
// said so, and nobody is asked more often for that.
func TestAVeryLateReplyStillCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, p := simulate(t, 1, forward.Config{})
		sim.set("a", simulated{rtt: 3500 * time.Millisecond})
		began := time.Now()
		if _, err := exchange(p, question("www.contoso.com", dns.TypeA)); err != nil {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if n := sim.counts()["a"]; n > 3 {
			t.Errorf("the server was asked %d times", n)
		}
	})
}

// A fault of this program costs one question: it is counted, and the next one is
// answered.
func TestAPanicCostsOneQuestion(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	seen := &faulty{events: new(events)}
	p, empty := forward.Pooled(forward.Patient(newPool(t, forward.Config{
		Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: ample, Observer: seen,
	})))
	defer empty()
	seen.fails.Store(true)
	if _, err := exchange(p, question("www.contoso.com", dns.TypeA)); err == nil {
		t.Error("a question was answered in spite of a fault")
	}
	seen.fails.Store(false)
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	told := make(chan struct{})
	_, _, _ = p.Start(question("www.contoso.com", dns.TypeA), resolver.Asker{}, time.Now().Add(ample), func(resolver.Reply, error) {
		defer close(told)
		panic("as if the asker had a fault")
	})
	<-told
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	if got := seen.count("panicked azure"); got != 2 {
		t.Errorf("%d faults were counted, want 2", got)
	}
	if load := p.Load(); load.InFlight != 0 || p.State()[0].InFlight != 0 {
		t.Errorf("still in flight: %+v, %+v", load, p.State())
	}
}

// faulty is an Observer with a fault.
type faulty struct {
	*events
	fails atomic.Bool
}

func (f *faulty) UpstreamAnswered(group, server string, rcode int, took time.Duration) {
	if f.fails.Load() {
		panic("as if this program had a fault")
	}
	f.events.UpstreamAnswered(group, server, rcode, took)
}
