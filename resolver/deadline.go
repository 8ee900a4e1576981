package resolver

import (
	"context"
	"sync"
	"time"
)

// Limited is a context with a deadline that costs nothing as long as nobody waits
// for its end: most questions are answered long before, by rooms that read the
// deadline and keep a clock of their own. It may be used by many goroutines at
// once.
type Limited struct {
	context.Context // it is within
	deadline        time.Time

	mu     sync.Mutex
	timed  context.Context // ends at the deadline; nil as long as nobody waits
	cancel context.CancelFunc
	ended  bool
}

// WithDeadline is [context.WithDeadline] for a context that is hardly ever waited
// for. Its End must be called.
func WithDeadline(ctx context.Context, deadline time.Time) *Limited {
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(deadline) {
		deadline = sooner
	}
	return &Limited{Context: ctx, deadline: deadline}
}

// Outer is what ends ctx besides its deadline: for those who keep the deadline by
// themselves.
func Outer(ctx context.Context) context.Context {
	for {
		limited, is := ctx.(*Limited)
		if !is {
			return ctx
		}
		ctx = limited.Context
	}
}

// Deadline is when the context ends at the latest.
func (l *Limited) Deadline() (time.Time, bool) { return l.deadline, true }

// Done is closed when the context ends. Only now there is a timer.
func (l *Limited) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timed == nil {
		l.timed, l.cancel = context.WithDeadline(l.Context, l.deadline)
		if l.ended {
			l.cancel()
		}
	}
	return l.timed.Done()
}

// Err says why the context has ended, nil if it has not.
func (l *Limited) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.timed != nil:
		return l.timed.Err()
	case l.Context.Err() != nil:
		return l.Context.Err()
	case l.ended:
		return context.Canceled
	case !time.Now().Before(l.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// Value is that of the context it is within.
func (l *Limited) Value(key any) any {
	l.mu.Lock()
	from := l.timed
	l.mu.Unlock()
	if from == nil {
		from = l.Context
	}
	return from.Value(key)
}

// End ends the context, and lets go of what its waiting has taken.
func (l *Limited) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.cancel != nil {
		l.cancel()
	}
}
