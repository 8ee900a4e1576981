package probe

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"pldns/zones"
)

// Run probes until ctx ends, and returns when the last probe has ended. Probes are spread
// evenly over the interval, in an order drawn at random, so that neither this program nor
// the targets see bursts. The error is always nil.
func (p *Prober) Run(ctx context.Context) error {
	r := round{Prober: p, free: make(chan struct{}, p.config.Parallel)}
	defer r.probes.Wait()
	for ctx.Err() == nil {
		w := p.current.Load()
		if len(w.states) == 0 {
			p.sleep(ctx, nil)
			continue
		}
		r.follow(ctx, w)
	}
	return nil
}

// round is how far probing is. It outlives plans: however often these change, the
// rate is held.
type round struct {
	*Prober
	last   time.Time     // when the last probe was begun
	free   chan struct{} // holds a token for each probe under way
	probes sync.WaitGroup
}

// sleep waits for the timer, and tells whether it was neither the end nor a new
// plan that ended the wait. A nil timer never rings.
func (p *Prober) sleep(ctx context.Context, ring <-chan time.Time) bool {
	select {
	case <-ctx.Done():
	case <-p.changed:
	case <-ring:
		return true
	}
	return false
}

// follow begins one probe of every target in each interval, until the plan changes
// or ctx ends. Each target keeps its place in the order, so that its probes are one
// interval apart.
func (r *round) follow(ctx context.Context, w *watched) {
	order := r.order(w)
	gap := max(w.plan.Interval/time.Duration(len(order)), time.Second/time.Duration(r.config.Rate))
	timer := time.NewTimer(time.Until(r.last.Add(gap)))
	defer timer.Stop()
	for turn := 0; ; turn = (turn + 1) % len(order) {
		if !r.sleep(ctx, timer.C) {
			return
		}
		select { // not more at once than there may be
		case <-ctx.Done():
			return
		case r.free <- struct{}{}:
		}
		r.last = time.Now()
		timer.Reset(gap)
		r.begin(ctx, w, order[turn])
	}
}

// begin begins a probe, unless one of the target is under way.
func (r *round) begin(ctx context.Context, w *watched, target zones.Target) {
	state := w.states[target]
	if !state.busy.CompareAndSwap(false, true) {
		<-r.free
		return
	}
	state.begun = r.last
	r.probes.Go(func() {
		defer func() { <-r.free }()
		r.probe(ctx, &w.plan, target, state)
	})
}

// order is the order in which targets are probed: those first that have waited
// longest, so that a change of the plan, however frequent, makes nobody wait for
// ever; new ones at random.
func (r *round) order(w *watched) []zones.Target {
	order := make([]zones.Target, 0, len(w.states))
	for target := range w.states {
		order = append(order, target)
	}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	slices.SortStableFunc(order, func(a, b zones.Target) int {
		return w.states[a].begun.Compare(w.states[b].begun)
	})
	return order
}
