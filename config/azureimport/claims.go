package azureimport

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
	"pldns/zones/azure"
)

// claim is a name of one endpoint while its sources are weighed.
type claim struct {
	named
	by      trust
	addrs   []netip.Addr
	private zones.Name // where it must be written
}

// claims are the names of one endpoint.
type claims struct {
	export  *Export
	p       *endpoint
	byName  map[zones.Name]*claim
	byID    map[identity]*claim
	strange map[zones.Name]*claim // public names whose private name cannot be derived
}

func newClaims(e *Export, p *endpoint) *claims {
	return &claims{
		export: e, p: p, byName: make(map[zones.Name]*claim), byID: make(map[identity]*claim),
		strange: make(map[zones.Name]*claim),
	}
}

// none tells whether nothing is known yet.
func (c *claims) none() bool { return len(c.byName) == 0 && len(c.strange) == 0 }

// take adds the names that one source tells. What a more trusted one said stays.
func (c *claims) take(by trust) {
	for _, f := range c.p.facts[by] {
		if !isPrivate(f.addr) {
			c.export.note("%s: %s has the address %s, which is not private: left out; map it by hand with allow_public if it is meant",
				c.p.label, f.name, f.addr)
			continue
		}
		n, ok := nameFrom(c.export.catalogue, f.name)
		if !ok {
			c.takeStrange(f, by)
			continue
		}
		if other := c.byID[n.id]; other != nil && other.by < by {
			if !slices.Contains(other.addrs, f.addr) {
				c.export.note("%s: %s has the address %s at the network interface and %s in the DNS zone: the first is taken",
					c.p.label, n.name, spell(other.addrs), f.addr)
			}
			continue
		}
		c.enter(n, by, f.addr)
	}
}

// enter adds an address to a name.
func (c *claims) enter(n named, by trust, addr netip.Addr) {
	if c.byName[n.name] == nil {
		c.byName[n.name] = &claim{named: n, by: by}
	}
	at := c.byName[n.name]
	at.addrs = union(at.addrs, addr)
	if c.byID[n.id] == nil {
		c.byID[n.id] = at
	}
}

// takeStrange keeps a public name without a private one for later.
func (c *claims) takeStrange(f fact, by trust) {
	if _, zone := c.export.catalogue.ZoneOf(f.name); zone {
		c.export.note("%s: %s is a zone and not a name in one: left out", c.p.label, f.name)
		return
	}
	if c.strange[f.name] == nil {
		c.strange[f.name] = &claim{named: named{name: f.name}, by: by}
	}
	at := c.strange[f.name]
	at.addrs = union(at.addrs, f.addr)
}

// pair finds the private names of those that cannot be derived: the zone group
// holds them, at the same addresses and without a public name of their own.
func (c *claims) pair() {
	for _, name := range slices.SortedFunc(maps.Keys(c.strange), zones.Name.Compare) {
		at := c.strange[name]
		private := c.partner(at)
		if private == nil {
			c.export.note("%s: the private name of %s cannot be derived, and no DNS zone group or record of the export gives it: left out",
				c.p.label, name)
			continue
		}
		delete(c.byName, private.name)
		at.id, at.private = private.id, private.id
		c.byName[name], c.byID[at.id] = at, at
	}
}

// partner is the one private name that fits a public name that tells none: the
// only one, or the only one with the same first label.
func (c *claims) partner(public *claim) *claim {
	var all, alike []*claim
	for _, other := range c.byName {
		fits := other.by == byGroup && other.private.IsZero() && slices.Equal(other.addrs, public.addrs) &&
			other.name.IsWildcard() == public.name.IsWildcard()
		if _, private := c.export.catalogue.ZoneOf(other.id); !fits || !private {
			continue
		}
		all = append(all, other)
		if firstLabel(other.id) == firstLabel(public.name) {
			alike = append(alike, other)
		}
	}
	switch {
	case len(alike) == 1:
		return alike[0]
	case len(all) == 1:
		return all[0]
	}
	return nil
}

func firstLabel(name zones.Name) string {
	label, _, _ := strings.Cut(name.FQDN(), ".")
	return label
}

// derive names an endpoint by the resource that it leads to, where the catalogue
// and its address leave one meaning only. It notes what is missing otherwise.
func (c *claims) derive() {
	p := c.p
	addrs := p.loose
	if len(addrs) == 0 {
		addrs = p.first
	}
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return !isPrivate(a) })
	if p.id == "" {
		return
	}
	if len(addrs) == 0 {
		c.export.note("%s: the export has no address for it, as happens where a DNS zone group is attached: "+
			"export the network interfaces too (az network nic list), and give both files", p.label)
		return
	}
	found := c.export.targets(p)
	sameFamily := func(a, b netip.Addr) bool { return a.Is4() == b.Is4() }
	if several := len(slices.CompactFunc(slices.Clone(addrs), sameFamily)) != len(addrs); several || len(found) != 1 {
		c.export.note("%s: the export has no name for it, and what it leads to does not tell one: "+
			"export its network interface too (az network nic list)", p.label)
		return
	}
	for _, addr := range addrs {
		c.enter(found[0], byCustom, addr)
	}
}

// targets are the names that the catalogue gives the resource behind an endpoint,
// one for each private name.
func (e *Export) targets(p *endpoint) []named {
	if len(p.links) != 1 || len(p.links[0].groups) != 1 {
		return nil
	}
	target, group := p.links[0].target, p.links[0].groups[0]
	kind, resource := resourceType(target)
	if strings.HasSuffix(group, "_secondary") {
		resource += "-secondary"
	}
	cloud := cloudOf(p.location)
	var found []named
	for _, entry := range e.entries {
		if entry.Cloud != cloud || entry.Legacy || !strings.EqualFold(entry.ResourceType, kind) || !strings.EqualFold(entry.Subresource, group) {
			continue
		}
		for _, zone := range entry.PublicZones {
			found = e.addTarget(found, resource+"."+zone)
		}
	}
	return found
}

// addTarget adds a name to those of a resource, unless one with the same private
// name is there. A name that cannot be derived counts too: it makes the resource
// have more names than one.
func (e *Export) addTarget(found []named, text string) []named {
	name, ok := hostName(text)
	if !ok {
		return append(found, named{})
	}
	match, err := e.catalogue.Derive(name)
	if err != nil {
		return append(found, named{name: name})
	}
	if slices.ContainsFunc(found, func(n named) bool { return n.id == match.Private }) {
		return found
	}
	return append(found, named{name, match.Private})
}

// resourceType is the type and the name of the resource with an id.
func resourceType(id string) (kind, name string) {
	segments := strings.Split(strings.Trim(id, "/"), "/")
	for i, segment := range segments {
		if strings.EqualFold(segment, "providers") && len(segments) == i+4 {
			return segments[i+1] + "/" + segments[i+2], segments[i+3]
		}
	}
	return "", ""
}

// cloudOf is the cloud that a region is of; empty when the export does not tell.
func cloudOf(location string) azure.Cloud {
	location = strings.ToLower(strings.ReplaceAll(location, " ", ""))
	switch {
	case location == "":
		return ""
	case strings.HasPrefix(location, "usgov"), strings.HasPrefix(location, "usdod"):
		return azure.USGov
	case strings.HasPrefix(location, "china"):
		return azure.China
	}
	return azure.Public
}

// mappings are the names that are left, as they go into a table.
func (c *claims) mappings() []Mapping {
	mappings := make([]Mapping, 0, len(c.byName))
	for _, name := range slices.SortedFunc(maps.Keys(c.byName), zones.Name.Compare) {
		at := c.byName[name]
		mappings = append(mappings, Mapping{
			Name: name, Private: at.private, Addresses: at.addrs, Source: c.p.label, id: at.id, where: c.p.where(),
		})
	}
	return mappings
}

// isOutside tells whether a name is outside the catalogue, and has no private name
// for that reason.
func isOutside(err error) bool { return errors.Is(err, azure.ErrNotInCatalogue) }
