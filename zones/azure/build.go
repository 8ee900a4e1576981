package azure

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pldns/zones"
)

// suffix is a public zone, or the plain text that some forms end in: the rules
// that it takes to tell the names below it apart.
type suffix struct {
	entry *Entry  // the row that is named where no rule matches
	rules []*rule // the most specific first
	// whole says that every name below the suffix belongs to a service of Private
	// Link, so that one without a rule is a mistake and not a stranger.
	whole bool
}

// builder gathers what a Catalogue is made of.
type builder struct {
	rows      []row // in the order in which they are asked
	suffixes  map[string]*suffix
	fixed     map[string]*zone
	regional  map[string]*zone
	maxLabels int
}

// build makes a catalogue of the text of a data file.
func build(text string) (*Catalogue, error) {
	rows, err := readRows(text)
	if err != nil {
		return nil, err
	}
	c := &Catalogue{entries: make([]Entry, 0, len(rows))}
	if c.resources, err = readResources(resourcesCSV); err != nil {
		return nil, err
	}
	for _, r := range rows {
		c.entries = append(c.entries, r.Entry)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.rank(), b.rank()) })
	b := &builder{
		rows:     rows,
		suffixes: make(map[string]*suffix),
		fixed:    make(map[string]*zone),
		regional: make(map[string]*zone),
	}
	for _, step := range []func(*row) error{b.addZone, b.addRules, b.closeSuffixes} {
		for i := range b.rows {
			r := &b.rows[i]
			if err := step(r); err != nil {
				return nil, fmt.Errorf("row of %s in %s: %w", r.PrivateZone, r.Cloud, err)
			}
		}
	}
	for _, s := range b.suffixes {
		slices.SortStableFunc(s.rules, moreSpecific)
	}
	c.suffixes, c.fixed, c.regional, c.maxLabels = b.suffixes, b.fixed, b.regional, b.maxLabels
	return c, nil
}

// rank orders rows by their say: those that decide about names in a zone of their
// own, then the others, then what is superseded.
func (r row) rank() int {
	switch {
	case r.Legacy:
		return 2
	case r.isSilent(), !hasOwnZone(r.PrivateZone):
		return 1
	default:
		return 0
	}
}

// hasOwnZone tells whether a private zone begins with its privatelink label.
// Others, such as those for scm and data names, are documented as zones of their
// own, but their records stay in the zone that begins there.
func hasOwnZone(private string) bool {
	first, _, _ := strings.Cut(private, ".")
	return isPrivatelink(first)
}

// addZone enters the zone of a row, unless a row with more say has it already.
func (b *builder) addZone(r *row) error {
	form, err := parsePattern(r.PrivateZone)
	if err != nil {
		return err
	}
	_, form = cutZone(form)
	if form == nil {
		return fmt.Errorf("private zone %q has no privatelink label", r.PrivateZone)
	}
	if b.zoneOf(form) != nil {
		return nil
	}
	left, tail := form.split()
	z := &zone{entry: &r.Entry, form: form}
	switch {
	case len(left) == 0:
		z.name, err = zones.ParseName(tail)
		b.fixed[z.name.FQDN()] = z
	case len(left) == 2 && left[1].literal == "" && left[0].literal == privatelink:
		z.tail, err = zones.ParseName(tail)
		b.regional[z.tail.FQDN()] = z
	default:
		return fmt.Errorf("private zone %q has a placeholder that is not its second label", r.PrivateZone)
	}
	return err
}

// zoneOf is the zone of a form, or nil.
func (b *builder) zoneOf(form pattern) *zone {
	left, tail := form.split()
	if len(left) == 0 {
		return b.fixed[tail+"."]
	}
	return b.regional[tail+"."]
}

// addRules enters the rules of a row. A form that another row has already given
// stays with that row, and what is superseded gives way to what is current.
func (b *builder) addRules(r *row) error {
	items, err := r.rules()
	if err != nil {
		return err
	}
	for _, it := range items {
		added, err := newRule(&r.Entry, it, b.zoneOf)
		if err != nil {
			return err
		}
		_, tail := added.public.split()
		name, err := zones.ParseName(tail)
		if err != nil {
			return fmt.Errorf("form %q: %w", it.public, err)
		}
		if r.Legacy && b.isCovered(name) {
			continue
		}
		b.addRule(added, name)
	}
	return nil
}

func (b *builder) addRule(added *rule, tail zones.Name) {
	s := b.suffixes[tail.FQDN()]
	if s == nil {
		s = &suffix{entry: added.entry}
		b.suffixes[tail.FQDN()] = s
		b.maxLabels = max(b.maxLabels, len(tail.Labels()))
	}
	sameForm := func(old *rule) bool { return slices.Equal(old.public, added.public) }
	if slices.ContainsFunc(s.rules, sameForm) {
		return
	}
	s.rules = append(s.rules, added)
	s.whole = s.whole || added.left > 0 && added.zone != nil
	if added.zone != nil {
		added.zone.rules = append(added.zone.rules, added)
	}
}

// isCovered tells whether a current row has rules for names that end in name.
func (b *builder) isCovered(name zones.Name) bool {
	for ok := true; ok; name, ok = name.Parent() {
		if s := b.suffixes[name.FQDN()]; s != nil && !s.entry.Legacy {
			return true
		}
	}
	return false
}

// closeSuffixes marks the public zones of a row that decides about names.
func (b *builder) closeSuffixes(r *row) error {
	if r.isSilent() {
		return nil
	}
	for _, public := range r.PublicZones {
		form, err := parsePattern(public)
		if err != nil {
			return err
		}
		_, tail := form.split()
		if s := b.suffixes[tail+"."]; s != nil {
			s.whole = true
		}
	}
	return nil
}
