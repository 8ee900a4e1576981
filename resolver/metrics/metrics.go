// Package metrics counts what happens, for Prometheus. It is the only package
// that knows Prometheus; the others say what they have to say to an interface of
// their own, which [Recorder] implements.
//
// No metric is labelled with a client, a name or anything else that clients or
// upstreams choose, so the number of series follows from the configuration alone.
// What a configuration no longer has loses its series at the next one.
package metrics

import (
	"net/http"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/forward"
	"pldns/resolver/listen"
	"pldns/resolver/listen/replycache"
	"pldns/resolver/observe"
	"pldns/resolver/observe/dnstap"
	"pldns/resolver/observe/querylog"
	"pldns/resolver/probe"
	"pldns/resolver/shadow"
)

// The observers that a Recorder is.
var (
	_ listen.Observer   = (*Recorder)(nil)
	_ cache.Observer    = (*Recorder)(nil)
	_ forward.Observer  = (*Recorder)(nil)
	_ probe.Observer    = (*Recorder)(nil)
	_ observe.Observer  = (*Recorder)(nil)
	_ querylog.Observer = (*Recorder)(nil)
	_ dnstap.Observer   = (*Recorder)(nil)
	_ shadow.Observer   = (*Recorder)(nil)
)

// Recorder counts. It may be used by any number of goroutines.
type Recorder struct {
	registry  *prometheus.Registry
	ingress   ingressMetrics
	cache     cacheMetrics
	upstream  upstreamMetrics
	policy    policyMetrics
	config    configMetrics
	signals   signalMetrics
	faults    faultMetrics
	sources   *liveSources
	zones     *liveZones
	transfers *transferMetrics
	store     *liveStore
	live      *liveMetrics
	labelled  *[]labelled
	of        subjects
}

// Build says what program this is.
type Build struct{ Version, Revision, GoVersion string }

// New makes a recorder with a registry of its own.
func New(build Build) *Recorder {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pldns_build_info", Help: "The program; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "goversion": build.GoVersion},
	})
	info.Set(1)
	registry.MustRegister(info)
	r := &Recorder{registry: registry, live: newLiveMetrics(), labelled: new([]labelled)}
	registry.MustRegister(r.live)
	m := maker{registry, r.labelled}
	r.ingress, r.cache, r.upstream = newIngressMetrics(m), newCacheMetrics(m), newUpstreamMetrics(m)
	r.policy = newPolicyMetrics(m)
	r.config, r.signals, r.faults = newConfigMetrics(m), newSignalMetrics(m), newFaultMetrics(m)
	r.sources = newLiveSources()
	registry.MustRegister(r.sources)
	r.transfers = newTransferMetrics(m, r.Panicked)
	r.zones = newLiveZones()
	registry.MustRegister(r.zones)
	r.store = newLiveStore()
	registry.MustRegister(r.store)
	return r
}

// Handler answers with all metrics in the formats that Prometheus reads.
func (r *Recorder) Handler() http.Handler {
	return promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{Registry: r.registry})
}

// Gatherer gives all metrics, for tests and tools.
func (r *Recorder) Gatherer() prometheus.Gatherer { return r.registry }

// maker registers metrics under the program's prefix, and lists them.
type maker struct {
	to  prometheus.Registerer
	all *[]labelled
}

// labelled is a metric with series that can be dropped.
type labelled interface {
	DeletePartialMatch(prometheus.Labels) int
}

func (m maker) counter(name, help string, labels ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pldns_" + name, Help: help}, labels)
	m.to.MustRegister(vec)
	*m.all = append(*m.all, vec)
	return vec
}

func (m maker) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "pldns_" + name, Help: help}, labels)
	m.to.MustRegister(vec)
	*m.all = append(*m.all, vec)
	return vec
}

func (m maker) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pldns_" + name, Help: help, Buckets: buckets}, labels)
	m.to.MustRegister(vec)
	*m.all = append(*m.all, vec)
	return vec
}

// rcode is the mnemonic of a response code. There are few, and what has no name
// shares one, so that no upstream can make series.
func rcode(code int) string {
	if name, known := dns.RcodeToString[code]; known {
		return name
	}
	return "other"
}

// ingressMetrics are about queries and how they arrive.
type ingressMetrics struct {
	queries     *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	tallies     *series[kind, *tally]
	refused     *prometheus.CounterVec
	subnets     *prometheus.CounterVec
	limited     *prometheus.CounterVec
	connections *prometheus.GaugeVec
}

func newIngressMetrics(m maker) ingressMetrics {
	d := ingressMetrics{
		queries: m.counter("queries_total",
			"Queries answered, by network (empty: none), transport, response code and source of the answer.",
			"network", "transport", "rcode", "source"),
		duration: m.histogram("query_duration_seconds",
			"Time from reading a query to sending its answer, by source of the answer.",
			[]float64{.00001, .00003, .0001, .0003, .001, .003, .01, .03, .1, .3, 1, 2.5, 5}, "source"),
		refused: m.counter("refused_total",
			"Packets, queries and connections that were refused before anything was decided, "+
				"by transport and reason: short, response, forged-proxy, no-proxy, "+
				"unreachable, limited and unfit are met with silence; formerr, not-allowed, notimp, badvers, badkey, badsig, badtime, "+
				"shed, panic, unpackable and slipped with a reply; "+
				"unsent, crowded, evicted, stalled, handshake and bad-request are about sockets and connections.",
			"transport", "reason"),
		subnets: m.counter("client_subnets_ignored_total",
			"Queries with a client subnet of somebody who is not trusted to tell one, by transport.", "transport"),
		limited: m.counter("rate_limited_total",
			"Queries over UDP beyond a limit, by network (empty: none), limit (client: its queries; "+
				"responses: its replies of one kind; release: the replies that one slow answer releases) "+
				"and what was done: "+
				"dropped, or truncated so that the client comes over TCP.",
			"network", "limit", "action"),
		connections: m.gauge("connections", "Open connections, by transport.", "transport"),
	}
	d.tallies = newSeries(m, func(of kind) *tally {
		return &tally{
			queries:  d.queries.WithLabelValues(of.network, of.transport, of.rcode, of.source.String()),
			duration: d.duration.WithLabelValues(of.source.String()),
		}
	})
	return d
}

// kind is what the answers that one tally counts have in common.
type kind struct {
	transport, network, rcode string
	source                    resolver.Source
}

// tally counts answers of one kind. There are few kinds, and each has one tally.
type tally struct {
	queries  prometheus.Counter
	duration prometheus.Observer
}

// Tally gives what counts the answers of a kind.
func (r *Recorder) Tally(k listen.Kind) replycache.Tally {
	return r.ingress.tallies.of(kind{k.Transport, k.Network, rcode(k.Rcode), k.Source})
}

// Add counts answers that took equally long.
func (t *tally) Add(queries int, took time.Duration) {
	t.queries.Add(float64(queries))
	seconds := took.Seconds()
	for range queries {
		t.duration.Observe(seconds)
	}
}

// Refused counts what was refused.
func (r *Recorder) Refused(transport string, why listen.Refusal) {
	r.ingress.refused.WithLabelValues(transport, why.String()).Inc()
	if why == listen.Panicked {
		r.Panicked("listen")
	}
}

// SubnetIgnored counts client subnets that nobody may tell.
func (r *Recorder) SubnetIgnored(transport string) {
	r.ingress.subnets.WithLabelValues(transport).Inc()
}

// Limited counts a query beyond a limit.
func (r *Recorder) Limited(network string, limit listen.Limit, why listen.Refusal) {
	action := "dropped"
	if why == listen.Slipped {
		action = "truncated"
	}
	r.ingress.limited.WithLabelValues(network, limit.String(), action).Inc()
}

// Connections counts open connections.
func (r *Recorder) Connections(transport string, change int) {
	r.ingress.connections.WithLabelValues(transport).Add(float64(change))
}
