package daemon

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// heapFloor is how large the heap may grow before garbage is collected, in
	// bytes. A small server under a flood of new names would else collect all the
	// time, which takes a sixth of what it does; a large one, which holds more than
	// half of this, collects when the heap has doubled, as every Go program does.
	heapFloor = 128 << 20
	// usualPercent is the default of the runtime, and mostPercent a bound for the
	// smallest of servers.
	usualPercent, mostPercent = 100, 1000
	// bulkPercent holds while much is made that is garbage at once: see pacer.bulk.
	bulkPercent = 25
)

// pacer decides how far the heap may grow between two collections.
type pacer struct {
	bulks atomic.Int64  // how much work in bulk is under way
	kick  chan struct{} // has room for one
}

func newPacer() *pacer { return &pacer{kick: make(chan struct{}, 1)} }

// bulk says that work in bulk begins, until what it gives is called: a listing of an
// estate leaves many times more behind than is kept of it, and would fill the heap to
// the floor each time. It is collected often instead, which costs little beside it.
func (p *pacer) bulk() (done func()) {
	p.change(1)
	return func() { p.change(-1) }
}

func (p *pacer) change(by int64) {
	p.bulks.Add(by)
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// run lets the heap grow to heapFloor between two collections, until ctx ends, or to a
// quarter of the memory limit, if that is less. Whoever sets GOGC knows better.
func (p *pacer) run(ctx context.Context, limit int64) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	floor := heapFloor
	if limit < math.MaxInt64 {
		floor = min(floor, int(limit/4))
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := usualPercent
	defer func() { debug.SetGCPercent(usualPercent) }()
	collected := make(chan struct{}, 1)
	watchCollector(ctx, collected)
	for {
		metrics.Read(live)
		want := collectPercent(int(live[0].Value.Uint64()), floor)
		if p.bulks.Load() > 0 {
			want = bulkPercent
		}
		// To set it stops the world for a moment: not for little.
		if want < set*9/10 || want > set*11/10 {
			set = want
			debug.SetGCPercent(set)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-collected:
		case <-p.kick:
		}
	}
}

// sentinel is what nobody refers to, so that its finalizer runs after a collection.
type sentinel struct{ collected chan<- struct{} }

// watchCollector sends after each collection until ctx ends: what is held then decides
// how far the heap may grow before the next. Looked at by the clock, a server that begins
// to hold much would go on with what was right for one that holds little.
func watchCollector(ctx context.Context, collected chan<- struct{}) {
	var rearm func(*sentinel)
	rearm = func(s *sentinel) {
		select {
		case s.collected <- struct{}{}:
		default:
		}
		if ctx.Err() == nil {
			runtime.SetFinalizer(s, rearm)
		}
	}
	runtime.SetFinalizer(&sentinel{collected}, rearm)
}

// collectPercent is by how much more than what is held the heap may grow, so that it
// reaches the floor.
func collectPercent(live, floor int) int {
	return min(max(floor*100/max(live, 1)-100, usualPercent), mostPercent)
}
