package metrics

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// series finds the series of a metric by what tells them apart. The library makes
// up its labels anew for each look; here that is done once for each series, of
// which there are few.
type series[K comparable, S any] struct {
	find  func(K) S
	mu    sync.Mutex // held by who adds
	known atomic.Pointer[map[K]S]
}

// newSeries makes a memory of what find finds in metrics that m has made.
func newSeries[K comparable, S any](m maker, find func(K) S) *series[K, S] {
	s := &series[K, S]{find: find}
	s.known.Store(new(map[K]S))
	*m.all = append(*m.all, s) // behind the metrics: it forgets after they have dropped
	return s
}

// DeletePartialMatch forgets all series, since some are dropped.
func (s *series[K, S]) DeletePartialMatch(prometheus.Labels) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(*s.known.Swap(new(map[K]S)))
}

// of gives the series that k tells from the others.
func (s *series[K, S]) of(k K) S {
	if found, known := (*s.known.Load())[k]; known {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(*s.known.Load())
	if all == nil {
		all = make(map[K]S)
	}
	found := s.find(k)
	all[k] = found
	s.known.Store(&all)
	return found
}
