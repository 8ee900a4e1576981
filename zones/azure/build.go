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
	rows      []row
	faults    []*rowError
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
	resources, err := readResources(resourcesCSV)
	if err != nil {
		return nil, err
	}
	c, faults := assemble(rows, resources)
	if len(faults) > 0 {
		return nil, faults[0]
	}
	return c, nil
}

// rowError is what is wrong with a row.
type rowError struct {
	row *row
	err error
}

func (e *rowError) Error() string {
	return fmt.Sprintf("row of %s in %s: %v", e.row.PrivateZone, e.row.Cloud, e.err)
}

func (e *rowError) Unwrap() error { return e.err }

// assemble makes a catalogue of rows. A faulty row has no part in it from where its
// fault was found.
func assemble(rows []row, resources []resource) (*Catalogue, []*rowError) {
	c := &Catalogue{rows: rows, resources: resources, entries: make([]Entry, 0, len(rows))}
	for _, r := range rows {
		c.entries = append(c.entries, r.Entry)
	}
	b := &builder{
		rows:     slices.Clone(rows),
		suffixes: make(map[string]*suffix),
		fixed:    make(map[string]*zone),
		regional: make(map[string]*zone),
	}
	// The embedded rows know more about a zone, and the added ones about names.
	b.each(b.addZone, func(r *row) int { return r.rank(afterAll) })
	b.each(b.addRules, func(r *row) int { return r.rank(beforeAll) })
	b.each(b.closeSuffixes, func(r *row) int { return r.rank(afterAll) })
	for _, s := range b.suffixes {
		slices.SortStableFunc(s.rules, moreSpecific)
	}
	c.suffixes, c.fixed, c.regional, c.maxLabels = b.suffixes, b.fixed, b.regional, b.maxLabels
	return c, b.faults
}

// each takes a step for every row that had no fault so far, in the order of rank.
func (b *builder) each(step func(*row) error, rank func(*row) int) {
	order := make([]*row, 0, len(b.rows))
	for i := range b.rows {
		if r := &b.rows[i]; !b.isFaulty(r) {
			order = append(order, r)
		}
	}
	slices.SortStableFunc(order, func(x, y *row) int { return cmp.Compare(rank(x), rank(y)) })
	for _, r := range order {
		if err := step(r); err != nil {
			b.faults = append(b.faults, &rowError{r, err})
		}
	}
}

func (b *builder) isFaulty(r *row) bool {
	return slices.ContainsFunc(b.faults, func(e *rowError) bool { return e.row == r })
}

// Where the rows of the operator stand among the others.
const (
	beforeAll = -1
	afterAll  = 3
)

// rank orders rows by their say: those that decide about names in a zone of their
// own, then the others, then what is superseded. Those of the operator have the
// rank added.
func (r *row) rank(added int) int {
	switch {
	case r.added > 0:
		return added
	case r.Legacy:
		return 2
	case r.isSilent(), !hasOwnZone(r.PrivateZone):
		return 1
	default:
		return 0
	}
}

// hasOwnZone reports whether a private zone begins with its privatelink label.
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

// isCovered reports whether a current row has rules for names that end in name.
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
