package source

import (
	"fmt"
	"net/netip"
	"time"

	"pldns/config"
	"pldns/zones"
)

// Source is where mappings come from. Its methods may be called by any number of
// goroutines, and do not wait for the outside.
type Source interface {
	// Name is "file", "hosts" or "azure." and the name of its table.
	Name() string
	// Last gives the last set that was complete, nil where there has been none, and
	// why there is no newer one; nil where it is as new as it should be.
	Last() (*Set, error)
}

// Set is all that a source maps, at one time. It is not changed by anybody.
type Set struct {
	Taken  time.Time // when it was complete
	Shares map[string]*Share
}

// Endpoints is how many mappings there are in all networks.
func (s *Set) Endpoints() int {
	count := 0
	for _, share := range s.Shares {
		count += share.Count
	}
	return count
}

// Share is what a source gives to one network.
type Share struct {
	// Endpoints are the mappings, and Count is how many there are. Those of files are in
	// the configuration already, and are only counted.
	Endpoints []config.Endpoint
	Count     int
	Clients   []Client
	Zones     []Zone
	// Seen is when what a place names was last seen, by its place; a place that is not
	// here was seen when the set was taken.
	Seen map[config.Place]time.Time
}

// Client is a prefix that clients of a network ask from.
type Client struct {
	Prefix netip.Prefix
	// Distance tells how close it is to the network: of two networks that learn one
	// prefix, the closer one has it. 0 is a VNet of its own, 1 a peered one and
	// point-to-site clients.
	Distance int
	Place    config.Place
}

// Zone is a zone that a network sees.
type Zone struct {
	zones.ZoneSpec
	Place config.Place
}

// Origin is where a mapping comes from. It is comparable.
type Origin struct {
	Source string    `json:"source"`         // "file", "hosts" or "azure." and a name
	Place  string    `json:"place"`          // file and line, or the id of a resource
	Seen   time.Time `json:"seen,omitzero"`  // when it was last seen; zero for what a file says
	File   string    `json:"file,omitempty"` // for what a file says
	Line   int       `json:"line,omitempty"` // in it; 0 where it is not known, as in a file of more than 1 MiB in TOML
}

// String is the origin on one line.
func (o Origin) String() string {
	if o.Seen.IsZero() {
		return o.Place
	}
	return fmt.Sprintf("%s: %s, seen %s", o.Source, o.Place, o.Seen.UTC().Format(time.RFC3339))
}
