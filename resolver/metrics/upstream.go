package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pldns/resolver/forward"
)

// upstreamMetrics are about the servers that are asked.
type upstreamMetrics struct {
	sent, answers, failures, shed, suspicious *prometheus.CounterVec
	healthy, most                             *prometheus.GaugeVec
	rtt                                       *prometheus.HistogramVec

	// The series of what happens to every question.
	sentBy     *series[sending, prometheus.Counter]
	answeredBy *series[answering, answerSeries]
}

// asked tells servers apart.
type asked struct{ group, server string }

// sending is what tells the series of queries apart, and answering those of answers.
type (
	sending struct {
		asked
		why forward.Why
	}
	answering struct {
		asked
		rcode string
	}
	answerSeries struct {
		answers prometheus.Counter
		rtt     prometheus.Observer
	}
)

func newUpstreamMetrics(m maker) upstreamMetrics {
	u := upstreamMetrics{
		sent: m.counter("upstream_queries_total",
			"Queries sent to an upstream server, by the reason for sending: first, retry, hedge, probe.",
			"group", "server", "reason"),
		answers: m.counter("upstream_answers_total",
			"Answers of an upstream server, by response code.", "group", "server", "rcode"),
		failures: m.counter("upstream_failures_total",
			"Queries to an upstream server that brought nothing usable, by reason: timeout, network, malformed, lame, loop.",
			"group", "server", "reason"),
		shed: m.counter("upstream_shed_total",
			"Questions that were not asked of an upstream group, or had to make room, because too much was under way.", "group"),
		suspicious: m.counter("upstream_suspicious_total",
			"What came from the address of an upstream server and might be an attack, "+
				"by kind: near-miss, letter-case, cookie, private-address.",
			"group", "server", "kind"),
		most: m.gauge("upstream_questions_max",
			"Questions that an upstream group may have under way; from there on those of the largest share make room.", "group"),
		healthy: m.gauge("upstream_healthy", "Whether an upstream server is in good health: 1 or 0.", "group", "server"),
		rtt: m.histogram("upstream_rtt_seconds",
			"Time that an upstream server took to answer.",
			[]float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2.5}, "group", "server"),
	}
	u.sentBy = newSeries(m, func(of sending) prometheus.Counter {
		return u.sent.WithLabelValues(of.group, of.server, of.why.String())
	})
	u.answeredBy = newSeries(m, func(of answering) answerSeries {
		return answerSeries{
			answers: u.answers.WithLabelValues(of.group, of.server, of.rcode),
			rtt:     u.rtt.WithLabelValues(of.group, of.server),
		}
	})
	return u
}

// UpstreamSent counts a query that was sent.
func (r *Recorder) UpstreamSent(group, server string, why forward.Why) {
	r.upstream.sentBy.of(sending{asked{group, server}, why}).Inc()
}

// UpstreamAnswered counts an answer and the time it took.
func (r *Recorder) UpstreamAnswered(group, server string, code int, took time.Duration) {
	to := r.upstream.answeredBy.of(answering{asked{group, server}, rcode(code)})
	to.answers.Inc()
	to.rtt.Observe(took.Seconds())
}

// UpstreamFailed counts a query that brought nothing usable.
func (r *Recorder) UpstreamFailed(group, server string, reason forward.Reason) {
	r.upstream.failures.WithLabelValues(group, server, reason.String()).Inc()
}

// UpstreamPanicked counts a fault of this program.
func (r *Recorder) UpstreamPanicked(string) { r.Panicked("upstream") }

// UpstreamHealth records the health of a server of the configuration that is served.
func (r *Recorder) UpstreamHealth(group, server string, healthy bool) {
	if r.of.has(group, server) { // else it is on its way out, or not here yet
		r.upstream.healthy.WithLabelValues(group, server).Set(truth(healthy))
	}
}

// UpstreamShed counts a question that had to make room.
func (r *Recorder) UpstreamShed(group string) {
	r.upstream.shed.WithLabelValues(group).Inc()
}

// UpstreamSuspicious counts what might be an attack.
func (r *Recorder) UpstreamSuspicious(group, server string, what forward.Suspicion) {
	r.upstream.suspicious.WithLabelValues(group, server, what.String()).Inc()
}
