package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pldns/zones"
	"pldns/zones/catalogzone"
)

// Catalog is a catalog zone (RFC 9432), which lists zones that are held as copies.
type Catalog struct {
	Zone    zones.Name
	Network string // whose zones it lists; empty for all networks
	Copy    string // the id of the copy that the catalog is read from
	// Members are the servers that the zones which it lists are taken from, in their order.
	Members []Primary
}

// catalogDraft is a catalog while the files are read.
type catalogDraft struct {
	place         Place
	from, members fromDraft
}

type catalogDrafts map[zones.Name]*catalogDraft

const exampleCatalog = "catalog.corp.example"

// catalogs reads the catalogs that one file declares for a network or for all.
func (l *loader) catalogs(parent table, into catalogDrafts) {
	t, _ := parent.sub("catalogs")
	known := []string{"from", "tsig", "members_from", "members_tsig"}
	for _, key := range t.keys() {
		value, _ := t.get(key)
		if names := unquoted(key, value, known...); len(names) > 0 {
			l.rep.add(t.place(key), unquotedFault(names))
			continue
		}
		inner, ok := t.sub(key)
		name, f := parseSuffix(key)
		if f == nil && name.IsRoot() {
			f = faultf(fmt.Sprintf("write a name as in [catalogs.%q]", exampleCatalog), "the root is no catalog")
		}
		if f != nil {
			l.rep.add(t.place(key), f)
			ok = false
		}
		if first := into[name]; ok && first != nil {
			if !inner.here().Released() || first.place.Released() {
				l.rep.clash(inner.here(), first.place, faultf("write all of it in one table", "catalog %s is declared twice", name))
			}
			ok = false
		}
		if !ok {
			continue
		}
		inner.only(known...)
		draft := &catalogDraft{place: inner.here()}
		into[name] = draft
		l.from(inner, "from", "tsig", &draft.from)
		l.from(inner, "members_from", "members_tsig", &draft.members)
		if !draft.from.given() {
			l.rep.add(draft.place, faultf(fmt.Sprintf("add from = [%q]", examplePrimary),
				"it is not said where catalog %s is taken from", name))
		}
	}
}

// finishCatalogs gives each catalog its copy, and the primaries of its members, which are
// those of the catalog unless others are written.
func (l *loader) finishCatalogs() {
	l.finishCatalogsOf("", l.sharedCatalogs)
	for _, name := range slices.Sorted(maps.Keys(l.drafts)) {
		l.finishCatalogsOf(name, l.drafts[name].catalogs)
	}
}

func (l *loader) finishCatalogsOf(network string, drafts catalogDrafts) {
	for _, name := range slices.SortedFunc(maps.Keys(drafts), zones.Name.Compare) {
		draft := drafts[name]
		if !draft.from.given() {
			continue
		}
		if !draft.members.given() {
			draft.members.place, draft.members.primaries = draft.from.place, slices.Clone(draft.from.primaries)
		}
		l.finishFrom(&draft.from)
		if draft.members.tsig.text != "" {
			l.finishFrom(&draft.members)
		} else if len(draft.from.primaries) > 0 {
			for i := range draft.members.primaries {
				draft.members.primaries[i].Key = draft.from.primaries[0].Key
			}
		}
		l.config.Catalogs = append(l.config.Catalogs, Catalog{
			Zone: name.Clone(), Network: strings.Clone(network), Copy: l.copyOf(name, &draft.from, ""), Members: draft.members.primaries,
		})
	}
}

// member is the copy of a zone that the catalog lists. Another unique label makes another
// one of it, of which nothing is known yet (RFC 9432 section 5.6).
func (c *Catalog) member(m *catalogzone.Member) Copy {
	more := []string{"member", m.Label}
	if key := c.Members[0].Key; key != nil {
		more = append(more, key.Name.String())
	}
	id := copyID(m.Zone, c.Members, more...)
	return Copy{ID: id, Zone: m.Zone, Primaries: c.Members, Catalog: c.Zone}
}

// catalogsOf are the catalogs of a network: its own, and those of all. One that it has
// itself takes the place of the one of all.
func (c *Config) catalogsOf(network string) []*Catalog {
	all := make(map[zones.Name]*Catalog)
	for i := range c.Catalogs {
		if of := &c.Catalogs[i]; of.Network == network || of.Network == "" && all[of.Zone] == nil {
			all[of.Zone] = of
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *Catalog) int { return a.Zone.Compare(b.Zone) })
}

// WithMembers is a configuration with the zones that its catalogs list, as they are known by
// the ids of their copies; those that are not known list none. What a network has of its own
// goes before. What was left out is told in words, in a stable order. The configuration is
// not changed. It is an error if no table comes of it.
func (c *Config) WithMembers(known map[string]*catalogzone.Catalog) (*Config, []string, error) {
	if len(known) == 0 || len(c.Catalogs) == 0 {
		return c, nil, nil
	}
	made := *c
	made.Networks = slices.Clone(c.Networks)
	m := members{known: known, copies: make(map[string]*Copy)}
	for i := range made.Networks {
		n := &made.Networks[i]
		n.Zones = m.join(n, c.catalogsOf(n.Name))
	}
	made.Copies = slices.Clone(c.Copies)
	for _, id := range slices.Sorted(maps.Keys(m.copies)) {
		made.Copies = append(made.Copies, *m.copies[id])
	}
	slices.Sort(m.warnings)
	return &made, slices.Compact(m.warnings), made.Build()
}

// members collects what catalogs list.
type members struct {
	known    map[string]*catalogzone.Catalog // by id of the copy
	copies   map[string]*Copy
	warnings []string
}

func (m *members) warn(format string, args ...any) {
	m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
}

// join gives a network's zones with those that its catalogs list.
func (m *members) join(n *Network, catalogs []*Catalog) []zones.ZoneSpec {
	by, listed := make(map[zones.Name]*Catalog), make([]*catalogzone.Catalog, 0, len(catalogs))
	for _, of := range catalogs {
		if known := m.known[of.Copy]; known != nil {
			by[of.Zone] = of
			listed = append(listed, known)
			for _, why := range known.LeftOut {
				m.warn("catalog %s: %s", of.Zone, why)
			}
		}
	}
	owned, clashes := catalogzone.Assign(listed)
	for _, clash := range clashes {
		m.warn("%s", clash)
	}
	own := make(map[zones.Name]bool, len(n.Zones))
	for i := range n.Zones {
		own[n.Zones[i].Name] = true
	}
	specs := slices.Clone(n.Zones)
	for i := range owned {
		o := &owned[i]
		if own[o.Zone] {
			m.warn("network %s has a zone %s of its own: the one that catalog %s lists is left out", n.Name, o.Zone, o.Catalog)
			continue
		}
		held := by[o.Catalog].member(&o.Member)
		if m.copies[held.ID] == nil {
			m.copies[held.ID] = &held
		}
		in := m.copies[held.ID]
		in.Networks = append(in.Networks, strings.Clone(n.Name))
		specs = append(specs, zones.ZoneSpec{Name: o.Zone, Missing: zones.NXDomain, Copy: held.ID})
	}
	slices.SortFunc(specs, func(a, b zones.ZoneSpec) int { return cmp.Compare(a.Name.FQDN(), b.Name.FQDN()) })
	return specs
}
