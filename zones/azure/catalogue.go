package azure

import (
	"fmt"
	"slices"
	"strings"

	"pldns/zones"
)

// Catalogue answers what Azure makes of a name. It never changes and may be used
// by any number of goroutines.
type Catalogue struct {
	rows      []row   // in the order of the data file, then those that were added
	entries   []Entry // of the rows
	resources []resource
	suffixes  map[string]*suffix
	fixed     map[string]*zone // by name
	regional  map[string]*zone // by what follows the placeholder
	maxLabels int              // of the longest key of suffixes
}

// New reads the catalogue from the data file that is part of the program, which
// takes a few milliseconds at most.
func New() *Catalogue {
	c, err := build(catalogueCSV)
	if err != nil {
		panic("zones/azure: " + err.Error()) // the file is a constant, and the tests of this package read it
	}
	return c
}

// Match is what the catalogue says about a name.
type Match struct {
	// Entry is the row that decided. Where several services share a form of names
	// it is one of them. Its private zone is a pattern, and for a row that is
	// documented below another zone, such as that of scm names, not Zone.
	Entry   Entry
	Zone    zones.Name // the private zone, placeholders filled in
	Private zones.Name // the private name: Zone or a name in it
	Public  zones.Name // the name that Derive was asked about; zero from ZoneOf
}

// Entries are the rows of the catalogue. The caller owns them.
func (c *Catalogue) Entries() []Entry { return c.Find("") }

// Find are the rows in whose service, resource type, subresource or zones the
// text occurs, in any letter case. The caller owns them.
func (c *Catalogue) Find(text string) []Entry {
	text = strings.ToLower(text)
	var found []Entry
	for _, e := range c.entries {
		fields := append([]string{e.Service, e.ResourceType, e.Subresource, e.PrivateZone}, e.PublicZones...)
		if slices.ContainsFunc(fields, func(f string) bool { return strings.Contains(strings.ToLower(f), text) }) {
			e.PublicZones = slices.Clone(e.PublicZones)
			found = append(found, e)
		}
	}
	return found
}

// Derive finds the private name of a public name: the longest public zone that
// covers it decides. A wildcard gives a wildcard. The error is, or wraps,
// [ErrNotInCatalogue], [ErrAlreadyPrivate] or a [*NotDerivableError].
func (c *Catalogue) Derive(public zones.Name) (Match, error) {
	if _, ok := c.hold(public); ok {
		return Match{}, fmt.Errorf("derive the private name of %s: %w", public, ErrAlreadyPrivate)
	}
	var space [16]string // most names fit, and stay off the heap
	labels := splitLabels(space[:0], public.FQDN())
	r, s := c.ruleFor(public.FQDN(), labels)
	switch {
	case s == nil:
		return Match{}, fmt.Errorf("derive the private name of %s: %w", public, ErrNotInCatalogue)
	case r == nil:
		return Match{}, &NotDerivableError{Name: public, Entry: *s.entry, Reason: s.explain(public)}
	case r.zone == nil:
		return Match{}, &NotDerivableError{Name: public, Entry: *r.entry, Reason: r.reason}
	}
	private, zone := r.derive(public, labels)
	if isTooLong(private) {
		return Match{}, &NotDerivableError{Name: public, Entry: *r.entry, Reason: "it would have more than 255 octets"}
	}
	return Match{Entry: *r.entry, Zone: zone, Private: private, Public: public}, nil
}

// ruleFor finds the longest suffix that decides about a name, and the rule of it
// that matches. It gives no rule where a name is in a public zone and has no form
// that is known there, and no suffix where no public zone covers the name.
func (c *Catalogue) ruleFor(text string, labels []string) (*rule, *suffix) {
	first := max(0, len(labels)-c.maxLabels)
	offset := 0
	if first > 0 {
		offset = textLength(labels[:first]) + 1
	}
	for i := first; i < len(labels); i++ {
		if s := c.suffixes[text[offset:]]; s != nil {
			for _, r := range s.rules {
				if r.matches(labels) {
					return r, s
				}
			}
			if s.whole {
				return nil, s
			}
		}
		offset += len(labels[i]) + 1
	}
	return nil, nil
}

// explain says why a name that no rule matches has no private name.
func (s *suffix) explain(name zones.Name) string {
	if _, tail := s.rules[0].public.split(); name.String() == tail {
		return "it is the zone itself and not a name in it"
	}
	var forms []string
	for _, r := range s.rules {
		if r.zone != nil {
			forms = append(forms, r.public.String())
		}
	}
	if len(forms) == 0 {
		return s.rules[0].reason
	}
	return "names there have the form " + strings.Join(forms, " or ")
}

// ZoneOf finds the privatelink zone that holds a private name, be it current or
// superseded; Match.Private is the name. Azure documents some zones in two
// layouts, such as scm.privatelink.azurewebsites.net beside its parent: a name in
// either is in the parent, where Azure writes the record and whose names those of
// the other are.
func (c *Catalogue) ZoneOf(private zones.Name) (Match, bool) {
	h, ok := c.hold(private)
	if !ok {
		return Match{}, false
	}
	return Match{Entry: *h.zone.entry, Zone: h.name, Private: private}, true
}

// holder is the zone that a private name is in.
type holder struct {
	zone     *zone
	name     zones.Name
	captured string // what the placeholder of the zone stands for
}

// hold finds the zone of a private name.
func (c *Catalogue) hold(private zones.Name) (holder, bool) {
	if !strings.Contains(private.FQDN(), privatelink) {
		return holder{}, false // spares every public name the walk
	}
	for name, more := private, true; more; name, more = name.Parent() {
		text := name.FQDN()
		if !strings.HasPrefix(text, privatelink) {
			continue
		}
		if z := c.fixed[text]; z != nil {
			return holder{zone: z, name: name}, true
		}
		rest, _ := strings.CutPrefix(text, privatelink+".")
		captured, tail, _ := strings.Cut(rest, ".")
		z := c.regional[tail]
		if z != nil && fits(z.form[1].placeholder, captured) && isHostLabel(captured) {
			return holder{zone: z, name: name, captured: captured}, true
		}
	}
	return holder{}, false
}

// PublicNames are the public names whose private name is private, the usual one
// first. There is none where the public name has a part that the private one
// lacks, such as the DNS zone of a storage account, and none for names that exist
// only in a private zone. Each of them derives to private.
func (c *Catalogue) PublicNames(private zones.Name) []zones.Name {
	h, ok := c.hold(private)
	if !ok || h.name == private {
		return nil
	}
	labels := private.Labels()
	record := labels[:len(labels)-len(h.name.Labels())]
	var names []zones.Name
	for _, r := range h.zone.rules {
		name, ok := r.invert(record, h.captured)
		if !ok || slices.Contains(names, name) {
			continue
		}
		// Another rule may say more about the name, and lead elsewhere.
		if match, err := c.Derive(name); err == nil && match.Private == private {
			names = append(names, name)
		}
	}
	return names
}

// splitLabels appends the labels of an absolute name to labels. It does what
// [zones.Name.Labels] does, without allocating.
func splitLabels(labels []string, text string) []string {
	begin := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++ // the next character is no separator, not even a dot
		case '.':
			if i > begin {
				labels = append(labels, text[begin:i])
			}
			begin = i + 1
		}
	}
	return labels
}

// isTooLong reports whether a name breaks the limit of RFC 1035 section 2.3.4.
// Escapes make the text longer than the name, so a long text is looked at twice.
func isTooLong(name zones.Name) bool {
	if len(name.FQDN()) < 255 {
		return false
	}
	_, err := zones.ParseName(name.FQDN())
	return err != nil
}
