package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Source is a source of mappings that learns, at one time.
type Source struct {
	Name             string // of the configuration
	Taken            time.Time
	OK, Saved        bool
	Calls, Throttled int64
	Runs, Failures   int64
	Took             time.Duration
	Held, Gone       int // removals held back, subscriptions that are not listed any more
	Differences      int
	States           map[string]int // endpoints by state, of which there are few
}

// Learn says whom to ask about the sources at each look.
func (r *Recorder) Learn(now func() []Source) { r.sources.now.Store(&now) }

// liveSources tells of sources as they are when somebody looks, so that one which a
// reload takes away has no series.
type liveSources struct {
	now atomic.Pointer[func() []Source]

	taken, ok, saved, runs, took, calls, throttled, endpoints, held, gone, differences *prometheus.Desc
}

func newLiveSources() *liveSources {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pldns_source_"+name, help, append([]string{"source"}, labels...), nil)
	}
	return &liveSources{
		taken: desc("complete_timestamp_seconds",
			"When the last complete listing of a source was taken, in seconds since 1970; 0 where there was none."),
		ok:        desc("last_run_successful", "Whether the last listing of a source was complete: 1, or 0 when what was known goes on."),
		saved:     desc("saved", "Whether the last good listing of a source is on disk: 1 or 0."),
		runs:      desc("runs_total", "Listings of a source that were tried, by result: ok or failed.", "result"),
		took:      desc("last_run_duration_seconds", "Time that the last listing of a source took, whatever came of it."),
		calls:     desc("calls_total", "Calls that a source made to Azure Resource Graph."),
		throttled: desc("throttled_total", "Calls that Azure Resource Graph turned away because there were too many (429)."),
		endpoints: desc("endpoints",
			"Private endpoints that a source knows, by state: Approved, Pending, Rejected, Disconnected, Deleting, Failed or Other.",
			"state"),
		held:        desc("removals_held", "Resources that listings lack and that go only when an operator accepts it."),
		gone:        desc("subscriptions_gone", "Subscriptions that are not listed any more, of which everything is kept."),
		differences: desc("differences", "Names that a source says otherwise than what is written by hand."),
	}
}

// Describe implements [prometheus.Collector].
func (l *liveSources) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		l.taken, l.ok, l.saved, l.runs, l.took, l.calls, l.throttled, l.endpoints, l.held, l.gone, l.differences,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (l *liveSources) Collect(to chan<- prometheus.Metric) {
	now := l.now.Load()
	if now == nil {
		return
	}
	for _, s := range (*now)() {
		gauge := func(d *prometheus.Desc, value float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, s.Name)
		}
		gauge(l.taken, unixOf(s.Taken))
		gauge(l.ok, truth(s.OK))
		gauge(l.saved, truth(s.Saved))
		gauge(l.took, s.Took.Seconds())
		counter := func(d *prometheus.Desc, value int64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), append([]string{s.Name}, labels...)...)
		}
		counter(l.runs, s.Runs-s.Failures, "ok")
		counter(l.runs, s.Failures, "failed")
		counter(l.calls, s.Calls)
		counter(l.throttled, s.Throttled)
		gauge(l.held, float64(s.Held))
		gauge(l.gone, float64(s.Gone))
		gauge(l.differences, float64(s.Differences))
		for state, n := range s.States {
			to <- prometheus.MustNewConstMetric(l.endpoints, prometheus.GaugeValue, float64(n), s.Name, state)
		}
	}
}
