package daemon

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// supervisor runs the long-lived parts behind the listeners, each until it is retired or all
// are stopped.
type supervisor struct {
	ctx   context.Context
	group errgroup.Group
	stop  map[any]context.CancelFunc // by part
}

// runner is a long-lived part.
type runner interface {
	Run(context.Context) error
}

// newSupervisor makes a supervisor of parts that end with ctx.
func newSupervisor(ctx context.Context) *supervisor {
	return &supervisor{ctx: ctx, stop: make(map[any]context.CancelFunc)}
}

// begin runs parts that do not run yet.
func (l *supervisor) begin(parts []runner) {
	for _, part := range parts {
		if l.stop[part] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(l.ctx)
		l.stop[part] = cancel
		l.group.Go(func() error { return part.Run(ctx) })
	}
}

// retire stops the parts that run and are not among those to keep, after the
// patience that what still uses them needs.
func (l *supervisor) retire(keep []runner, patience time.Duration) {
	kept := make(map[any]bool)
	for _, part := range keep {
		kept[part] = true
	}
	for part, cancel := range l.stop {
		if kept[part] {
			continue
		}
		delete(l.stop, part)
		l.group.Go(func() error {
			defer cancel()
			select {
			case <-l.ctx.Done():
			case <-time.After(patience):
			}
			return nil
		})
	}
}

// wait waits until all of them have ended.
func (l *supervisor) wait() error { return l.group.Wait() }
