package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pldns/zones"
)

// configMetrics are about the configuration that is served, and how what it names
// is doing.
type configMetrics struct {
	loaded    prometheus.Gauge
	reloaded  prometheus.Gauge
	reloads   *prometheus.CounterVec
	endpoints *prometheus.GaugeVec
	probes    *prometheus.CounterVec
	unhealthy prometheus.Gauge
	leaked    *prometheus.CounterVec
}

func newConfigMetrics(to prometheus.Registerer) configMetrics {
	m := maker{to}
	return configMetrics{
		loaded: m.gauge("config_load_timestamp_seconds",
			"When the configuration that is served was loaded, in seconds since 1970.").WithLabelValues(),
		reloaded: m.gauge("config_last_reload_successful",
			"Whether the last reload of the configuration is served: 1, or 0 when what was served before goes on.").WithLabelValues(),
		reloads:   m.counter("config_reloads_total", "Reloads of the configuration, by result: ok or failed.", "result"),
		endpoints: m.gauge("endpoints", "Endpoints that a network has.", "network"),
		probes:    m.counter("endpoint_probes_total", "Probes of addresses of endpoints, by kind: tcp, tls or https, and result: ok or failed.", "kind", "result"),
		leaked: m.counter("leaked_answers_total",
			"Answers from outside for privatelink names that a network does not map, by network; what is given again from memory is not counted again.",
			"network"),
		unhealthy: m.gauge("endpoint_addresses_unhealthy", "Probed addresses of endpoints that are not healthy.").WithLabelValues(),
	}
}

// Loaded records that a table is served from now on.
func (r *Recorder) Loaded(table *zones.Table, at time.Time) {
	r.config.loaded.Set(float64(at.UnixMilli()) / 1000)
	r.config.reloaded.Set(1)
	r.config.endpoints.Reset()
	for _, network := range table.Networks() {
		r.config.endpoints.WithLabelValues(network.Name()).Set(float64(network.CountEndpoints()))
	}
}

// Reloaded counts a reload, and records whether it is served.
func (r *Recorder) Reloaded(ok bool) {
	result, value := "failed", 0.0
	if ok {
		result, value = "ok", 1
	}
	r.config.reloaded.Set(value)
	r.config.reloads.WithLabelValues(result).Inc()
}

// Leaked counts an answer that came from outside for a privatelink name.
func (r *Recorder) Leaked(network string) { r.config.leaked.WithLabelValues(network).Inc() }

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
