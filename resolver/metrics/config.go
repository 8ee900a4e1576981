package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pldns/zones"
)

// configMetrics are about the configuration that is served.
type configMetrics struct {
	loaded    prometheus.Gauge
	endpoints *prometheus.GaugeVec
}

func newConfigMetrics(to prometheus.Registerer) configMetrics {
	m := maker{to}
	return configMetrics{
		loaded: m.gauge("config_load_timestamp_seconds",
			"When the configuration that is served was loaded, in seconds since 1970.").WithLabelValues(),
		endpoints: m.gauge("endpoints", "Endpoints that a network has.", "network"),
	}
}

// Loaded records that a table is served from now on.
func (r *Recorder) Loaded(table *zones.Table, at time.Time) {
	r.config.loaded.Set(float64(at.UnixMilli()) / 1000)
	r.config.endpoints.Reset()
	for _, network := range table.Networks() {
		r.config.endpoints.WithLabelValues(network.Name()).Set(float64(network.CountEndpoints()))
	}
}
