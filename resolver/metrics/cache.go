package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"pldns/resolver/cache"
)

// cacheMetrics are about remembered answers.
type cacheMetrics struct {
	events *series[cacheEvent, prometheus.Counter]
}

// cacheEvent is what tells the series of events apart.
type cacheEvent struct {
	group string
	event cache.Event
}

func newCacheMetrics(m maker) cacheMetrics {
	events := m.counter("cache_events_total",
		"What happened in the cache, by upstream group and event: hit, miss, stale, coalesced, prefetch, busy, late, evicted.",
		"group", "event")
	return cacheMetrics{
		events: newSeries(m, func(of cacheEvent) prometheus.Counter {
			return events.WithLabelValues(of.group, of.event.String())
		}),
	}
}

// CacheEvent counts an event of the cache.
func (r *Recorder) CacheEvent(group string, event cache.Event) {
	r.cache.events.of(cacheEvent{group, event}).Inc()
}
