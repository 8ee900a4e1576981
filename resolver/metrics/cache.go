package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"pldns/resolver/cache"
)

// cacheMetrics are about remembered answers.
type cacheMetrics struct {
	events         *prometheus.CounterVec
	entries, bytes prometheus.Gauge
}

func newCacheMetrics(m maker) cacheMetrics {
	return cacheMetrics{
		events: m.counter("cache_events_total",
			"What happened in the cache, by upstream group and event: hit, miss, stale, coalesced, prefetch, busy, evicted.",
			"group", "event"),
		entries: m.gauge("cache_entries", "Answers remembered.").WithLabelValues(),
		bytes:   m.gauge("cache_bytes", "Estimated memory of the answers remembered.").WithLabelValues(),
	}
}

// CacheEvent counts an event of the cache.
func (r *Recorder) CacheEvent(group string, event cache.Event) {
	r.cache.events.WithLabelValues(group, event.String()).Inc()
}

// CacheSize records the size of the cache.
func (r *Recorder) CacheSize(entries int, bytes int64) {
	r.cache.entries.Set(float64(entries))
	r.cache.bytes.Set(float64(bytes))
}
