package config

import (
	"net/netip"

	"pldns/zones"
	"pldns/zones/azure"
)

// Learned is a mapping that no file holds.
type Learned struct {
	Name zones.Name // public, or private where that is all that is known
	// Private is the private name where the catalogue cannot derive it; else zero.
	Private   zones.Name
	Addresses []netip.Addr
	// FirstHealthy answers the first address that can be reached, and not all.
	FirstHealthy bool
	Place        Place
}

// LearnedAt is the place of what a source learned about a resource.
func LearnedAt(source, resource string) Place { return placeOf(source, resource) }

// Learn makes endpoints of what was learned, by the rules that hold for what is
// written: each name gets its private name of the catalogue, and a private name the
// public ones that it stands for. The problems are of those that are left out.
func Learn(catalogue *azure.Catalogue, learned []Learned) ([]Endpoint, Problems) {
	l := &loader{rep: newReport(), catalogue: catalogue, config: new(Config)}
	made := newMappings()
	made.grow(len(learned))
	for i := range learned {
		from := &learned[i]
		e := Endpoint{Place: from.Place}
		e.Name, e.Addresses, e.TTL = from.Name, from.Addresses, zones.DefaultTTL
		if from.FirstHealthy {
			e.Pick = zones.PickFirstHealthy
		}
		if from.Private.IsZero() {
			l.derived(e, true, made)
		} else {
			l.namedPrivate(e, entry{from.Private.String(), from.Place}, true, made)
		}
	}
	all := make([]Endpoint, 0, made.count())
	for _, e := range made.all() {
		all = append(all, e)
	}
	return all, l.rep.sorted(l.rep.problems)
}

// Count is how many endpoints the network has, how many of them are in hosts files of
// this machine, and how many in a release.
func (n *Network) Count() (all, inHosts, released int) {
	m := n.mapped
	for i, from := range m.sections {
		end := m.count()
		if i+1 < len(m.sections) {
			end = m.sections[i+1].from
		}
		if (Place{in: from.in}).Released() {
			released += end - from.from
			continue
		}
		for _, line := range m.lines[from.from:end] {
			if line > 0 {
				inHosts++
			}
		}
	}
	return m.count(), inHosts, released
}

// With is the network with further endpoints. Neither it nor n changes the other.
func (n *Network) With(learned []Endpoint) Network {
	more := *n
	more.mapped = newMappings()
	more.mapped.addAll(n.mapped)
	for i := range learned {
		more.mapped.add(learned[i])
	}
	return more
}

// Build makes the table of the networks anew, after they were changed. The error is
// [zones.Clashes]; the table is what it was then.
func (c *Config) Build() error {
	specs := make([]zones.NetworkSpec, len(c.Networks))
	for i := range specs {
		specs[i] = c.Networks[i].Spec()
	}
	table, err := zones.Build(specs, c.Listen.All()...)
	if err == nil {
		c.Table = table
	}
	return err
}
