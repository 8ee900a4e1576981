package azureimport

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"pldns/config"
	"pldns/zones"
)

// Drift is where a configuration and an export differ.
type Drift struct {
	// Networks are those with a difference, sorted by name.
	Networks []NetworkDrift `json:"networks"`
	// Unmapped are endpoints of the export that no mapping names, sorted by name.
	Unmapped []DriftedEndpoint `json:"unmapped"`
	// Incomplete are the gaps of the export for which any mapping may be meant: none
	// is known to be gone while there is one.
	Incomplete []Gap `json:"incomplete"`
	// Notes are what the operator should know besides.
	Notes []string `json:"-"`
}

// NetworkDrift is what one network maps otherwise than the export says. The lists
// are sorted by name.
type NetworkDrift struct {
	Network string           `json:"network"`
	Gone    []DriftedMapping `json:"gone"`    // mappings that Azure no longer has
	Unknown []DriftedMapping `json:"unknown"` // mappings of which the export does not tell whether it has them
	Changed []DriftedMapping `json:"changed"` // mappings with other addresses
}

// DriftedMapping is a mapping of the configuration.
type DriftedMapping struct {
	Name      zones.Name   `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	// Exported is what the export says of the name; empty when it does not have it.
	Exported []DriftedEndpoint `json:"exported,omitempty"`
	// Why says why nothing is known of it; empty otherwise.
	Why  string `json:"why,omitempty"`
	File string `json:"file"`
	Key  string `json:"key"`
}

// DriftedEndpoint is a name of an endpoint of the export.
type DriftedEndpoint struct {
	Name      zones.Name   `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	Source    string       `json:"source"`
}

// Any reports whether there is any difference.
func (d Drift) Any() bool { return len(d.Networks) > 0 || len(d.Unmapped) > 0 }

// comparison holds mappings against what an export says.
type comparison struct {
	decision *decision
	exported map[identity][]Mapping
	held     heldNames
	blocking []Gap
	scope    scope
	nameless map[netip.Addr]bool // addresses of endpoints of which nothing tells the name
	left     int                 // mappings that cannot be compared
}

// Compare holds the mappings of networks against everything that was read. One name
// may have an endpoint in each of several networks: a mapping is right when its
// addresses are those of one of them, or more of them together.
//
// A mapping that the export does not have is gone only if the export is complete,
// and nothing that was left out may be meant. A name outside the catalogue, such as
// api.contoso.com, is compared only where the export has it; a note counts the
// others.
func (e *Export) Compare(networks []config.Network) Drift {
	d := e.decide()
	c := comparison{decision: d, exported: make(map[identity][]Mapping), scope: e.scope()}
	for _, key := range slices.Sorted(maps.Keys(d.sources)) {
		for _, m := range d.accept(d.sources[key]) {
			c.exported[m.id] = append(c.exported[m.id], m)
		}
	}
	c.held = heldBy(e.catalogue, d.gaps.list)
	drift := Drift{Networks: []NetworkDrift{}, Incomplete: []Gap{}}
	addresses := addressesOf(networks)
	for _, gap := range d.gaps.list {
		if gap.blocks(addresses) {
			c.blocking = append(c.blocking, gap)
			drift.Incomplete = append(drift.Incomplete, gap)
		}
	}
	c.nameless = make(map[netip.Addr]bool)
	for _, gap := range d.gaps.list {
		for _, addr := range gap.Addresses {
			c.nameless[addr] = true
		}
	}
	mapped := make(map[identity]bool)
	for i := range networks {
		if n := c.network(&networks[i], mapped); len(n.Gone)+len(n.Unknown)+len(n.Changed) > 0 {
			drift.Networks = append(drift.Networks, n)
		}
	}
	if c.left > 0 {
		d.notes.add("%d of the names are outside the catalogue or the zones of the export, and not in it: not compared", c.left)
	}
	drift.Unmapped = unmapped(c.exported, mapped)
	slices.SortFunc(drift.Networks, func(a, b NetworkDrift) int { return cmp.Compare(a.Network, b.Network) })
	gaps, notes := d.said()
	for _, gap := range gaps {
		notes = append(notes, gap.Text)
	}
	drift.Notes = slices.Compact(slices.Sorted(slices.Values(notes)))
	return drift
}

// addressesOf are all addresses that networks map.
func addressesOf(networks []config.Network) map[netip.Addr]bool {
	addresses := make(map[netip.Addr]bool)
	for i := range networks {
		for endpoint := range networks[i].Endpoints() {
			for _, addr := range endpoint.Addresses {
				addresses[addr] = true
			}
		}
	}
	return addresses
}

// network compares the mappings of one network, and notes what they map.
func (c *comparison) network(network *config.Network, mapped map[identity]bool) NetworkDrift {
	n := NetworkDrift{Network: network.Name, Gone: []DriftedMapping{}, Unknown: []DriftedMapping{}, Changed: []DriftedMapping{}}
	seen := make(map[identity]bool)
	for endpoint := range network.Endpoints() {
		id := identityOf(endpoint)
		if seen[id] {
			continue // another public name of the same private one
		}
		seen[id], mapped[id] = true, true
		c.mapping(&n, endpoint, id)
	}
	n.sort()
	return n
}

// mapping holds one mapping against the endpoints of its name.
func (c *comparison) mapping(n *NetworkDrift, endpoint config.Endpoint, id identity) {
	m := DriftedMapping{Name: endpoint.Name, Addresses: endpoint.Addresses, File: endpoint.Place.File(), Key: endpoint.Place.Key()}
	exported := c.exported[id]
	if len(exported) > 0 {
		if !agrees(endpoint.Addresses, exported) {
			for _, other := range exported {
				m.Exported = append(m.Exported, other.drifted())
			}
			n.Changed = append(n.Changed, m)
		}
		return
	}
	if gap, is := c.held.of(endpoint.Name, id); is {
		m.Why = c.decision.gaps.list[gap].Text
		n.Unknown = append(n.Unknown, m)
		return
	}
	_, private := c.decision.e.catalogue.ZoneOf(id)
	switch {
	case slices.ContainsFunc(endpoint.Addresses, func(a netip.Addr) bool { return c.nameless[a] }):
		// It maps, by hand, an endpoint of which nothing tells the name.
	case !private || !c.scope.holds(endpoint.Name, id):
		c.left++
	case len(c.blocking) > 0:
		m.Why = c.blocking[0].Text
		n.Unknown = append(n.Unknown, m)
	default:
		n.Gone = append(n.Gone, m)
	}
}

// agrees reports whether every address is of some endpoint, and one endpoint is there
// with all of its own.
func agrees(mapped []netip.Addr, exported []Mapping) bool {
	var known []netip.Addr
	complete := false
	for _, m := range exported {
		known = union(known, m.Addresses...)
		complete = complete || !slices.ContainsFunc(m.Addresses, func(a netip.Addr) bool { return !slices.Contains(mapped, a) })
	}
	return complete && !slices.ContainsFunc(mapped, func(a netip.Addr) bool { return !slices.Contains(known, a) })
}

func (n *NetworkDrift) sort() {
	byName := func(a, b DriftedMapping) int { return a.Name.Compare(b.Name) }
	slices.SortFunc(n.Gone, byName)
	slices.SortFunc(n.Unknown, byName)
	slices.SortFunc(n.Changed, byName)
}

func (m Mapping) drifted() DriftedEndpoint {
	return DriftedEndpoint{Name: m.Name, Addresses: m.Addresses, Source: m.Source}
}

// unmapped are the endpoints whose name no network maps.
func unmapped(exported map[identity][]Mapping, mapped map[identity]bool) []DriftedEndpoint {
	found := []DriftedEndpoint{}
	for id, mappings := range exported {
		if mapped[id] {
			continue
		}
		for _, m := range mappings {
			found = append(found, m.drifted())
		}
	}
	slices.SortFunc(found, func(a, b DriftedEndpoint) int {
		return cmp.Or(a.Name.Compare(b.Name), cmp.Compare(a.Source, b.Source),
			cmp.Compare(fmt.Sprint(a.Addresses), fmt.Sprint(b.Addresses)))
	})
	return found
}
