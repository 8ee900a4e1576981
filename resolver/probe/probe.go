// Package probe finds out which addresses of endpoints can be reached, so that
// an endpoint with several answers with one that works.
package probe

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pldns/zones"
)

// Config says how often and how patiently is probed. A zero number or duration
// stands for its default.
type Config struct {
	// Interval is the time between two probes of one target. It grows when there
	// are so many targets that Rate would be exceeded. Default 10 s.
	Interval time.Duration
	// Timeout is how long one probe may take. Default 2 s.
	Timeout time.Duration
	// Fall is how many probes in a row must fail for a target to be unhealthy,
	// and Rise how many must succeed for it to be healthy again. Default 2 each.
	Fall, Rise int
	// Rate is how many probes are begun in a second at most. Default 200.
	Rate int
	// Dial opens and closes a connection to a target. Nil does so over TCP.
	Dial func(ctx context.Context, to netip.AddrPort) error
	// Observer is told what comes of it; nil is nobody.
	Observer Observer
	// Log is told of every change of health; nil discards.
	Log *slog.Logger
}

// Observer is told what probes find. Its methods are called by many goroutines
// at once.
type Observer interface {
	// Probed counts a probe.
	Probed(ok bool)
	// Unhealthy gives the number of unhealthy targets, when it has changed.
	Unhealthy(targets int)
}

// Prober probes targets. Healthy and Watch may be called at any time by any
// number of goroutines.
type Prober struct {
	config Config
	states atomic.Pointer[map[zones.Target]*state]

	watching sync.Mutex    // held by Watch
	changed  chan struct{} // holds a token when the targets have changed
	ill      atomic.Int64
}

// state is what is known of one target. Only the one probe of it that is under
// way writes; everybody may read ill.
type state struct {
	ill    atomic.Bool
	busy   atomic.Bool
	streak int // probes in a row that contradict ill
}

// New makes a prober without targets.
func New(config Config) *Prober {
	setDefault(&config.Interval, 10*time.Second)
	setDefault(&config.Timeout, 2*time.Second)
	setDefault(&config.Fall, 2)
	setDefault(&config.Rise, 2)
	setDefault(&config.Rate, 200)
	if config.Dial == nil {
		config.Dial = dialTCP
	}
	if config.Observer == nil {
		config.Observer = nobody{}
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	p := &Prober{config: config, changed: make(chan struct{}, 1)}
	p.states.Store(&map[zones.Target]*state{})
	return p
}

func setDefault[T int | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

type nobody struct{}

func (nobody) Probed(bool)   {}
func (nobody) Unhealthy(int) {}

// dialTCP is healthy where a TCP connection is accepted.
func dialTCP(ctx context.Context, to netip.AddrPort) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", to.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// Watch replaces the targets. What is known of those that stay is kept; new ones
// count as healthy until probes say otherwise.
func (p *Prober) Watch(targets []zones.Target) {
	p.watching.Lock()
	defer p.watching.Unlock()
	before := *p.states.Load()
	states := make(map[zones.Target]*state, len(targets))
	ill := 0
	for _, target := range targets {
		known := before[target]
		if known == nil {
			known = new(state)
		}
		states[target] = known
		if known.ill.Load() {
			ill++
		}
	}
	p.states.Store(&states)
	p.ill.Store(int64(ill))
	p.config.Observer.Unhealthy(ill)
	select {
	case p.changed <- struct{}{}:
	default: // there is a token already
	}
}

// Healthy tells whether a target can be reached, as far as is known.
func (p *Prober) Healthy(target zones.Target) bool {
	known := (*p.states.Load())[target]
	return known == nil || !known.ill.Load()
}

// Run probes until ctx ends, and returns when the last probe has ended. Probes
// are spread evenly over the interval, in an order drawn at random, so that
// neither this program nor the targets see bursts.
func (p *Prober) Run(ctx context.Context) error {
	var probes sync.WaitGroup
	defer probes.Wait()
	for ctx.Err() == nil {
		states := *p.states.Load()
		if len(states) > 0 {
			p.rounds(ctx, states, &probes)
			continue
		}
		select {
		case <-ctx.Done():
		case <-p.changed:
		}
	}
	return nil
}

// rounds begins one probe of every target in each interval, until the targets
// change or ctx ends. Each target keeps its place in the round, so that its
// probes are one interval apart.
func (p *Prober) rounds(ctx context.Context, states map[zones.Target]*state, probes *sync.WaitGroup) {
	targets := slices.Collect(maps.Keys(states))
	rand.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	gap := max(p.config.Interval/time.Duration(len(targets)), time.Second/time.Duration(p.config.Rate))
	pace := time.NewTicker(gap)
	defer pace.Stop()
	for turn := 0; ; turn = (turn + 1) % len(targets) {
		target := targets[turn]
		if state := states[target]; state.busy.CompareAndSwap(false, true) {
			probes.Go(func() { p.probe(ctx, target, state) })
		}
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
			return
		case <-pace.C:
		}
	}
}

// probe probes a target once and judges what is known of it.
func (p *Prober) probe(ctx context.Context, target zones.Target, s *state) {
	defer s.busy.Store(false)
	limited, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	err := p.config.Dial(limited, target.AddrPort())
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the end of Run says nothing about the target
	}
	p.config.Observer.Probed(err == nil)
	p.judge(target, s, err)
}

// judge changes the health of a target when enough probes in a row say so.
func (p *Prober) judge(target zones.Target, s *state, err error) {
	ill := s.ill.Load()
	if ok := err == nil; ok != ill {
		s.streak = 0 // it is as it was thought to be
		return
	}
	s.streak++
	if limit := map[bool]int{true: p.config.Rise, false: p.config.Fall}[ill]; s.streak < limit {
		return
	}
	s.streak = 0
	s.ill.Store(!ill)
	change := int64(1)
	if ill {
		change = -1
		p.config.Log.Info("endpoint address is healthy again", "address", target.AddrPort())
	} else {
		p.config.Log.Warn("endpoint address is not healthy", "address", target.AddrPort(), "error", err)
	}
	p.config.Observer.Unhealthy(int(p.ill.Add(change)))
}
