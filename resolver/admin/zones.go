package admin

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Zones are the zones that are exchanged with other servers, as /api/zones shows them.
type Zones struct {
	Copies []Zone  `json:"copies"` // zones of others that are held here
	Given  []Given `json:"given"`  // zones that others may take
}

// Zone is a zone of another server that is held as a copy.
type Zone struct {
	Name      string   `json:"zone"`
	Networks  []string `json:"networks"`  // that are answered from it
	Primaries []string `json:"primaries"` // in the order in which they are asked
	Key       string   `json:"key,omitempty"`
	Catalog   string   `json:"catalog,omitempty"` // that has it as a member
	// Use says what it is for where clients are not answered from it: "a catalog", or "policy"
	// and its name.
	Use string `json:"use,omitempty"`
	// State is held, none (there is no copy yet) or expired; in the last two clients are told
	// SERVFAIL.
	State   string `json:"state"`
	Serial  uint32 `json:"serial,omitempty"`
	Records int    `json:"records"`
	// Primary is the one that said last that the copy is that of the moment, Confirmed when,
	// and Age how many seconds ago.
	Primary   string    `json:"primary,omitempty"`
	Confirmed time.Time `json:"confirmed,omitzero"`
	Age       float64   `json:"age"`
	Changed   time.Time `json:"changed,omitzero"` // when the content did last
	Next      time.Time `json:"next,omitzero"`    // when the primaries are asked again
	Expires   time.Time `json:"expires,omitzero"`
	// Error is why the last look at the primaries came to nothing; Since is since when.
	Error   string    `json:"error,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Unsaved string    `json:"unsaved,omitempty"` // why it is not on disk
}

// The states of a copy.
const (
	ZoneHeld    = "held"
	ZoneNone    = "none"
	ZoneExpired = "expired"
)

// Given is a zone that other servers may take, as one network sees it.
type Given struct {
	Name    string         `json:"zone"`
	Network string         `json:"network"`
	To      []netip.Prefix `json:"to"`
	Key     string         `json:"key,omitempty"`
	Made    bool           `json:"made"` // of endpoints and records; else it is a copy
	Serial  uint32         `json:"serial,omitempty"`
	Records int            `json:"records"`
	Changed time.Time      `json:"changed,omitzero"`
	Error   string         `json:"error,omitempty"` // why there is nothing to be taken, or nothing newer
	Whole   int64          `json:"whole"`           // transfers of all of it, since the start
	Changes int64          `json:"changes"`         // transfers of what has changed
	Told    []Told         `json:"told,omitempty"`
}

// Told is a server that is told when a zone has changed.
type Told struct {
	To     netip.AddrPort `json:"to"`
	Serial uint32         `json:"serial,omitempty"` // that it has confirmed last
	At     time.Time      `json:"at,omitzero"`
	Error  string         `json:"error,omitempty"`
}

// zones are all zones, with their age at a time.
func (s *Server) zones(now time.Time) Zones {
	all := Zones{Copies: []Zone{}, Given: []Given{}}
	if s.options.Zones == nil {
		return all
	}
	found := s.options.Zones()
	all.Copies, all.Given = append(all.Copies, found.Copies...), append(all.Given, found.Given...)
	for i := range all.Copies {
		if confirmed := all.Copies[i].Confirmed; !confirmed.IsZero() {
			all.Copies[i].Age = max(0, now.Sub(confirmed).Seconds())
		}
	}
	return all
}

// listZones answers /api/zones.
func (s *Server) listZones(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.zones(time.Now()))
}

// zoneList is what the page of the zones shows.
type zoneList struct {
	listing
	Zones
	All int // copies, found or not
}

func (s *Server) zonesPage(r *http.Request) page {
	data := zoneList{listing: listed(r.URL.Query()), Zones: s.zones(time.Now())}
	data.All = len(data.Copies)
	wanted := strings.ToLower(data.Search)
	var found []Zone
	for _, z := range data.Copies {
		if strings.Contains(z.Name, wanted) || strings.Contains(strings.ToLower(strings.Join(z.Networks, " ")), wanted) {
			found = append(found, z)
		}
	}
	data.Copies = cut(&data.window, found)
	return page{Data: data, Code: data.code()}
}

// ofZones are the conditions of the zones.
func ofZones(zones Zones) (all []Condition) {
	say := func(level Level, since time.Time, format string, args ...any) {
		all = append(all, Condition{level, fmt.Sprintf(format, args...), since, "/zones"})
	}
	for _, z := range zones.Copies {
		why := ""
		if z.Error != "" {
			why = ": " + z.Error
		}
		switch {
		case z.State == ZoneNone:
			say(Failing, z.Since, "there is no copy of zone %s yet, and its names are answered SERVFAIL%s", z.Name, why)
		case z.State == ZoneExpired:
			say(Failing, z.Expires, "zone %s has expired, and its names are answered SERVFAIL%s", z.Name, why)
		case z.Unsaved != "":
			say(Degraded, z.Changed, "the copy of zone %s is not on disk, and is lost with the program: %s", z.Name, z.Unsaved)
		case z.Error != "":
			say(Degraded, z.Since, "zone %s is not refreshed, and its copy is answered until %s%s", z.Name, when(z.Expires), why)
		}
	}
	for _, g := range zones.Given {
		if g.Error != "" {
			say(Degraded, g.Changed, "zone %s of network %s cannot be taken by others: %s", g.Name, g.Network, g.Error)
		}
	}
	return all
}
