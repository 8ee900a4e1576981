package azureimport

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"pldns/config"
	"pldns/zones"
	"pldns/zones/azure"
)

// Drift is where a configuration and an export differ.
type Drift struct {
	// Networks are those with a difference, sorted by name.
	Networks []NetworkDrift `json:"networks"`
	// Unmapped are endpoints of the export that no mapping names, sorted by name.
	Unmapped []DriftedEndpoint `json:"unmapped"`
}

// NetworkDrift is what one network maps otherwise than the export says. Both lists
// are sorted by name.
type NetworkDrift struct {
	Network string           `json:"network"`
	Gone    []DriftedMapping `json:"gone"`    // mappings that Azure no longer has
	Changed []DriftedMapping `json:"changed"` // mappings with other addresses
}

// DriftedMapping is a mapping of the configuration.
type DriftedMapping struct {
	Name      zones.Name   `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	// Exported is what the export says of the name; empty when it does not have it.
	Exported []DriftedEndpoint `json:"exported,omitempty"`
	File     string            `json:"file"`
	Key      string            `json:"key"`
}

// DriftedEndpoint is a name of an endpoint of the export.
type DriftedEndpoint struct {
	Name      zones.Name   `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	Source    string       `json:"source"`
}

// Any tells whether there is any difference.
func (d Drift) Any() bool { return len(d.Networks) > 0 || len(d.Unmapped) > 0 }

// Compare holds the mappings of networks against everything that was read. One name
// may have an endpoint in each of several networks: a mapping is right when its
// addresses are those of one of them, or more of them together.
//
// A name outside the catalogue, such as api.contoso.com, is compared only where the
// export has it; the notes of the export count the others.
func (e *Export) Compare(networks []config.Network) Drift {
	exported := e.all()
	mapped := make(map[identity]bool)
	drift := Drift{Networks: []NetworkDrift{}}
	left := 0
	for i := range networks {
		d := NetworkDrift{Network: networks[i].Name, Gone: []DriftedMapping{}, Changed: []DriftedMapping{}}
		seen := make(map[identity]bool)
		for _, endpoint := range networks[i].Endpoints {
			id := identityOf(endpoint)
			if seen[id] {
				continue // another public name of the same private one
			}
			seen[id], mapped[id] = true, true
			left += d.compare(e.catalogue, endpoint, exported[id])
		}
		if len(d.Gone)+len(d.Changed) > 0 {
			d.sort()
			drift.Networks = append(drift.Networks, d)
		}
	}
	if left > 0 {
		e.note("%d of the names are outside the catalogue and not in the export: not compared", left)
	}
	drift.Unmapped = unmapped(exported, mapped)
	drift.Networks = slices.SortedFunc(slices.Values(drift.Networks), func(a, b NetworkDrift) int { return cmp.Compare(a.Network, b.Network) })
	return drift
}

// all are the mappings of everything that was read, by identity. Endpoints of
// several networks may give one name different addresses.
func (e *Export) all() map[identity][]Mapping {
	e.join()
	exported := make(map[identity][]Mapping)
	for _, key := range slices.Sorted(maps.Keys(e.endpoints)) {
		for _, m := range e.settle(e.endpoints[key]) {
			exported[m.id] = append(exported[m.id], m)
		}
	}
	return exported
}

// compare holds one mapping against the endpoints of its name. The result is 1 for
// a mapping that cannot be compared.
func (d *NetworkDrift) compare(catalogue *azure.Catalogue, endpoint config.Endpoint, exported []Mapping) int {
	m := DriftedMapping{
		Name: endpoint.Name, Addresses: endpoint.Addresses, File: endpoint.Place.File, Key: endpoint.Place.Key(),
	}
	if len(exported) == 0 {
		if _, private := catalogue.ZoneOf(identityOf(endpoint)); !private {
			return 1
		}
		d.Gone = append(d.Gone, m)
		return 0
	}
	if agrees(endpoint.Addresses, exported) {
		return 0
	}
	for _, other := range exported {
		m.Exported = append(m.Exported, other.drifted())
	}
	d.Changed = append(d.Changed, m)
	return 0
}

// agrees tells whether every address is of some endpoint, and one endpoint is there
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

func (d *NetworkDrift) sort() {
	byName := func(a, b DriftedMapping) int { return a.Name.Compare(b.Name) }
	slices.SortFunc(d.Gone, byName)
	slices.SortFunc(d.Changed, byName)
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
		return cmp.Or(a.Name.Compare(b.Name), cmp.Compare(a.Source, b.Source), cmp.Compare(fmt.Sprint(a.Addresses), fmt.Sprint(b.Addresses)))
	})
	return found
}
