package admin

import (
	"net/http"
	"time"
)

// Leaks is what /api/leaks says of one network.
type Leaks struct {
	Network string `json:"network"`
	// Unmapped are privatelink names that were answered from outside.
	Unmapped []Unmapped `json:"unmapped"`
	// NeverAsked are endpoints that nobody has asked for since the program began.
	NeverAsked []string `json:"never_asked"`
}

// Unmapped is a name that was answered from outside though somebody has a private
// endpoint for it.
type Unmapped struct {
	Name    string    `json:"name"` // as it is mapped: the public name where it is known
	Private string    `json:"private_name"`
	Asked   string    `json:"asked"` // a name that led to it
	Address string    `json:"address,omitempty"`
	Count   int       `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// leaks answers /api/leaks.
func (s *Server) leaks(w http.ResponseWriter, _ *http.Request) {
	all := s.options.Leaks()
	at := make(map[string]*Leaks, len(all))
	for i := range all {
		at[all[i].Network] = &all[i]
		if all[i].NeverAsked == nil {
			all[i].NeverAsked = make([]string, 0)
		}
	}
	for network, name := range s.neverAsked {
		if leaks := at[network]; leaks != nil { // else a reload came between
			leaks.NeverAsked = append(leaks.NeverAsked, name)
		}
	}
	writeJSON(w, http.StatusOK, all)
}

// neverAsked goes through the endpoints that nobody has asked for, by network and
// name.
func (s *Server) neverAsked(yield func(network, name string) bool) {
	for _, holding := range s.options.Estate().networks {
		for name := range s.options.NeverAsked(holding.Network) {
			if !yield(holding.Name(), name.String()) {
				return
			}
		}
	}
}
