package admin

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pldns/zones"
)

// Upstream is a server that is asked, as /api/upstreams shows it.
type Upstream struct {
	Group     string `json:"group"`
	Server    string `json:"server"`
	Transport string `json:"transport"`
	Healthy   bool   `json:"healthy"`
	// UnhealthySince is when it became unhealthy, or was found to lead back here;
	// absent while it is healthy.
	UnhealthySince time.Time `json:"unhealthy_since,omitzero"`
	Looping        bool      `json:"looping"` // it leads back to this program and is not asked
	// LoopSuffixes are the suffixes whose names it leads back; it is not asked for them.
	LoopSuffixes []string `json:"loop_suffixes,omitempty"`
	RTT          float64  `json:"rtt_seconds"`
	Failures     float64  `json:"failures"` // the share of failed queries, recent ones weighing most
	InFlight     int      `json:"in_flight"`
	// Without is what the server is asked without for a minute, because several
	// unrelated names could not be asked with it: edns, 0x20, cookie; Exceptions is
	// for how many domains alone something is left out.
	Without    []string  `json:"without,omitempty"`
	Exceptions int       `json:"exceptions,omitempty"`
	Load       GroupLoad `json:"group_load"` // of the group of the server
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

// GroupLoad is what an upstream group has under way, and who is limited.
type GroupLoad struct {
	InFlight int     `json:"in_flight"` // questions
	Capacity int     `json:"capacity"`
	Queued   int     `json:"queued"`            // questions that wait for their turn, where max_qps is set
	Shed     int     `json:"shed"`              // questions that were not asked, or had to make room, ever
	Limited  []Share `json:"limited,omitempty"` // whose questions had to make room lately
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
