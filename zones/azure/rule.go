package azure

import (
	"fmt"
	"slices"
	"strings"

	"pldns/zones"
)

// zone is a privatelink zone, or where it has a placeholder, one for every
// region, instance or partition.
type zone struct {
	entry *Entry
	form  pattern
	name  zones.Name // without a placeholder
	tail  zones.Name // with a placeholder, which is the second label: what follows it
	rules []*rule    // those that lead here and back, the usual one first
}

// isRegional reports whether z has a placeholder.
func (z *zone) isRegional() bool { return !z.tail.IsZero() }

// rule is one item of the data file: a form of public names and what becomes of
// them.
type rule struct {
	entry  *Entry
	public pattern
	left   int    // how many labels of public stand left of plain text
	reason string // why names of this form cannot be derived; empty where they can

	zone     *zone // where the private name is
	kept     int   // how many labels of public the private name keeps in front of the zone
	captured int   // which label of public, counted from the right end and 1, the zone takes
	back     bool  // whether the private name tells the public one
}

// The signs between the parts of an item.
const (
	signBoth   = " <=> "
	signOneWay = " => "
	signNever  = " ! "
)

// item is the text of a rule, taken apart.
type item struct {
	public, private, reason string
	back                    bool
}

// rules are the items of a row, taken apart: those that it has, or one for each
// public zone where it follows the common rule.
func (r row) rules() ([]item, error) {
	if r.isSilent() {
		return nil, nil
	}
	texts := r.items
	if len(texts) == 0 {
		for _, public := range r.PublicZones {
			texts = append(texts, "{name}."+public)
		}
	}
	items := make([]item, 0, len(texts))
	for _, text := range texts {
		i, err := r.item(text)
		if err != nil {
			return nil, err
		}
		items = append(items, i)
	}
	return items, nil
}

func (r row) item(text string) (item, error) {
	if public, reason, ok := strings.Cut(text, signNever); ok {
		return item{public: public, reason: reason}, nil
	}
	if public, private, ok := strings.Cut(text, signBoth); ok {
		return item{public: public, private: private, back: true}, nil
	}
	if public, private, ok := strings.Cut(text, signOneWay); ok {
		return item{public: public, private: private}, nil
	}
	private, ok := r.privateForm(text)
	if !ok {
		return item{}, fmt.Errorf("form %q is not in a public zone of the row", text)
	}
	return item{public: text, private: private, back: true}, nil
}

// privateForm is the private form by the common rule: privatelink is put where
// the zone without it begins. Where the public zone is another one, what is left
// of that goes in front of the private zone.
func (r row) privateForm(public string) (string, bool) {
	for _, zone := range r.PublicZones {
		record, ok := strings.CutSuffix(public, "."+zone)
		if !ok {
			continue
		}
		if first, rest, _ := strings.Cut(r.PrivateZone, "."); isPrivatelink(first) {
			if middle, ok := strings.CutSuffix("."+zone, "."+rest); ok {
				record += middle
			}
		}
		return record + "." + r.PrivateZone, true
	}
	return "", false
}

// newRule makes the rule of an item. It finds the zone of the private form with
// zoneOf, which takes the form from its privatelink label on.
func newRule(entry *Entry, it item, zoneOf func(pattern) *zone) (*rule, error) {
	public, err := parsePattern(it.public)
	if err != nil {
		return nil, err
	}
	left, _ := public.split()
	r := &rule{entry: entry, public: public, left: len(left), reason: it.reason, back: it.back}
	if it.reason != "" {
		return r, nil
	}
	private, err := parsePattern(it.private)
	if err != nil {
		return nil, err
	}
	record, form := cutZone(private)
	if r.zone = zoneOf(form); r.zone == nil {
		return nil, fmt.Errorf("form %q is in no private zone of the catalogue", it.private)
	}
	r.kept = len(record)
	if r.kept == 0 || r.kept > len(public) || !slices.Equal(record, public[:r.kept]) {
		return nil, fmt.Errorf("form %q does not keep the leftmost labels of %q", it.private, it.public)
	}
	return r, r.capture(form)
}

// capture finds the label of the public form that the zone takes.
func (r *rule) capture(form pattern) error {
	if !r.zone.isRegional() {
		return nil
	}
	at := slices.Index(r.public[r.kept:], form[1])
	if at < 0 {
		return fmt.Errorf("form %q has no %s", r.public, form[1])
	}
	r.captured = len(r.public) - r.kept - at
	r.public[r.kept+at].inZone = true
	return nil
}

// cutZone takes a private form apart at its privatelink label. Without one, all
// of it is the record.
func cutZone(private pattern) (record, zone pattern) {
	at := slices.IndexFunc(private, func(l label) bool { return l.placeholder == "" && isPrivatelink(l.literal) })
	if at < 0 {
		return private, nil
	}
	return private[:at], private[at:]
}

// moreSpecific orders the rules of a suffix, so that the first that matches is
// the one that says most about a name.
func moreSpecific(a, b *rule) int {
	if a.public.isMany() == b.public.isMany() {
		return b.literals() - a.literals()
	}
	if a.public.isMany() {
		return 1
	}
	return -1
}

// literals counts the letters that the form prescribes left of plain text.
func (r *rule) literals() int {
	n := 0
	for _, l := range r.public[:r.left] {
		n += len(l.literal)
	}
	return n
}

// matches reports whether the labels of a name, which ends as the rule does, have
// its form.
func (r *rule) matches(labels []string) bool {
	end := len(labels) - (len(r.public) - r.left)
	return r.public[:r.left].matches(labels[:end])
}

// derive makes the private name of a public name that matches, and its zone.
func (r *rule) derive(public zones.Name, labels []string) (private, zone zones.Name) {
	kept := len(labels) - (len(r.public) - r.kept)
	record := public.FQDN()[:textLength(labels[:kept])]
	if !r.zone.isRegional() {
		return r.zone.name.Under(record), r.zone.name
	}
	captured := labels[len(labels)-r.captured]
	private = r.zone.tail.Under(record + "." + r.zone.form[0].literal + "." + captured)
	zone = private
	for range kept {
		zone, _ = zone.Parent()
	}
	return private, zone
}

// invert makes the public name of a private one: record is what stands in front
// of the zone, captured what its placeholder has taken.
func (r *rule) invert(record []string, captured string) (zones.Name, bool) {
	if !r.back || !r.public[:r.kept].matches(record) {
		return zones.Name{}, false
	}
	labels := slices.Clone(record)
	for _, l := range r.public[r.kept:] {
		switch {
		case l.placeholder == "":
			labels = append(labels, l.literal)
		case l.inZone:
			labels = append(labels, captured+l.literal)
		default:
			return zones.Name{}, false
		}
	}
	name, err := zones.ParseName(strings.Join(labels, "."))
	return name, err == nil
}

// textLength is the length of labels with the dots between them.
func textLength(labels []string) int {
	n := len(labels) - 1
	for _, l := range labels {
		n += len(l)
	}
	return n
}
