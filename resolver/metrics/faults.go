package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// faultMetrics are about faults of this program that it has survived.
type faultMetrics struct {
	panics *prometheus.CounterVec
}

func newFaultMetrics(m maker) faultMetrics {
	f := faultMetrics{
		panics: m.counter("panics_total",
			"Panics that were recovered from, by part of the program: each is a fault of the program, which cost the query, reply "+
				"or request at hand; the log has the stack.", "part"),
	}
	for _, part := range parts() {
		f.panics.WithLabelValues(part) // from 0: the first one is an increase
	}
	return f
}

// parts are the values that the label part may have: packages of the program, and
// what is none of them.
func parts() []string {
	return []string{"admin", "cache", "dnstap", "listen", "log", "probe", "querylog", "reload", "resolver", "shadow", "upstream", otherPart}
}

// otherPart is what a part that is not listed counts as.
const otherPart = "other"

// Panicked counts a panic that was recovered from; part is the name of the package
// that recovered.
func (r *Recorder) Panicked(part string) {
	if !slices.Contains(parts(), part) {
		part = otherPart
	}
	r.faults.panics.WithLabelValues(part).Inc()
}
