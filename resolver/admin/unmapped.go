package admin

import (
	"net/http"
	"time"
)

// Unmapped is what /api/unmapped says of one network.
type Unmapped struct {
	Network string `json:"network"`
	// Unmapped are privatelink names that were answered from outside.
	Unmapped []UnmappedName `json:"unmapped"`
	// NeverAsked are endpoints that nobody has asked for since the program began.
	NeverAsked []string `json:"never_asked"`
}

// UnmappedName is a name that was answered from outside though somebody has a private
// endpoint for it.
type UnmappedName struct {
	Name    string    `json:"name"` // as it is mapped: the public name where it is known
	Private string    `json:"private_name"`
	Asked   string    `json:"asked"` // a name that led to it
	Address string    `json:"address,omitempty"`
	Count   int       `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// unmapped answers /api/unmapped.
func (s *Server) unmapped(w http.ResponseWriter, _ *http.Request) {
	all := s.options.Unmapped()
	at := make(map[string]*Unmapped, len(all))
	for i := range all {
		at[all[i].Network] = &all[i]
		if all[i].NeverAsked == nil {
			all[i].NeverAsked = make([]string, 0)
		}
	}
	for network, name := range s.neverAsked {
		if entry := at[network]; entry != nil { // else a reload came between
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
