package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// readingPatience is how long a reload may read the configuration before the next
	// one goes on beside it. A million endpoints are read in less.
	readingPatience = 10 * time.Second
	// reloadPatience is how long whoever asks for a reload waits for what comes of it.
	reloadPatience = 20 * time.Second
	// MaxReadings is how many reloads may read at one time: each that hangs keeps a
	// thread of the system and what it has read.
	MaxReadings = 4
)

// reloads lets one reload read the configuration at a time, but none wait for one
// that hangs, as on a file of a share that does not answer: that cannot be ended,
// only left behind. Of what several read, only what is newer than what is served is
// served.
type reloads struct {
	reading, whole time.Duration // readingPatience, reloadPatience

	mutex   sync.Mutex
	begun   int        // how many have begun
	settled int        // the number of the newest of which something came
	open    []*reading // those that have not ended, in order
}

// reading is one reload.
type reading struct {
	number int
	since  time.Time
	ended  chan struct{}
}

func newReloads(o Options) *reloads {
	return &reloads{reading: cmp.Or(o.ReadPatience, readingPatience), whole: cmp.Or(o.ReloadPatience, reloadPatience)}
}

// begin waits until no reload reads that may be expected to end, and begins one.
// Those that hang already are given besides.
func (r *reloads) begin(ctx context.Context) (next *reading, hanging []time.Duration, err error) {
	for {
		next, hanging, last := r.tryBegin()
		switch {
		case next != nil:
			return next, hanging, nil
		case last == nil:
			return nil, hanging, fmt.Errorf("%d reloads hang, the first for %s: a file of the configuration does not answer; "+
				"make it answer, or restart the program", len(hanging), hanging[0].Round(time.Second))
		}
		patience := time.NewTimer(r.reading - time.Since(last.since))
		select {
		case <-last.ended:
		case <-patience.C:
		case <-ctx.Done():
			patience.Stop()
			return nil, hanging, fmt.Errorf("another reload has been under way for %s: try again when it has ended",
				time.Since(last.since).Round(time.Second))
		}
		patience.Stop()
	}
}

// tryBegin begins a reload, or gives the one to wait for; neither if too many hang.
func (r *reloads) tryBegin() (next *reading, hanging []time.Duration, last *reading) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, open := range r.open {
		since := time.Since(open.since)
		if since < r.reading {
			return nil, hanging, open
		}
		hanging = append(hanging, since)
	}
	if len(r.open) >= MaxReadings {
		return nil, hanging, nil
	}
	r.begun++
	next = &reading{number: r.begun, since: time.Now(), ended: make(chan struct{})}
	r.open = append(r.open, next)
	return next, hanging, nil
}

// end says that a reload has ended.
func (r *reloads) end(done *reading) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.open = slices.DeleteFunc(r.open, func(open *reading) bool { return open == done })
	close(done.ended)
}

// errOvertaken is a reload that took so long that a later one has ended before it.
var errOvertaken = errors.New("a later reload has ended before this one, so what this one has read is not served")

// settle says that something comes of a reload, unless something has come of a
// later one.
func (r *reloads) settle(done *reading) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if done.number < r.settled {
		return errOvertaken
	}
	r.settled = done.number
	return nil
}

// isSettled tells whether something came of a reload, or of a later one.
func (r *reloads) isSettled(turn *reading) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return turn.number <= r.settled
}

// since is when the first of those that have not ended began; zero when there is none.
func (r *reloads) since() time.Time {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(r.open) == 0 {
		return time.Time{}
	}
	return r.open[0].since
}

// errStopping is a reload that ended after the server.
var errStopping = errors.New("the server is stopping")

// abandon runs do, and gives up waiting for it when ctx ends, for what may hang in
// the system.
func abandon[T any](ctx context.Context, do func() T) (T, error) {
	done := make(chan T, 1)
	go func() { done <- do() }()
	select {
	case result := <-done:
		return result, nil
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
