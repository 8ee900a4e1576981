package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// lives runs long-lived parts behind the doors, each until it is retired or all
// are stopped.
type lives struct {
	ctx   context.Context
	group errgroup.Group
	stop  map[any]context.CancelFunc // by part
}

// runner is a long-lived part.
type runner interface {
	Run(context.Context) error
}

// newLives makes a set of lives that end with ctx.
func newLives(ctx context.Context) *lives {
	return &lives{ctx: ctx, stop: make(map[any]context.CancelFunc)}
}

// begin runs parts that do not run yet.
func (l *lives) begin(parts []runner) {
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
func (l *lives) retire(keep []runner, patience time.Duration) {
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

// wait waits until all lives have ended.
func (l *lives) wait() error { return l.group.Wait() }
