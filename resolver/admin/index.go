package admin

import (
	"slices"
	"sync"

	"pldns/zones"
)

// EndpointIndex is the endpoints of one snapshot, ready to be looked through: there may be
// a million. Its methods may be called by any number of goroutines.
type EndpointIndex struct {
	networks []*indexed
}

// indexed is the endpoints of one network.
type indexed struct {
	*zones.Network
	probed func() []zones.Mapping // those that are probed, by name; found once
}

// NewEndpointIndex is the index of the networks of a table.
func NewEndpointIndex(table *zones.Table) *EndpointIndex {
	e := new(EndpointIndex)
	for _, network := range table.Networks() {
		e.networks = append(e.networks, &indexed{network, sync.OnceValue(func() (probed []zones.Mapping) {
			for endpoint := range network.Endpoints() {
				if !endpoint.Probe().IsZero() {
					probed = append(probed, endpoint)
				}
			}
			return probed
		})})
	}
	return e
}

// found is an endpoint that a search found, and the network that has it.
type found struct {
	network  string
	endpoint zones.Mapping
}

// part gives what a window shows of the endpoints that a search finds, by network
// and name, and fits the window to how many there are. It keeps only what is shown.
func (e *EndpointIndex) part(w *window, want search, health func(zones.Mapping) string) []found {
	shown, total := e.walk(want, health, w.first(), w.first()+w.size)
	asked := w.Page
	if w.of(total); w.Page != asked { // it was past the last page
		shown, _ = e.walk(want, health, w.first(), w.end())
	}
	return shown
}

// walk counts the endpoints that a search finds, and gives those that are counted
// from first to before end.
func (e *EndpointIndex) walk(want search, health func(zones.Mapping) string, first, end int) (shown []found, count int) {
	for _, network := range e.networks {
		if want.Network != "" && want.Network != network.Name() {
			continue
		}
		if want.everything() {
			// Nobody needs to look at those that are not shown.
			for place := max(0, first-count); place < min(network.CountEndpoints(), end-count); place++ {
				shown = append(shown, found{network.Name(), network.Endpoint(place)})
			}
			count += network.CountEndpoints()
			continue
		}
		list := network.Endpoints()
		if want.Health == healthy || want.Health == unhealthy {
			list = slices.Values(network.probed())
		}
		for endpoint := range list {
			if !want.finds(endpoint) || want.Health != "" && health(endpoint) != want.Health {
				continue
			}
			if count >= first && count < end {
				shown = append(shown, found{network.Name(), endpoint})
			}
			count++
		}
	}
	return shown, count
}
