package upstream

import (
	"context"
	"sync"
	"time"
)

const (
	// burstTime is how much of a second's queries may leave at once.
	burstTime = 100 * time.Millisecond
	// queueTime is how long a question may wait for its turn. A longer queue would
	// only make every answer late.
	queueTime = 100 * time.Millisecond
)

// bucket is a token bucket with a short queue. It is kept as the time at which it
// would be full again, so that it needs no goroutine (the generic cell rate
// algorithm). A nil bucket has no limit.
type bucket struct {
	mu       sync.Mutex
	interval time.Duration // between two queries
	burst    time.Duration
	full     time.Time
}

// newBucket makes a bucket for so many queries a second; 0 is no limit.
func newBucket(perSecond float64) *bucket {
	if perSecond <= 0 {
		return nil
	}
	interval := time.Duration(float64(time.Second) / perSecond)
	return &bucket{interval: interval, burst: max(burstTime, interval)}
}

// take takes a token and says how long to wait until it may be used; not ok if
// that is longer than patience.
func (b *bucket) take(now time.Time, patience time.Duration) (wait time.Duration, ok bool) {
	if b == nil {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	full := b.full
	if full.Before(now) {
		full = now
	}
	full = full.Add(b.interval)
	wait = max(full.Sub(now)-b.burst, 0)
	if wait > patience {
		return 0, false
	}
	b.full = full
	return wait, true
}

// wait takes a token and waits in the queue for it; false if the queue is too
// long or ctx ends.
func (b *bucket) wait(ctx context.Context) bool {
	wait, ok := b.take(time.Now(), queueTime)
	if !ok || wait == 0 {
		return ok
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

const (
	// hedgeShare is how many hedges a question earns. A server that loses a third
	// of its packets can be made up for; one that becomes slow as a whole does not
	// get twice the load.
	hedgeShare = 0.4
	// hedgeStore is how many hedges may be saved up.
	hedgeStore = 20
)

// allowance is how many hedges may be sent.
type allowance struct {
	mu   sync.Mutex
	left float64
}

// earn adds what one question earns.
func (a *allowance) earn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = min(a.left+hedgeShare, hedgeStore)
}

// spend takes one hedge, if there is one.
func (a *allowance) spend() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}
