package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pldns/zones"
)

// configMetrics are about the configuration that is served, and how what it names
// is doing.
type configMetrics struct {
	loaded      prometheus.Gauge
	reloaded    prometheus.Gauge
	reloads     *prometheus.CounterVec
	took        prometheus.Gauge
	certificate *prometheus.GaugeVec
	endpoints   *prometheus.GaugeVec
	probes      *prometheus.CounterVec
	unhealthy   prometheus.Gauge
	unmapped    *prometheus.CounterVec
}

func newConfigMetrics(m maker) configMetrics {
	return configMetrics{
		loaded: m.gauge("config_load_timestamp_seconds",
			"When the configuration that is served was loaded, in seconds since 1970.").WithLabelValues(),
		reloaded: m.gauge("config_last_reload_successful",
			"Whether the last reload of the configuration is served: 1, or 0 when what was served before goes on.").WithLabelValues(),
		reloads: m.counter("config_reloads_total", "Reloads of the configuration, by result: ok or failed.", "result"),
		took: m.gauge("config_last_reload_duration_seconds",
			"Time that the last reload of the configuration took, whatever came of it; 0 before the first.").WithLabelValues(),
		certificate: m.gauge("tls_certificate_expiry_timestamp_seconds",
			"When a certificate of the listeners for TLS, HTTPS and QUIC expires, in seconds since 1970, by the name of its table in "+
				"tls.certificates: default for that of [tls] itself; absent without one.", "certificate"),
		endpoints: m.gauge("endpoints", "Endpoints that a network has.", "network"),
		probes: m.counter("endpoint_probes_total", "Probes of addresses of endpoints, by kind: "+
			"tcp, tls or https, and result: ok or failed.", "kind", "result"),
		unmapped: m.counter("leaked_answers_total",
			"Answers from outside for privatelink names that a network does not map, by network; "+
				"what is given again from memory is not counted again.",
			"network"),
		unhealthy: m.gauge("endpoint_addresses_unhealthy", "Probed addresses of endpoints that are not healthy.").WithLabelValues(),
	}
}

// Loaded records what is served from now on. What is no longer part of it loses its
// series.
func (r *Recorder) Loaded(now Serving) {
	r.forget(now)
	r.config.loaded.Set(float64(now.Loaded.UnixMilli()) / 1000)
	r.config.reloaded.Set(1)
	for _, network := range now.Table.Networks() {
		r.config.endpoints.WithLabelValues(network.Name()).Set(float64(network.CountEndpoints()))
	}
	for name, entries := range now.Policies {
		r.policy.entries.WithLabelValues(name).Set(float64(entries))
	}
	for _, server := range now.Upstreams {
		r.upstream.healthy.WithLabelValues(server.Group, server.Server).Set(truth(server.Healthy))
		r.upstream.most.WithLabelValues(server.Group).Set(float64(server.Capacity))
	}
	r.config.certificate.Reset()
	for name, ends := range now.CertificateEnds {
		r.config.certificate.WithLabelValues(name).Set(float64(ends.Unix()))
	}
}

// Reloaded counts a reload that took so long, and records whether it is served.
func (r *Recorder) Reloaded(ok bool, took time.Duration) {
	result := "failed"
	if ok {
		result = "ok"
	}
	r.config.reloaded.Set(truth(ok))
	r.config.took.Set(took.Seconds())
	r.config.reloads.WithLabelValues(result).Inc()
}

// AnsweredOutside counts an answer that came from outside for a privatelink name.
func (r *Recorder) AnsweredOutside(network string) { r.config.unmapped.WithLabelValues(network).Inc() }

// Probed counts a probe of an endpoint's address.
func (r *Recorder) Probed(kind zones.ProbeKind, ok bool) {
	result := "failed"
	if ok {
		result = "ok"
	}
	r.config.probes.WithLabelValues(kind.String(), result).Inc()
}

// Unhealthy records how many probed addresses cannot be reached.
func (r *Recorder) Unhealthy(targets int) { r.config.unhealthy.Set(float64(targets)) }
