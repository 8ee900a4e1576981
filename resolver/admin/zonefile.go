package admin

import (
	"net/http"
	"time"

	"pldns/zones"
	"pldns/zones/content"
)

// zoneFileTime is how long a reader may take for a zone file, which may have a million lines.
const zoneFileTime = 10 * time.Minute

// zoneFile answers /api/zonefile with what a network sees of a zone, as a zone file (RFC 1035
// section 5). Whoever has that has all that a zone transfer gives, so it takes the token.
func (s *Server) zoneFile(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	name, err := zones.ParseName(query.Get("zone"))
	if err != nil {
		http.Error(w, "name a zone with zone=NAME: "+err.Error(), http.StatusBadRequest)
		return
	}
	var zone *content.Zone
	if s.options.ZoneFile == nil {
		http.Error(w, "no zones are served here", http.StatusNotFound)
		return
	}
	if zone, err = s.options.ZoneFile(query.Get("network"), name); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/dns; charset=utf-8") // RFC 4027
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(zoneFileTime))
	_, _ = zone.WriteTo(w) // a client that has gone wants nothing
}
