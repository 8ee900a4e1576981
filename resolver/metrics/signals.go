package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"pldns/resolver/observe/dnstap"
	"pldns/resolver/observe/querylog"
)

// signalMetrics are about the query log and dnstap.
type signalMetrics struct {
	lines, messages *prometheus.CounterVec
}

func newSignalMetrics(m maker) signalMetrics {
	return signalMetrics{
		lines: m.counter("query_log_lines_total",
			"Lines of the query log, by result: written, dropped (the writer was too slow), "+
				"limited (too many about clients of no network), failed.",
			"result"),
		messages: m.counter("dnstap_messages_total",
			"Messages for the dnstap receiver, two for each query, by result: sent, dropped (it was too slow, or away).",
			"result"),
	}
}

// Logged counts lines of the query log.
func (r *Recorder) Logged(result querylog.Result, lines int) {
	r.signals.lines.WithLabelValues(result.String()).Add(float64(lines))
}

// Tapped counts messages of dnstap.
func (r *Recorder) Tapped(result dnstap.Result, messages int) {
	r.signals.messages.WithLabelValues(result.String()).Add(float64(messages))
}

// truth is 1 for true and 0 for false.
func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
