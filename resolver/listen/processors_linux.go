//go:build !portable

package listen

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// spareFor is how long processors stay that nobody holds: to add them and to take them
// off stops all goroutines for a moment.
const spareFor = 5 * time.Second

// processors are those of the Go runtime, and one more for each reader that holds one
// while it waits in the system, so that there are as many as before for everything
// else. The additional ones are there only while there are such readers: a processor
// that has nothing to do looks for work whenever a connection has some, and where
// clients come over TCP alone that costs a quarter of all.
type processors struct {
	extra int // at most
	taken atomic.Int64
	added atomic.Bool
	want  chan struct{} // somebody would hold one, and there are no more than usual
	look  <-chan time.Time
}

// newProcessors are processors for so many readers. None is added yet.
func newProcessors(readers int) *processors {
	return &processors{extra: min(readers, 2*runtime.GOMAXPROCS(0)), want: make(chan struct{}, 1)}
}

// enter takes a processor, if there is one to be held; if not, there may be the next
// time.
func (p *processors) enter() bool {
	if p.extra == 0 {
		return false
	}
	if p.taken.Add(1) <= int64(p.extra) && p.added.Load() {
		return true
	}
	p.taken.Add(-1)
	select {
	case p.want <- struct{}{}:
	default: // it is known
	}
	return false
}

// leave gives a processor back.
func (p *processors) leave() { p.taken.Add(-1) }

// run adds processors when they are wanted, and takes them off when they have not been
// held for a while, until ctx ends.
func (p *processors) run(ctx context.Context) {
	usual := runtime.GOMAXPROCS(0)
	var ticker *time.Ticker
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-p.want:
			if !p.added.Load() {
				runtime.GOMAXPROCS(usual + p.extra)
				p.added.Store(true)
				ticker = time.NewTicker(spareFor)
				p.look = ticker.C
			}
		case <-p.look:
			if p.unused() {
				ticker.Stop()
				runtime.GOMAXPROCS(usual)
			}
		}
	}
	if p.added.Swap(false) {
		ticker.Stop()
		runtime.GOMAXPROCS(usual)
	}
}

// unused takes the additional processors out of use, unless somebody holds one. What
// is held only in between is found held the next time.
func (p *processors) unused() bool {
	p.added.Store(false)
	if p.taken.Load() > 0 { // whoever comes later sees that there are none
		p.added.Store(true)
		return false
	}
	return true
}
