package admin

import (
	"net/http"

	"pldns/resolver/forward/share"
)

// Pending is the queries over one kind of transport that wait for the outside, as
// /api/pending shows them.
type Pending struct {
	Over     string        `json:"over"` // udp, or tcp, which stands for all streams
	InFlight int           `json:"in_flight"`
	Capacity int           `json:"capacity"`
	Shares   []share.Usage `json:"shares"` // who gave way to others lately, or holds most
}

// listPending answers /api/pending.
func (s *Server) listPending(w http.ResponseWriter, _ *http.Request) {
	all := []Pending{}
	if s.options.Pending != nil {
		all = append(all, s.options.Pending()...)
	}
	writeJSON(w, http.StatusOK, all)
}
