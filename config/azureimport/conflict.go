package azureimport

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// Conflict is a name that has different addresses from different sources, in one
// network. It is in no table.
type Conflict struct {
	Name    zones.Name
	Network string // empty when the export is not split
	Claims  []Claim
	Advice  string // what to do
}

// Claim is what one source says of a name.
type Claim struct {
	Addresses []netip.Addr
	Resource  string // its full id and its file, or what else names it
}

// String is the conflict on one line.
func (c Conflict) String() string {
	in := ""
	if c.Network != "" {
		in = " in network " + c.Network
	}
	claims := make([]string, len(c.Claims))
	for i, claim := range c.Claims {
		claims[i] = fmt.Sprintf("%s (%s)", spell(claim.Addresses), claim.Resource)
	}
	return fmt.Sprintf("%s has two addresses%s: %s: left out; %s", c.Name, in, strings.Join(claims, " and "), c.Advice)
}

// draft is a network in the making.
type draft struct {
	decision  *decision
	layout    Layout
	network   string
	byID      map[identity][]Mapping
	conflicts []Conflict
}

// resolve are the mappings of the network, sorted by name: one for each name, but
// for those in conflict.
func (d *draft) resolve() []Mapping {
	byName := make(map[zones.Name][]Mapping)
	for _, id := range slices.SortedFunc(maps.Keys(d.byID), zones.Name.Compare) {
		for _, m := range d.agreed(d.byID[id]) {
			byName[m.Name] = append(byName[m.Name], m)
		}
	}
	var mappings []Mapping
	for _, name := range slices.SortedFunc(maps.Keys(byName), zones.Name.Compare) {
		same := byName[name]
		if len(same) > 1 { // one public name with two private ones
			d.conflict(same)
			continue
		}
		mappings = append(mappings, same[0])
	}
	return mappings
}

// agreed are the mappings that all sources of one identity leave: one for each
// public name.
func (d *draft) agreed(all []Mapping) []Mapping {
	left := d.trusted(all)
	switch {
	case !slices.ContainsFunc(left, func(m Mapping) bool { return !slices.Equal(m.Addresses, left[0].Addresses) }):
	case d.layout.Any, d.layout.Both && ofOneResource(left):
		left = d.both(left)
	default:
		d.conflict(left)
		return nil
	}
	var names []Mapping
	for _, m := range left {
		at := slices.IndexFunc(names, func(other Mapping) bool { return other.Name == m.Name })
		switch {
		case at < 0:
			names = append(names, m)
		case names[at].Private.IsZero():
			names[at].Private = m.Private
		}
	}
	if len(names) > 1 { // a bare private name says no more than a public one
		names = slices.DeleteFunc(names, func(m Mapping) bool { return m.Name == m.id })
	}
	return names
}

// trusted are the mappings that count. What Azure says of an endpoint comes before
// records, and records before zone groups; but two endpoints are as good as each
// other.
func (d *draft) trusted(all []Mapping) []Mapping {
	best := slices.MinFunc(all, func(a, b Mapping) int { return cmp.Compare(a.by.across(), b.by.across()) })
	var left []Mapping
	for _, m := range all {
		if m.by.across() == best.by.across() || best.of.isEndpoint() && m.of.isEndpoint() {
			left = append(left, m)
			continue
		}
		if !slices.Equal(m.Addresses, best.Addresses) {
			d.decision.notes.add("%s has the address %s at %s (%s) and %s at %s (%s): the first is taken",
				m.Name, spell(best.Addresses), best.by, best.of.where(), spell(m.Addresses), m.by, m.of.where())
		}
	}
	return left
}

// isEndpoint tells whether a source is a private endpoint, of which the export may
// hold no more than the interface or the zone group.
func (p *source) isEndpoint() bool { return !p.isRecord && p.id != "" }

// ofOneResource tells whether mappings are of endpoints that lead to one resource.
func ofOneResource(all []Mapping) bool {
	target := all[0].of.target()
	return target != "" && !slices.ContainsFunc(all, func(m Mapping) bool { return !strings.EqualFold(m.of.target(), target) })
}

// target is the id of the one resource that an endpoint leads to.
func (p *source) target() string {
	if p.endpoint == nil || len(p.endpoint.Connections) != 1 {
		return ""
	}
	return p.endpoint.Connections[0].TargetID
}

// both are mappings with the addresses of all, those of preferred regions first.
func (d *draft) both(all []Mapping) []Mapping {
	ordered := slices.SortedStableFunc(slices.Values(all), func(a, b Mapping) int {
		return cmp.Or(cmp.Compare(d.rank(a), d.rank(b)), cmp.Compare(a.of.key, b.of.key))
	})
	var addrs []netip.Addr
	var labels, ids []string
	for _, m := range ordered {
		addrs, labels, ids = addTo(addrs, m.Addresses...), addTo(labels, m.Source), addTo(ids, m.of.id)
	}
	for i := range ordered {
		ordered[i].Addresses, ordered[i].Source = addrs, strings.Join(labels, " ")
		ordered[i].more = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == ordered[i].of.id })
	}
	return ordered
}

// rank is the place of a mapping's region among those that are preferred.
func (d *draft) rank(m Mapping) int {
	at := slices.IndexFunc(d.layout.Prefer, func(region string) bool { return sameRegion(region, m.of.location) })
	if at < 0 {
		return len(d.layout.Prefer)
	}
	return at
}

// sameRegion compares regions, which are written westeurope or West Europe.
func sameRegion(a, b string) bool {
	squeeze := func(text string) string { return strings.ToLower(strings.ReplaceAll(text, " ", "")) }
	return squeeze(a) == squeeze(b)
}

// conflict leaves a name out, and notes who says what of it.
func (d *draft) conflict(all []Mapping) {
	c := Conflict{Name: all[0].Name, Network: d.network, Advice: d.advice(all)}
	var names []zones.Name
	for _, m := range all {
		if claim := (Claim{m.Addresses, m.of.where()}); !slices.ContainsFunc(c.Claims, claim.equal) {
			c.Claims = append(c.Claims, claim)
		}
		names = addTo(names, m.Name, m.id)
	}
	d.conflicts = append(d.conflicts, c)
	d.decision.leave(Gap{Reason: Conflicting, Resource: all[0].of.id, File: all[0].of.file, Names: names}, "%s", c)
}

func (c Claim) equal(other Claim) bool {
	return c.Resource == other.Resource && slices.Equal(c.Addresses, other.Addresses)
}

// advice says what to do about a conflict.
func (d *draft) advice(all []Mapping) string {
	records := slices.ContainsFunc(all, func(m Mapping) bool { return !m.of.isPE })
	vnets := make(map[string]bool)
	for _, m := range all {
		vnet, _, _ := cutFold(strings.ToLower(m.of.subnet), "/subnets/")
		vnets[vnet] = true
	}
	switch {
	case records:
		return "export only one of the two, or the network interface that tells which is right"
	case len(vnets) > 1 && d.layout.Split == Whole:
		return "split the export with --by-vnet or --by-link, or take both addresses with --both if they lead to one resource"
	case ofOneResource(all):
		return "--both takes both addresses, in the order of --prefer, or export only one of the two"
	}
	return "export only one of the two"
}
