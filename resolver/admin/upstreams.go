package admin

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"pldns/resolver/forward"
	"pldns/zones"
)

// Upstream is a server that is asked, as /api/upstreams shows it.
type Upstream struct {
	Group string `json:"group"`
	forward.ServerState
	Load forward.Load `json:"group_load"` // of the group of the server
}

// Fault says what is wrong with the server, in a few words; empty if nothing is.
func (u Upstream) Fault() string {
	switch {
	case u.Looping:
		return "leads back here"
	case len(u.LoopSuffixes) > 0:
		return "leads back here: " + strings.Join(u.LoopSuffixes, ", ")
	case !u.Healthy:
		return unhealthy
	default:
		return ""
	}
}

// Cache is what upstreams said, remembered.
type Cache interface {
	// Dump goes through what is remembered of a name, and with subtree of the
	// names below it.
	Dump(name zones.Name, subtree bool) iter.Seq[CacheEntry]
	// Flush forgets the same, and tells how many entries it was.
	Flush(name zones.Name, subtree bool) int
}

// CacheEntry is one thing that an upstream group said.
type CacheEntry struct {
	Group   string   `json:"group"`
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	DO      bool     `json:"do,omitempty"`
	CD      bool     `json:"cd,omitempty"`
	Rcode   string   `json:"rcode,omitempty"`
	Records []string `json:"records,omitempty"`
	Error   string   `json:"error,omitempty"`   // of a failure
	Left    float64  `json:"left_seconds"`      // until it expires; negative since
	Failing bool     `json:"failing,omitempty"` // the upstream failed to refresh it
	Hits    int      `json:"hits"`
	Bytes   int64    `json:"bytes"`
}

// maxDump bounds the entries of one dump.
const maxDump = 10_000

// upstreams answers /api/upstreams with every server that may be asked.
func (s *Server) upstreams(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.options.Upstreams())
}

// about reads which names a request about the memory means: a name, and with
// subtree=true those below it.
func about(r *http.Request) (name zones.Name, subtree bool, err error) {
	name, err = zones.ParseName(r.FormValue("name"))
	if err != nil {
		return name, false, fmt.Errorf("name: %w: give a name; . with subtree=true is everything", err)
	}
	if text := r.FormValue("subtree"); text != "" {
		if subtree, err = strconv.ParseBool(text); err != nil {
			return name, false, errors.New("subtree: write true or false")
		}
	}
	return name, subtree, nil
}

// dump answers /api/cache?name=NAME[&subtree=true] with what is remembered.
func (s *Server) dump(w http.ResponseWriter, r *http.Request) {
	name, subtree, err := about(r)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	found := make([]CacheEntry, 0)
	for entry := range s.options.Cache.Dump(name, subtree) {
		if len(found) == maxDump {
			break
		}
		found = append(found, entry)
	}
	writeJSON(w, http.StatusOK, found)
}
