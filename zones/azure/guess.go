package azure

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"pldns/zones"
)

// Guess is what may be meant by a name that fits no row of the catalogue.
type Guess struct {
	// Domain is the domain of Microsoft that the name lies under, or looks like one
	// of; zero where it is neither.
	Domain zones.Name
	// IsMicrosoft says that the name lies under Domain.
	IsMicrosoft bool
	// HasPrivatelink says that the name has a privatelink label.
	HasPrivatelink bool
	// Meant is the name that is nearest to it and fits a row; zero where there is
	// none.
	Meant zones.Name
}

// Guesser tells what may be meant by names that fit no row. It is for one goroutine;
// names of one domain are best asked about one after another. After a thousand odd
// names it finds what is odd about more, and no longer what is meant.
type Guesser struct {
	catalogue *Catalogue
	domains   []string // of Microsoft: the last two labels of public zones, those of the public cloud first
	asked     string   // the domain that was asked about last
	near      string   // the domain of Microsoft that it is, or looks like
	suffixes  [][]string
	searches  int
}

// maxSearches is for how many names it is looked for what is meant, which takes some
// ten microseconds each: whoever made a mistake a million times is told soon enough.
const maxSearches = 1000

// Guesser makes one for the catalogue. What an operator added makes no domain one
// of Microsoft.
func (c *Catalogue) Guesser() *Guesser {
	g := &Guesser{catalogue: c}
	for _, r := range c.rows {
		if r.added > 0 {
			continue
		}
		for _, zone := range r.PublicZones {
			labels := strings.Split(zone, ".")
			domain := strings.Join(labels[len(labels)-2:], ".")
			if !slices.Contains(g.domains, domain) {
				g.domains = append(g.domains, domain)
			}
		}
	}
	texts := slices.SortedFunc(maps.Keys(c.suffixes), func(a, b string) int {
		return cmp.Or(cloudOrder(c.suffixes[a].entry.Cloud)-cloudOrder(c.suffixes[b].entry.Cloud), strings.Compare(a, b))
	})
	for _, text := range texts {
		g.suffixes = append(g.suffixes, splitLabels(nil, text))
	}
	return g
}

// cloudOrder is the place of a cloud among what a name may be meant to be in.
func cloudOrder(c Cloud) int { return slices.Index([]Cloud{Public, USGov, China}, c) }

// Guess tells what may be meant by a name. It is not ok for one that nothing is odd
// about: such as fits a row, or has nothing to do with Microsoft.
func (g *Guesser) Guess(name zones.Name) (Guess, bool) {
	var space [16]string
	labels := splitLabels(space[:0], name.FQDN())
	if len(labels) < 2 {
		return Guess{}, false
	}
	guess := Guess{HasPrivatelink: slices.ContainsFunc(labels, isPrivatelink)}
	domain := name.FQDN()[:len(name.FQDN())-1]
	if more := labels[:len(labels)-2]; len(more) > 0 {
		domain = domain[textLength(more)+1:]
	}
	if near := g.nearDomain(domain); near != "" {
		guess.Domain, guess.IsMicrosoft = zones.NameOf(near), near == domain
	}
	if guess.Domain.IsZero() && !guess.HasPrivatelink || g.fits(name) {
		return Guess{}, false
	}
	labels = slices.DeleteFunc(slices.Clone(labels), isPrivatelink)
	guess.Meant = g.meant(name, labels)
	return guess, guess.IsMicrosoft || guess.HasPrivatelink || !guess.Meant.IsZero()
}

// fits reports whether the catalogue knows a name, as a private or a public one.
func (g *Guesser) fits(name zones.Name) bool {
	if _, ok := g.catalogue.hold(name); ok {
		return true
	}
	labels := splitLabels(nil, name.FQDN())
	rule, suffix := g.catalogue.ruleFor(name.FQDN(), labels)
	return rule != nil || suffix != nil
}

// nearDomain is the domain of Microsoft that a domain is, or looks like.
func (g *Guesser) nearDomain(domain string) string {
	if domain == g.asked {
		return g.near
	}
	g.asked, g.near = domain, ""
	if slices.Contains(g.domains, domain) {
		g.near = domain
		return domain
	}
	first, last, _ := strings.Cut(domain, ".")
	for _, known := range g.domains {
		knownFirst, knownLast, _ := strings.Cut(known, ".")
		if first == knownFirst || last == knownLast && isTypo(first, knownFirst) {
			g.near = known
			return known
		}
	}
	return ""
}

// meant is the nearest name that fits a row: the name as it is without its
// privatelink labels, or with the suffix of a row in place of one that looks like it.
func (g *Guesser) meant(name zones.Name, labels []string) zones.Name {
	if plain, err := zones.ParseName(strings.Join(labels, ".")); err == nil && plain != name && g.fits(plain) {
		return plain
	}
	var best zones.Name
	if g.searches++; g.searches > maxSearches {
		return best
	}
	least := mostDifferent + 1
	for _, suffix := range g.suffixes {
		for _, size := range []int{len(suffix), len(suffix) - 1} {
			if size < 2 || size >= len(labels) {
				continue
			}
			at := len(labels) - size
			difference := differ(labels[at:], suffix)
			if difference >= least {
				continue
			}
			meant, err := zones.ParseName(strings.Join(slices.Concat(labels[:at], suffix), "."))
			if _, derive := g.catalogue.Derive(meant); err == nil && derive == nil {
				best, least = meant, difference
			}
		}
	}
	return best
}

// mostDifferent is how much the suffix of a name may differ from that of a row.
const mostDifferent = 3

// differ tells how far labels are from the suffix of a row. Another label costs as
// much as three letters; the first, which is the service, must be the same or look so.
func differ(labels, suffix []string) int {
	if labels[0] != suffix[0] && !isTypo(labels[0], suffix[0]) {
		return mostDifferent + 1
	}
	if len(labels) < len(suffix) { // one label is forgotten
		for i := 1; i < len(suffix); i++ {
			if slices.Equal(labels, slices.Delete(slices.Clone(suffix), i, i+1)) {
				return mostDifferent
			}
		}
		return mostDifferent + 1
	}
	sum := 0
	for i, label := range labels {
		sum += min(distance(label, suffix[i]), mostDifferent)
	}
	return sum
}

// isTypo reports whether two labels of some length differ by a slip or two.
func isTypo(a, b string) bool {
	shorter := min(len(a), len(b))
	return shorter >= 4 && distance(a, b) <= min(2, shorter/3)
}

// distance is how many letters must be put in, taken out, changed or swapped with
// their neighbour to make one text of another.
func distance(a, b string) int {
	before, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			next[j+1] = min(row[j]+change, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
