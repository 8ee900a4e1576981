package probe_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pldns/resolver/probe"
	"pldns/zones"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is what is reachable, by address.
type world struct {
	mutex  sync.Mutex
	down   map[netip.AddrPort]bool
	probed map[netip.AddrPort][]time.Time
}

func newWorld() *world {
	return &world{down: make(map[netip.AddrPort]bool), probed: make(map[netip.AddrPort][]time.Time)}
}

func (w *world) check(_ context.Context, target zones.Target, _ *x509.CertPool) error {
	to := target.AddrPort()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.probed[to] = append(w.probed[to], time.Now())
	if w.down[to] {
		return errors.New("connection refused")
	}
	return nil
}

func (w *world) set(to netip.AddrPort, down bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.down[to] = down
}

// tcp is a probe of a port.
func tcp(port uint16) zones.Probe { return zones.NewProbe(zones.ProbeSpec{Port: port}) }

func targets(n int) []zones.Target {
	var all []zones.Target
	for i := range n {
		all = append(all, zones.Target{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Probe: tcp(1433)})
	}
	return all
}

// run runs a prober until the test ends. Within a bubble of synctest its time is
// made up, and a sleep is how a test moves it on.
func run(t *testing.T, p *probe.Prober) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// A closed port is noticed within two intervals, an open one after as many, and
// one failure is not enough.
func TestHysteresis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newWorld(), targets(2)
		p := probe.New(probe.Config{Check: w.check})
		p.Watch(probe.Plan{Targets: all, Interval: 10 * time.Second})
		run(t, p)
		healthy := func(want bool, when string) {
			t.Helper()
			synctest.Wait()
			if got := p.Healthy(all[0]); got != want || want != (p.Fault(all[0]) == "") {
				t.Errorf("%s: healthy is %v, the fault %q", when, got, p.Fault(all[0]))
			}
			if since := p.Since(all[0]); want != since.IsZero() || since.After(time.Now()) {
				t.Errorf("%s: not healthy since %v", when, since)
			}
			if !p.Healthy(all[1]) {
				t.Errorf("%s: the other target is not healthy", when)
			}
		}
		healthy(true, "before the first probe")
		time.Sleep(time.Minute)
		healthy(true, "up")
		w.set(all[0].AddrPort(), true)
		time.Sleep(10 * time.Second)
		healthy(true, "after one failure")
		time.Sleep(10*time.Second + time.Millisecond)
		healthy(false, "after two intervals")
		w.set(all[0].AddrPort(), false)
		time.Sleep(10 * time.Second)
		healthy(false, "after one success")
		time.Sleep(10*time.Second + time.Millisecond)
		healthy(true, "after two successes")
	})
}

// What is known of a target survives that others come and go.
func TestWatchKeepsHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newWorld(), targets(3)
		w.set(all[0].AddrPort(), true)
		p := probe.New(probe.Config{Check: w.check})
		p.Watch(probe.Plan{Targets: all[:2]})
		run(t, p)
		time.Sleep(time.Minute)
		p.Watch(probe.Plan{Targets: []zones.Target{all[0], all[2]}})
		synctest.Wait()
		if p.Healthy(all[0]) || !p.Healthy(all[2]) {
			t.Errorf("after a change of targets: %v %v", p.Healthy(all[0]), p.Healthy(all[2]))
		}
		p.Watch(probe.Plan{})
		if !p.Healthy(all[0]) {
			t.Error("a target that nobody watches is unhealthy")
		}
	})
}

// 10,000 targets do not make more than Rate probes in any second, and each is
// probed in its turn.
func TestRateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newWorld(), targets(10_000)
		p := probe.New(probe.Config{Rate: 200, Check: w.check})
		p.Watch(probe.Plan{Targets: all, Interval: 10 * time.Second})
		run(t, p)
		// Reloads, as often as they may come, change neither the rate nor that
		// everybody has a turn.
		for range 60 {
			time.Sleep(2 * time.Second)
			p.Watch(probe.Plan{Targets: all, Interval: 10 * time.Second})
		}
		synctest.Wait()
		w.mutex.Lock()
		defer w.mutex.Unlock()
		perSecond := make(map[int64]int)
		for _, times := range w.probed {
			for _, at := range times {
				perSecond[at.Unix()]++
			}
		}
		for second, count := range perSecond {
			if count > 201 {
				t.Errorf("%d probes in second %d", count, second)
			}
		}
		for _, target := range all {
			if n := len(w.probed[target.AddrPort()]); n < 2 {
				t.Fatalf("%s was probed %d times in two minutes", target.AddrPort(), n)
			}
		}
	})
}

// A slow target holds up nobody, and is not probed twice at once.
func TestSlowTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := targets(2)
		var silent silence
		p := probe.New(probe.Config{Check: func(ctx context.Context, target zones.Target, _ *x509.CertPool) error {
			if target != all[0] {
				return nil
			}
			return silent.check(ctx, target)
		}})
		p.Watch(probe.Plan{Targets: all, Interval: time.Second, Timeout: 5 * time.Second})
		run(t, p)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if p.Healthy(all[0]) || !p.Healthy(all[1]) || silent.most != 1 {
			t.Errorf("slow: healthy %v, other: healthy %v, probes at once %d", p.Healthy(all[0]), p.Healthy(all[1]), silent.most)
		}
	})
}

// silence is what targets do that say nothing, and what was seen of their probes.
type silence struct {
	mu          sync.Mutex
	under, most int // probes at once: now, and at most
	probed      map[zones.Target]bool
}

// check probes a target that says nothing until ctx ends.
func (s *silence) check(ctx context.Context, target zones.Target) error {
	s.mu.Lock()
	if s.probed == nil {
		s.probed = make(map[zones.Target]bool)
	}
	s.probed[target] = true
	s.under++
	s.most = max(s.most, s.under)
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.under--
	s.mu.Unlock()
	return ctx.Err()
}

// However many targets say nothing, only so many connections are open at once.
func TestParallelIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := targets(100)
		var silent silence
		p := probe.New(probe.Config{Parallel: 7, Check: func(ctx context.Context, target zones.Target, _ *x509.CertPool) error {
			return silent.check(ctx, target)
		}})
		p.Watch(probe.Plan{Targets: all, Interval: time.Second, Timeout: 10 * time.Second})
		run(t, p)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if silent.most != 7 || len(silent.probed) != len(all) {
			t.Errorf("%d probes at once, of %d targets", silent.most, len(silent.probed))
		}
		if got := p.Fault(all[0]); got != "no answer within 10s" {
			t.Errorf("the fault is %q", got)
		}
	})
}

// A plan changes how often and how patiently is probed, at once.
func TestPlanChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newWorld(), targets(1)
		p := probe.New(probe.Config{Check: w.check})
		p.Watch(probe.Plan{Targets: all, Interval: time.Hour})
		run(t, p)
		time.Sleep(time.Second)
		w.set(all[0].AddrPort(), true)
		p.Watch(probe.Plan{Targets: all, Interval: time.Second, Fall: 4, Rise: 1})
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if !p.Healthy(all[0]) {
			t.Error("unhealthy after three or four probes")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if p.Healthy(all[0]) {
			t.Error("healthy after four failures")
		}
		w.set(all[0].AddrPort(), false)
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if !p.Healthy(all[0]) {
			t.Error("unhealthy after a success, where one is enough")
		}
	})
}

// seen is an observer that passes on what it is told.
type seen struct{ unhealthy chan int }

func (seen) Probed(zones.ProbeKind, bool) {}
func (seen) Panicked(string)              {}
func (s seen) Unhealthy(n int)            { s.unhealthy <- n }
func (s seen) await(want int) {
	for <-s.unhealthy != want {
	}
}

// On real sockets: a listener that is closed, and opened again.
func TestRealPort(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := listener.Addr().(*net.TCPAddr).AddrPort()
	target := zones.Target{Addr: at.Addr(), Probe: tcp(at.Port())}
	told := seen{make(chan int, 100)}
	p := probe.New(probe.Config{Observer: told})
	p.Watch(probe.Plan{Targets: []zones.Target{target}, Interval: 5 * time.Millisecond})
	run(t, p)
	listener.Close()
	told.await(1)
	if p.Healthy(target) {
		t.Error("a closed port is healthy")
	}
	listener, err = net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	told.await(0)
	if !p.Healthy(target) {
		t.Error("an open port is not healthy")
	}
}

// A probe that meets a fault of this program has failed: it is counted, and others
// are probed on.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := new(panicked)
		p := probe.New(probe.Config{Observer: panics, Check: func(_ context.Context, target zones.Target, _ *x509.CertPool) error {
			if target == targets(2)[0] {
				panic("a reply that nobody thought of")
			}
			return nil
		}})
		ill, well := targets(2)[0], targets(2)[1]
		p.Watch(probe.Plan{Targets: []zones.Target{ill, well}, Fall: 1})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		time.Sleep(time.Minute)
		if p.Healthy(ill) || !p.Healthy(well) || panics.count.Load() == 0 {
			t.Errorf("%v and %v, %d panics", p.Healthy(ill), p.Healthy(well), panics.count.Load())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// panicked is an observer that counts panics.
type panicked struct{ count atomic.Int64 }

func (*panicked) Probed(zones.ProbeKind, bool) {}
func (*panicked) Unhealthy(int)                {}
func (p *panicked) Panicked(part string) {
	if part == "probe" {
		p.count.Add(1)
	}
}
