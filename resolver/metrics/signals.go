package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"pldns/resolver/observe/dnstap"
	"pldns/resolver/observe/querylog"
	"pldns/resolver/shadow"
)

// signalMetrics are about the query log, dnstap and answers that are compared.
type signalMetrics struct {
	lines, messages, shadowed, exports *prometheus.CounterVec
}

func newSignalMetrics(m maker) signalMetrics {
	return signalMetrics{
		lines: m.counter("query_log_lines_total",
			"Lines of the query log, by where they go (file, stream, syslog, otlp) and result: written, dropped (the writer was too "+
				"slow), limited (too many about clients of no network), failed.",
			"to", "result"),
		messages: m.counter("dnstap_messages_total",
			"Messages for the dnstap receiver, two for each query, by result: sent, dropped (it was too slow, or away).",
			"result"),
		shadowed: m.counter("shadow_answers_total",
			"Answers of the sample that is compared with another upstream group ([shadow]), by network and result: same; rcode, nodata, "+
				"addresses or alias, which are differences; failed (the other did not answer); repeated (compared a moment ago); "+
				"dropped (beyond max_qps, or every turn of the group was needed).",
			"network", "result"),
		exports: m.counter("otlp_exports_total",
			"Requests to the collector ([otlp]), by signal: metrics or logs, and result: ok or failed.", "signal", "result"),
	}
}

// Exported counts a request to the collector that carried a signal, "metrics" or "logs",
// and what came of it.
func (r *Recorder) Exported(signal string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	r.signals.exports.WithLabelValues(signal, result).Inc()
}

// Shadowed counts an answer that was to be compared.
func (r *Recorder) Shadowed(network string, result shadow.Result) {
	r.signals.shadowed.WithLabelValues(network, result.String()).Inc()
}

// Logged counts lines of the query log, by where they go.
func (r *Recorder) Logged(to string, result querylog.Result, lines int) {
	r.signals.lines.WithLabelValues(to, result.String()).Add(float64(lines))
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
