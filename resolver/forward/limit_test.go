package forward_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/forward"
)

// Azure drops what exceeds 1000 queries a second from one machine: with max_qps
// below, that never happens, and what is too much fails at once.
func TestMaxQPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 900
		seen := new(events)
		sim, p := simulate(t, 2, forward.Config{MaxQPS: rate, MaxInFlight: 100_000, Observer: seen})
		var asking sync.WaitGroup
		var answered, shed atomic.Int64
		for second := range 5 {
			for range 5000 { // five times too much, all over the second
				time.Sleep(200 * time.Microsecond)
				asking.Go(func() {
					switch _, err := exchange(p, question("www.contoso.com", dns.TypeA)); {
					case err == nil:
						answered.Add(1)
					case errors.Is(err, forward.ErrShed):
						shed.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			sent := 0
			for _, n := range sim.counts() {
				sent += n
			}
			if sent > 1000 || sent < rate*9/10 {
				t.Errorf("%d queries were sent in second %d, the limit is %d", sent, second, rate)
			}
		}
		asking.Wait()
		if answered.Load()+shed.Load() != 25_000 || seen.count("shed") != int(shed.Load()) {
			t.Errorf("%d answered, %d shed, %d reported", answered.Load(), shed.Load(), seen.count("shed"))
		}
	})
}

// A little too much for a moment only waits.
func TestABurstWaitsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := simulate(t, 1, forward.Config{MaxQPS: 100})
		began := time.Now()
		var asking sync.WaitGroup
		for range 18 { // ten at once, and more for the next tenth of a second
			asking.Go(func() {
				if _, err := exchange(p, question("www.contoso.com", dns.TypeA)); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("the burst took %v", took)
		}
	})
}

// Ten times the load of a dead upstream: what is under way stays bounded, and
// all is answered in time.
func TestADeadUpstreamUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 100
		sim, p := simulate(t, 2, forward.Config{MaxInFlight: bound})
		for _, server := range []string{"a", "b"} {
			sim.set(server, simulated{rtt: time.Millisecond, loss: 1})
		}
		var asking sync.WaitGroup
		for range 10 * bound {
			asking.Go(func() {
				began := time.Now()
				if _, err := exchange(p, question("www.contoso.com", dns.TypeA)); err == nil {
					t.Error("a dead upstream answered")
				}
				if took := time.Since(began); took > 5100*time.Millisecond {
					t.Errorf("it took %v to fail", took)
				}
			})
		}
		time.Sleep(2 * time.Second)
		for _, s := range p.State() {
			if s.InFlight > 2*bound {
				t.Errorf("server %s has %d queries in flight", s.Server, s.InFlight)
			}
		}
		asking.Wait()
		for _, s := range p.State() {
			if s.InFlight != 0 {
				t.Errorf("server %s still has %d queries in flight", s.Server, s.InFlight)
			}
		}
	})
}
