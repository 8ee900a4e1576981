package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Store is how the store of a fleet is followed, at one time.
type Store struct {
	Channel  string // of the configuration
	Release  string // that is served; empty for none
	Pushed   time.Time
	Answered time.Time // when the store answered last; zero where it never did
	// Reachable says that it answered the last time it was asked, Current that what is
	// served is what the channel named then.
	Reachable, Current, Refused, Saved bool
	Full                               bool             // it takes nothing that is written
	Took                               time.Duration    // how long the last answer took; 0 where there was none
	Failures                           map[string]int64 // by reason, of which there are few
	// Told says that the fleet was told of this instance; nil where the store knows none.
	Told *bool
	// Ahead is how far this machine's clock is ahead of the store's; nil where that is not known.
	Ahead *time.Duration
}

// Follow says whom to ask about the store at each look; it gives nil where there is none.
func (r *Recorder) Follow(now func() *Store) { r.store.now.Store(&now) }

// liveStore tells of the store as it is when somebody looks.
type liveStore struct {
	now atomic.Pointer[func() *Store]

	info, pushed, answered, reachable, current, refused, saved, failures *prometheus.Desc
	full, took, told, ahead                                              *prometheus.Desc
}

func newLiveStore() *liveStore {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pldns_store_"+name, help, append([]string{"channel"}, labels...), nil)
	}
	return &liveStore{
		info:      desc("release_info", "The release that is served, always 1; absent where there is none.", "release"),
		pushed:    desc("release_timestamp_seconds", "When the release that is served was pushed, in seconds since 1970; 0 for none."),
		answered:  desc("answered_timestamp_seconds", "When the store answered last, in seconds since 1970; 0 where it never did."),
		reachable: desc("reachable", "Whether the store answered the last time that it was asked: 1, or 0 when what is served goes on."),
		current:   desc("current", "Whether the release that is served is the one that the channel named last: 1 or 0."),
		refused:   desc("release_refused", "Whether the release that the channel names cannot be served here: 1 or 0."),
		saved:     desc("saved", "Whether the release that is served is on disk: 1 or 0."),
		failures: desc("failures_total",
			"Times that the store could not be followed, by reason: away, refused (no permission), damaged, absent or watch (cut off).",
			"reason"),
		full: desc("full", "Whether the store takes nothing more that is written: 1, or 0."),
		took: desc("answer_seconds", "How long the store took when it said last which release is served; 0 where it never did."),
		told: desc("reported", "Whether the fleet was told last time what this instance serves: 1 or 0; absent without etcd."),
		ahead: desc("clock_offset_seconds",
			"How far the clock of this machine is ahead of that of the store, good to a second or two; absent where it is not known."),
	}
}

// Describe implements [prometheus.Collector].
func (l *liveStore) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.info, l.pushed, l.answered, l.reachable, l.current, l.refused, l.saved, l.failures,
		l.full, l.took, l.told, l.ahead} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (l *liveStore) Collect(to chan<- prometheus.Metric) {
	now := l.now.Load()
	if now == nil {
		return
	}
	s := (*now)()
	if s == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{s.Channel}, labels...)...)
	}
	if s.Release != "" {
		gauge(l.info, 1, s.Release)
	}
	gauge(l.pushed, unixOf(s.Pushed))
	gauge(l.answered, unixOf(s.Answered))
	gauge(l.reachable, truth(s.Reachable))
	gauge(l.current, truth(s.Current))
	gauge(l.refused, truth(s.Refused))
	gauge(l.saved, truth(s.Saved))
	gauge(l.full, truth(s.Full))
	gauge(l.took, s.Took.Seconds())
	if s.Told != nil {
		gauge(l.told, truth(*s.Told))
	}
	if s.Ahead != nil {
		gauge(l.ahead, s.Ahead.Seconds())
	}
	for reason, n := range s.Failures {
		to <- prometheus.MustNewConstMetric(l.failures, prometheus.CounterValue, float64(n), s.Channel, reason)
	}
}

// unixOf is a time in seconds since 1970, and 0 for none.
func unixOf(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
