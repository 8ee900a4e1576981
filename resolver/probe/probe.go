// Package probe finds out which addresses of endpoints can be reached, so that
// an endpoint with several answers with one that works.
package probe

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pldns/zones"
)

// Config says what stays the same for as long as a [Prober] lives. A zero number
// stands for its default.
type Config struct {
	// Rate is how many probes are begun in a second at most. Default 200.
	Rate int
	// Parallel is how many are under way at once at most: each holds a connection.
	// Default 1000.
	Parallel int
	// Check probes a target once, on a connection of its own, and says what is wrong.
	// Nil does what the target's probe says.
	Check func(ctx context.Context, target zones.Target, roots *x509.CertPool) error
	// Observer is told what comes of it; nil is nobody.
	Observer Observer
	// Log is told of every change of health; nil discards.
	Log *slog.Logger
}

// Plan is what is probed, how often and how patiently. A zero number or duration
// stands for its default.
type Plan struct {
	Targets []zones.Target
	// Interval is the time between two probes of one target. It grows when there
	// are so many targets that Rate would be exceeded. Default 10 s.
	Interval time.Duration
	// Timeout is how long one probe may take. Default 2 s.
	Timeout time.Duration
	// Fall is how many probes in a row must fail for a target to be unhealthy,
	// and Rise how many must succeed for it to be healthy again. Default 2 each.
	Fall, Rise int
	// Roots sign the certificates of targets; nil are those of the system.
	Roots *x509.CertPool
}

// Observer is told what probes find. Its methods are called by many goroutines
// at once.
type Observer interface {
	// Probed counts a probe.
	Probed(kind zones.ProbeKind, ok bool)
	// Unhealthy gives the number of unhealthy targets, when it has changed.
	Unhealthy(targets int)
	// Panicked counts a fault of this program that a probe met; part is "probe".
	Panicked(part string)
}

// Prober probes targets. Healthy, Fault, Since and Watch may be called at any time by any
// number of goroutines.
type Prober struct {
	config  Config
	current atomic.Pointer[watched]

	changed chan struct{} // holds a token when the plan has changed

	mutex sync.Mutex // held by whoever changes the plan or the health of a target
	ill   int        // unhealthy targets of the plan
}

// watched is a plan, and what is known of its targets.
type watched struct {
	plan   Plan
	states map[zones.Target]*state
}

// state is what is known of one target.
type state struct {
	fault atomic.Pointer[fault] // what is wrong with it; nil while it is healthy
	busy  atomic.Bool           // a probe of it is under way
	begun time.Time             // its last probe; only Run uses it

	// Only the one probe that is under way uses what follows.
	streak int // probes in a row that contradict what is known
}

// fault is what is wrong with a target, and since when.
type fault struct {
	text  string
	since time.Time
}

// New makes a prober without targets.
func New(config Config) *Prober {
	config.Rate = cmp.Or(max(config.Rate, 0), 200)
	config.Parallel = cmp.Or(max(config.Parallel, 0), 1000)
	if config.Check == nil {
		config.Check = check
	}
	config.Observer = cmp.Or[Observer](config.Observer, nobody{})
	config.Log = cmp.Or(config.Log, slog.New(slog.DiscardHandler))
	p := &Prober{config: config, changed: make(chan struct{}, 1)}
	p.current.Store(new(watched))
	return p
}

type nobody struct{}

func (nobody) Probed(zones.ProbeKind, bool) {}
func (nobody) Unhealthy(int)                {}
func (nobody) Panicked(string)              {}

// Watch replaces the plan. What is known of targets that stay is kept; new ones
// count as healthy until probes say otherwise.
func (p *Prober) Watch(plan Plan) {
	plan.Interval = cmp.Or(max(plan.Interval, 0), 10*time.Second)
	plan.Timeout = cmp.Or(max(plan.Timeout, 0), 2*time.Second)
	plan.Fall = cmp.Or(max(plan.Fall, 0), 2)
	plan.Rise = cmp.Or(max(plan.Rise, 0), 2)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.ill = 0
	before := p.current.Load().states
	next := &watched{plan: plan, states: make(map[zones.Target]*state, len(plan.Targets))}
	for _, target := range plan.Targets {
		known := before[target]
		if known == nil {
			known = new(state)
		}
		if next.states[target] == nil && known.fault.Load() != nil {
			p.ill++
		}
		next.states[target] = known
	}
	p.current.Store(next)
	p.config.Observer.Unhealthy(p.ill)
	select {
	case p.changed <- struct{}{}:
	default: // there is a token already
	}
}

// Healthy tells whether a target can be reached, as far as is known.
func (p *Prober) Healthy(target zones.Target) bool {
	known := p.current.Load().states[target]
	return known == nil || known.fault.Load() == nil
}

// Fault says what is wrong with a target that is not healthy, in one short line:
// what the probe found that made it so. It is empty for a healthy one.
func (p *Prober) Fault(target zones.Target) string {
	return p.fault(target).text
}

// Since is when a target became unhealthy; zero for a healthy one.
func (p *Prober) Since(target zones.Target) time.Time { return p.fault(target).since }

// fault is what is wrong with a target; zero for a healthy one.
func (p *Prober) fault(target zones.Target) fault {
	if known := p.current.Load().states[target]; known != nil {
		if found := known.fault.Load(); found != nil {
			return *found
		}
	}
	return fault{}
}

// probe probes a target once and judges what is known of it.
func (p *Prober) probe(ctx context.Context, plan *Plan, target zones.Target, s *state) {
	defer s.busy.Store(false)
	limited, cancel := context.WithTimeout(ctx, plan.Timeout)
	defer cancel()
	err := p.check(limited, target, plan.Roots)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the end of Run says nothing about the target
	}
	p.config.Observer.Probed(target.Probe.Spec().Kind, err == nil)
	p.judge(plan, target, s, err)
}

// check is Config.Check. What a foreign server answers must not be able to end the
// process: a panic is a fault of this program, and the probe has failed.
func (p *Prober) check(ctx context.Context, target zones.Target, roots *x509.CertPool) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			p.config.Observer.Panicked("probe")
			p.config.Log.Error("panic in a probe", "address", target.Addr, "panic", fault, "stack", string(debug.Stack()))
			err = errors.New("this program met a fault of its own")
		}
	}()
	return p.config.Check(ctx, target, roots)
}

// judge changes the health of a target when enough probes in a row say so.
func (p *Prober) judge(plan *Plan, target zones.Target, s *state, err error) {
	ill := s.fault.Load() != nil
	if ok := err == nil; ok != ill {
		s.streak = 0 // it is as it was thought to be
		return
	}
	s.streak++
	if limit := map[bool]int{true: plan.Rise, false: plan.Fall}[ill]; s.streak < limit {
		return
	}
	s.streak = 0
	about := []any{"address", target.Addr, "probe", target.Probe}
	if name := target.Probe.Spec().Name; !name.IsZero() {
		about = append(about, "name", name)
	}
	if ill {
		p.change(target, s, nil)
		p.config.Log.Info("endpoint address is healthy again", about...)
		return
	}
	found := &fault{wording(err, plan.Timeout), time.Now()}
	p.change(target, s, found)
	p.config.Log.Warn("endpoint address is not healthy", append(about, "error", found.text)...)
}

// change changes the health of a target, and counts it if it is still watched.
func (p *Prober) change(target zones.Target, s *state, found *fault) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s.fault.Store(found)
	if p.current.Load().states[target] != s {
		return
	}
	if found != nil {
		p.ill++
	} else {
		p.ill--
	}
	p.config.Observer.Unhealthy(p.ill)
}

// maxFault is how many octets of a fault are kept: a foreign server has a say in it.
const maxFault = 300

// wording puts what a probe found into one short line.
func wording(err error, timeout time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + timeout.String()
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	if len(text) > maxFault {
		text = strings.ToValidUTF8(text[:maxFault], "") + "..."
	}
	return text
}
