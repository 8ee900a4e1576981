package forward

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pldns/resolver"
)

const (
	// badWeight is how much one outcome weighs in the share of bad ones: four
	// failures in a row make a healthy server an unhealthy one.
	badWeight = 1.0 / 6
	// badLimit is the share of bad outcomes above which a server is unhealthy.
	badLimit = 0.5
	// badAfterRecovery is the share that a server starts with which was unhealthy:
	// it is trusted again, but not for long if it fails again.
	badAfterRecovery = 0.25
	// firstPause and lastPause bound how long an unhealthy server is left alone
	// before it is tried again; each failed check doubles the pause.
	firstPause = 250 * time.Millisecond
	lastPause  = 2 * time.Second
	// rttWeight is how much one round trip weighs in the smoothed time.
	rttWeight = 1.0 / 8
	// rttHalfLife is how long it takes an idle server's time to be taken for half
	// of what it was, so that a slow server is tried again.
	rttHalfLife = time.Minute
	// rttSamples is how many round trips the percentile is taken from.
	rttSamples = 64
	// rttEvery is after how many new ones it is taken again, as long as there are few:
	// with a full ring, half of it may be new.
	rttEvery = 8
)

// health is what is known of a server by how it answered. Its methods may be
// called by many goroutines at once.
type health struct {
	mu       sync.Mutex
	down     bool
	since    time.Time // when it went down
	bad      float64   // the share of bad outcomes, recent ones weighing most
	pause    time.Duration
	again    time.Time         // when a server that is down is to be tried
	question resolver.Question // the last one it failed
	srtt     time.Duration
	asked    time.Time // when the last round trip ended
	ring     [rttSamples]time.Duration
	count    int          // of round trips ever
	late     atomic.Int64 // the percentile, in nanoseconds; 0 as long as it is not known
}

// answered takes a good outcome after a round trip, 0 if it is not known how long
// that took; changed says that the server is healthy from now on and was not.
func (h *health) answered(now time.Time, took time.Duration) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if took > 0 {
		h.smooth(now, took)
		h.ring[h.count%rttSamples] = took
		h.count++
		if every := min(max(rttEvery, h.count/4), rttSamples/2); h.count%every == 0 {
			h.late.Store(int64(percentile(h.ring[:min(h.count, rttSamples)])))
		}
	}
	h.bad -= h.bad * badWeight
	if !h.down {
		return false
	}
	h.down, h.pause, h.bad = false, 0, badAfterRecovery
	return true
}

// failed takes a bad outcome of q; changed says that the server is unhealthy from
// now on and was not.
func (h *health) failed(now time.Time, q resolver.Question) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.question, h.asked = q, now
	h.bad += (1 - h.bad) * badWeight
	switch {
	case h.down:
		if !now.Before(h.again) { // this was its check
			h.postpone(now)
		}
		return false
	case h.bad <= badLimit:
		return false
	}
	h.down, h.since = true, now
	h.postpone(now)
	return true
}

// overtaken takes an outcome that was not waited for, because another server
// answered a question that was asked later. How long it would have taken is not
// known, so it has no part in what is usual.
func (h *health) overtaken(now time.Time, took time.Duration, q resolver.Question) (changed bool) {
	h.mu.Lock()
	h.smooth(now, took)
	h.mu.Unlock()
	return h.failed(now, q)
}

// tried takes the outcome of a check that found the server still unwell.
func (h *health) tried(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.postpone(now)
}

// postpone sets the time of the next check. It is spread by chance, so that the
// servers of a group are not tried in step.
func (h *health) postpone(now time.Time) {
	h.pause = min(max(2*h.pause, firstPause), lastPause)
	h.again = now.Add(h.pause/2 + rand.N(h.pause/2))
}

// smooth takes a round trip into the smoothed time.
func (h *health) smooth(now time.Time, took time.Duration) {
	if h.srtt == 0 {
		h.srtt = took
	}
	h.srtt += time.Duration(rttWeight * float64(took-h.srtt))
	h.asked = now
}

// percentile is the 95th of some round trips.
func percentile(rtts []time.Duration) time.Duration {
	var room [rttSamples]time.Duration // not worth any garbage
	sorted := room[:copy(room[:], rtts)]
	slices.Sort(sorted)
	return sorted[len(sorted)*95/100]
}

// usual is within what time 19 of 20 answers came lately, as far as a server is waited
// for; unknown if not enough of them came to tell.
func (h *health) usual(unknown, patience time.Duration) time.Duration {
	within := time.Duration(h.late.Load())
	if within <= 0 {
		within = unknown
	}
	return min(max(within, hedgeLeast), patience)
}

// healthy tells whether the server is healthy; if not, also when it is to be
// tried again and with which question.
func (h *health) healthy() (healthy bool, again time.Time, q resolver.Question) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.down, h.again, h.question
}

// downSince is when the server became unhealthy; zero while it is healthy.
func (h *health) downSince() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.down {
		return time.Time{}
	}
	return h.since
}

// score is how long an answer is expected to take, in nanoseconds, for
// comparison: the smoothed time, or another attempt if there is none. It fades while
// the server is idle. A server never asked has the best score.
func (h *health) score(now time.Time) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	idle := float64(max(now.Sub(h.asked), 0)) / float64(rttHalfLife)
	expected := float64(h.srtt)*(1-h.bad) + float64(maxPatience)*h.bad
	return expected * math.Exp2(-idle)
}

// figures are the smoothed round trip and the share of bad outcomes.
func (h *health) figures() (srtt time.Duration, bad float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.srtt, h.bad
}
