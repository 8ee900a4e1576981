package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Unmapped is what /api/unmapped says of one network.
type Unmapped struct {
	Network string `json:"network"`
	// Unmapped are privatelink names that were answered from outside, the most frequent
	// first; of equal ones that of the most clients.
	Unmapped []UnmappedName `json:"unmapped"`
	// NeverAsked are endpoints that nobody has asked for since the program began.
	NeverAsked []string `json:"never_asked"`
}

// UnmappedName is a name that was answered from outside though somebody has a private
// endpoint for it.
type UnmappedName struct {
	Name    string `json:"name"` // as it is mapped: the public name where it is known
	Private string `json:"private_name"`
	Asked   string `json:"asked"` // a name that led to it
	Address string `json:"address,omitempty"`
	Count   int    `json:"count"`
	// Clients is about how many clients asked for it.
	Clients int       `json:"clients"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	// Azure is an endpoint that a source found for the name, though this network is not
	// given it; nil where no source knows one, or there is no source.
	Azure *KnownEndpoint `json:"azure,omitempty"`
}

// KnownEndpoint is an endpoint in Azure that a source knows.
type KnownEndpoint struct {
	Source   string `json:"source"` // such as "azure.corp"
	Resource string `json:"resource"`
	// Why says why nobody gets it, such as a connection that waits for approval; empty
	// where it works in its VNet.
	Why string `json:"why,omitempty"`
}

// unmappedQuery is what /api/unmapped is asked for.
type unmappedQuery struct {
	network string    // empty for all
	top     int       // how many names of a network at most; 0 for all
	since   time.Time // that were answered since then; zero for all
}

// unmappedQueryOf reads the parameters network, top and since of a request. The error says
// which of them is wrong.
func unmappedQueryOf(values url.Values, now time.Time) (q unmappedQuery, err error) {
	q.network = values.Get("network")
	if text := values.Get("top"); text != "" {
		if q.top, err = positive(text, 0); err != nil {
			return q, errors.New("top: write a whole number from 1")
		}
	}
	if text := values.Get("since"); text != "" {
		span, err := time.ParseDuration(text)
		if q.since = now.Add(-span); err != nil {
			q.since, err = time.Parse(time.RFC3339, text)
		}
		if err != nil || span < 0 {
			return q, errors.New(`since: write a time to look back, such as "24h", or a moment such as "2026-11-27T08:00:00Z"`)
		}
	}
	return q, nil
}

// of is what q asks for of one network.
func (q unmappedQuery) of(all []UnmappedName) []UnmappedName {
	if !q.since.IsZero() {
		all = slices.DeleteFunc(slices.Clone(all), func(u UnmappedName) bool { return u.Last.Before(q.since) })
	}
	if q.top > 0 {
		all = all[:min(q.top, len(all))]
	}
	return all
}

// unmapped answers /api/unmapped[?network=NAME][&top=N][&since=TIME]: 400 for a parameter
// that cannot be read, 404 for a network that does not exist.
func (s *Server) unmapped(w http.ResponseWriter, r *http.Request) {
	q, err := unmappedQueryOf(r.URL.Query(), time.Now())
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	all := s.options.Unmapped()
	if q.network != "" {
		all = slices.DeleteFunc(all, func(u Unmapped) bool { return u.Network != q.network })
		if len(all) == 0 {
			writeJSON(w, http.StatusNotFound, map[string]string{"error": "network: there is no network of this name"})
			return
		}
	}
	at := make(map[string]*Unmapped, len(all))
	for i := range all {
		at[all[i].Network] = &all[i]
		all[i].Unmapped = q.of(all[i].Unmapped)
		if all[i].NeverAsked == nil {
			all[i].NeverAsked = make([]string, 0)
		}
	}
	for network, name := range s.neverAsked {
		if entry := at[network]; entry != nil { // else a reload came between, or it was not asked for
			entry.NeverAsked = append(entry.NeverAsked, name)
		}
	}
	writeJSON(w, http.StatusOK, all)
}

// neverAsked goes through the endpoints that nobody has asked for, by network and
// name.
func (s *Server) neverAsked(yield func(network, name string) bool) {
	for _, network := range s.options.Index().networks {
		for name := range s.options.NeverAsked(network.Network) {
			if !yield(network.Name(), name.String()) {
				return
			}
		}
	}
}
