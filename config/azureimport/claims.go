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

// claim is a name of one source while what tells it is weighed.
type claim struct {
	named
	by      trust
	addrs   []netip.Addr
	private zones.Name // where it must be written
	zones   []string   // ids of the private zones that hold it
}

// claims are the names of one source.
type claims struct {
	d       *decision
	p       *source
	byName  map[zones.Name]*claim
	byID    map[identity]*claim
	strange map[zones.Name]*claim // public names whose private name cannot be derived
}

// settle decides what the names of one source are, whatever its state.
func (d *decision) settle(p *source) *claims {
	c := &claims{d: d, p: p, byName: make(map[zones.Name]*claim), byID: make(map[identity]*claim), strange: make(map[zones.Name]*claim)}
	c.take(byNIC)
	c.take(byRecord)
	c.take(byGroup)
	if c.none() {
		c.take(byCustom)
	}
	return c
}

// finish completes what is known of an endpoint that counts, and notes what is not.
func (c *claims) finish() {
	if c.none() && c.p.id != "" && !c.p.isRecord {
		c.derive()
	}
	c.pair()
	if c.p.isPE && len(c.byName) > 0 {
		c.noteNameless()
		c.notePartial()
	}
}

// none reports whether nothing is known yet.
func (c *claims) none() bool { return len(c.byName) == 0 && len(c.strange) == 0 }

// take adds the names that one source tells. What a more trusted one said stays.
func (c *claims) take(by trust) {
	for _, f := range c.p.facts[by] {
		if !isPrivate(f.addr) {
			c.d.leave(Gap{Reason: NotPrivate, Resource: c.p.id, File: c.p.file, Names: c.d.spellings(f.name)},
				"%s: %s has the address %s, which is not private: left out; map it by hand with allow_public if it is meant",
				c.p.label, f.name, f.addr)
			continue
		}
		n, ok := nameFrom(c.d.e.catalogue, f.name)
		if !ok {
			c.takeStrange(f, by)
			continue
		}
		if other := c.byID[n.id]; other != nil && other.by < by {
			other.zones = addZone(other.zones, f.zone)
			if !slices.Contains(other.addrs, f.addr) {
				c.d.notes.add("%s: %s has the address %s at %s and %s at %s: the first is taken",
					c.p.label, n.name, spell(other.addrs), other.by, f.addr, by)
			}
			continue
		}
		c.enter(n, by, f)
	}
}

// addZone adds the id of a zone, if one is told.
func addZone(ids []string, id string) []string {
	if id == "" {
		return ids
	}
	return addTo(ids, id)
}

// enter adds an address to a name.
func (c *claims) enter(n named, by trust, f fact) {
	if c.byName[n.name] == nil {
		c.byName[n.name] = &claim{named: n, by: by}
	}
	at := c.byName[n.name]
	at.addrs = union(at.addrs, f.addr)
	at.zones = addZone(at.zones, f.zone)
	if c.byID[n.id] == nil {
		c.byID[n.id] = at
	}
}

// takeStrange keeps a public name without a private one for later.
func (c *claims) takeStrange(f fact, by trust) {
	if _, zone := c.d.e.catalogue.ZoneOf(f.name); zone {
		c.d.leave(Gap{Reason: Refused, Resource: c.p.id, File: c.p.file, Names: []zones.Name{f.name}},
			"%s: %s is a zone and not a name in one: left out", c.p.label, f.name)
		return
	}
	if c.strange[f.name] == nil {
		c.strange[f.name] = &claim{named: named{name: f.name}, by: by}
	}
	at := c.strange[f.name]
	at.addrs = union(at.addrs, f.addr)
}

// pair finds the private names of those that cannot be derived: the zone group or a
// record holds them, at the same addresses and without a public name of their own.
func (c *claims) pair() {
	c.pairOutside()
	for _, name := range slices.SortedFunc(maps.Keys(c.strange), zones.Name.Compare) {
		at := c.strange[name]
		private := c.partner(at)
		if private == nil {
			c.d.leave(Gap{Reason: NoPrivateName, Resource: c.p.id, File: c.p.file},
				"%s: the private name of %s cannot be derived, and no DNS zone group or record of the export gives it: left out; "+
					"map it by hand with private_name: # %q = { addresses = %s, private_name = \"NAME\" } # %s",
				c.p.label, name, name, addressValue(at.addrs), c.p.label)
			continue
		}
		c.join(at, private)
	}
}

// join makes one mapping of a public and a private name.
func (c *claims) join(public, private *claim) {
	delete(c.byName, private.name)
	delete(c.byName, public.name)
	public.id, public.private, public.zones = private.id, private.id, private.zones
	c.byName[public.name], c.byID[public.id] = public, public
}

// pairOutside joins names outside the catalogue: a public one of the interface and
// one with a privatelink label, with the same first label and the same addresses.
func (c *claims) pairOutside() {
	for _, name := range slices.SortedFunc(maps.Keys(c.byName), zones.Name.Compare) {
		public := c.byName[name]
		if public == nil || public.id != name || isPrivatelink(name) {
			continue
		}
		var found []*claim
		for _, other := range c.byName {
			if other.id == other.name && isPrivatelink(other.name) && withoutPrivatelink(other.name) == name.String() &&
				slices.Equal(other.addrs, public.addrs) {
				found = append(found, other)
			}
		}
		if len(found) == 1 {
			c.join(public, found[0])
		}
	}
}

// isPrivatelink reports whether a name holds the label of a privatelink zone.
func isPrivatelink(name zones.Name) bool { return slices.Contains(name.Labels(), "privatelink") }

// withoutPrivatelink is a private name without that label: where Azure's common rule
// holds, the public one.
func withoutPrivatelink(name zones.Name) string {
	return strings.Join(slices.DeleteFunc(name.Labels(), func(label string) bool { return label == "privatelink" }), ".")
}

// partner is the one private name that fits a public name that tells none: the
// only one, or the only one with the same first label.
func (c *claims) partner(public *claim) *claim {
	var all, alike []*claim
	for _, other := range c.byName {
		fits := (other.by == byGroup || other.by == byRecord) && other.private.IsZero() && slices.Equal(other.addrs, public.addrs) &&
			other.name.IsWildcard() == public.name.IsWildcard()
		if _, private := c.d.e.catalogue.ZoneOf(other.id); !fits || !private {
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

// mappings are the names that are left, as they go into a table.
func (c *claims) mappings() []Mapping {
	mappings := make([]Mapping, 0, len(c.byName))
	for _, name := range slices.SortedFunc(maps.Keys(c.byName), zones.Name.Compare) {
		at := c.byName[name]
		c.notePrivate(at)
		mappings = append(mappings, Mapping{
			Name: name, Private: at.private, Addresses: at.addrs, Source: c.p.label, id: at.id, by: at.by, of: c.p, zones: at.zones,
		})
	}
	return mappings
}

// notePrivate says of a name that is written as the private one what that means.
func (c *claims) notePrivate(at *claim) {
	if _, private := c.d.e.catalogue.ZoneOf(at.name); !private {
		return
	}
	why := "its public name is not known"
	if at.name.IsWildcard() {
		why = "in public names it would stand for the resources of everybody"
	}
	c.d.notes.add("%s: %s is written under its private name, because %s: "+
		"it is answered under that name, and where an alias leads to it", c.p.label, at.name, why)
}

// names are all names that are known, by which a configuration may hold them.
func (c *claims) names() []zones.Name {
	var names []zones.Name
	for _, at := range c.byName {
		names = addTo(names, at.name, at.id)
	}
	for name := range c.strange {
		names = addTo(names, name)
	}
	slices.SortFunc(names, zones.Name.Compare)
	return names
}

// isOutside reports whether a name is outside the catalogue, and has no private name
// for that reason.
func isOutside(err error) bool { return errors.Is(err, azure.ErrNotInCatalogue) }
