package admin

import "net/http"

// Pending is the queries over one kind of transport that wait for the outside, as
// /api/pending shows them.
type Pending struct {
	Over     string  `json:"over"` // udp, or tcp, which stands for all streams
	InFlight int     `json:"in_flight"`
	Capacity int     `json:"capacity"`
	Shares   []Share `json:"shares"` // who gave way to others lately, or holds most
}

// Share is what a network, a client or a domain holds of what is under way, and how much
// of it was answered SERVFAIL because others needed the places more.
type Share struct {
	Network  string `json:"network,omitempty"`
	Client   string `json:"client,omitempty"` // a prefix
	Suffix   string `json:"suffix,omitempty"`
	InFlight int    `json:"in_flight"`
	GaveWay  int    `json:"gave_way"` // those of a minute ago count half, and so on
}

// listPending answers /api/pending.
func (s *Server) listPending(w http.ResponseWriter, _ *http.Request) {
	all := []Pending{}
	if s.options.Pending != nil {
		all = append(all, s.options.Pending()...)
	}
	writeJSON(w, http.StatusOK, all)
}
