// Package catalogzone reads catalog zones (RFC 9432): zones that list other zones, so that a
// secondary learns from its primary which zones there are to be had. It reads versions of a
// zone and says whose a member is; who transfers them, and from where, is for others.
package catalogzone

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/content"
)

// version is the version of the schema that is understood (RFC 9432 section 4.2.1).
const version = "2"

// maxTold is how many of the members that are left out are named.
const maxTold = 8

// Member is a zone that a catalog lists.
type Member struct {
	Zone zones.Name
	// Label is the unique label of the member: another one for the same zone says that
	// nothing that is known of it counts any more (RFC 9432 section 5.6).
	Label string
	// Groups are what the producer says of its configuration (section 4.3.2), sorted.
	Groups []string
	// Owner is the catalog that the member is to change to (coo, section 4.3.1); zero for
	// none.
	Owner zones.Name
}

// Catalog is what one version of a catalog zone says. It is immutable.
type Catalog struct {
	Zone    zones.Name
	Serial  uint32
	Members []Member // sorted by zone
	// LeftOut are members that cannot be held, in words, some of them.
	LeftOut []string
}

// Read reads a version of a catalog zone. Properties that are not known are of no
// consequence, as section 4.4 wants it. The error says why the catalog is broken, so that
// what was known before goes on (section 5.1): its version is another one or there are
// several, a member has several names, a zone is listed twice, or a property that has one
// value has several.
func Read(zone *content.Zone) (*Catalog, error) {
	r := reader{
		catalog: &Catalog{Zone: zone.Apex(), Serial: zone.Serial()}, at: make(map[string]*Member),
		list: zone.Apex().Under("zones"), version: zone.Apex().Under("version"),
	}
	for rr := range zone.Records() {
		if err := r.record(rr); err != nil {
			return nil, err
		}
	}
	switch {
	case len(r.versions) == 0:
		return nil, fmt.Errorf("there is no TXT record at %s: it is no catalog zone", r.version)
	case len(r.versions) > 1, r.versions[0] != version:
		return nil, fmt.Errorf("its version is %q, and %q is what is understood", strings.Join(r.versions, " "), version)
	}
	return r.catalog, r.finish()
}

// reader reads the records of a catalog.
type reader struct {
	catalog       *Catalog
	list, version zones.Name
	versions      []string
	at            map[string]*Member // by unique label
}

func (r *reader) record(rr dns.RR) error {
	owner := zones.NameOf(rr.Header().Name)
	if txt, is := rr.(*dns.TXT); is && owner == r.version {
		r.versions = append(r.versions, strings.Join(txt.Txt, ""))
		return nil
	}
	parent, _ := owner.Parent()
	if parent == r.list {
		return r.member(rr, labelOf(owner, parent))
	}
	if above, more := parent.Parent(); more && above == r.list {
		return r.property(rr, labelOf(owner, parent), labelOf(parent, above))
	}
	return nil
}

// labelOf is the part of a name before another, which it is below.
func labelOf(name, parent zones.Name) string {
	return strings.TrimSuffix(strings.TrimSuffix(name.FQDN(), parent.FQDN()), ".")
}

// labelled gives what is known of the member with a unique label.
func (r *reader) labelled(label string) *Member {
	m := r.at[label]
	if m == nil {
		m = &Member{Label: strings.Clone(label)}
		r.at[label] = m
	}
	return m
}

func (r *reader) member(rr dns.RR, label string) error {
	ptr, is := rr.(*dns.PTR)
	if !is {
		return nil
	}
	m := r.labelled(label)
	if !m.Zone.IsZero() {
		return fmt.Errorf("member %s has several names, such as %s and %s", label, m.Zone, zones.NameOf(ptr.Ptr))
	}
	m.Zone = zones.NameOf(ptr.Ptr)
	return nil
}

func (r *reader) property(rr dns.RR, property, label string) error {
	m := r.labelled(label)
	switch rr := rr.(type) {
	case *dns.PTR:
		if property != "coo" {
			return nil
		}
		if !m.Owner.IsZero() {
			return fmt.Errorf("member %s changes to several catalogs, such as %s and %s", label, m.Owner, zones.NameOf(rr.Ptr))
		}
		m.Owner = zones.NameOf(rr.Ptr)
	case *dns.TXT:
		if property == "group" {
			m.Groups = append(m.Groups, strings.Join(rr.Txt, ""))
		}
	}
	return nil
}

// finish sorts the members, and finds those that are listed twice.
func (r *reader) finish() error {
	c := r.catalog
	left := 0
	for _, m := range r.at {
		if m.Zone.IsZero() { // properties of nothing
			continue
		}
		if why := r.unfit(m.Zone); why != "" {
			if left++; left <= maxTold {
				c.LeftOut = append(c.LeftOut, fmt.Sprintf("member %s %s", m.Zone, why))
			}
			continue
		}
		slices.Sort(m.Groups)
		c.Members = append(c.Members, *m)
	}
	slices.Sort(c.LeftOut)
	if left > maxTold {
		c.LeftOut = append(c.LeftOut, fmt.Sprintf("and %d more", left-maxTold))
	}
	slices.SortFunc(c.Members, func(a, b Member) int { return cmp.Or(a.Zone.Compare(b.Zone), cmp.Compare(a.Label, b.Label)) })
	for i := 1; i < len(c.Members); i++ {
		if a, b := &c.Members[i-1], &c.Members[i]; a.Zone == b.Zone {
			return fmt.Errorf("zone %s is listed twice, as %s and as %s", a.Zone, a.Label, b.Label)
		}
	}
	return nil
}

// unfit says why a zone cannot be held because a catalog says so; empty if it can.
func (r *reader) unfit(zone zones.Name) string {
	switch {
	case zone.IsRoot():
		return "is the root, and would take the place of all that is forwarded"
	case zone.IsWildcard():
		return "is no name of a zone"
	case zone == r.catalog.Zone:
		return "is the catalog itself"
	}
	return ""
}

// Owned is a member, and the catalog that it belongs to.
type Owned struct {
	Member
	Catalog zones.Name
}

// Clash is a zone that several catalogs list.
type Clash struct {
	Zone     zones.Name
	By, Also zones.Name // the catalog that it belongs to, and another one
}

// String is the clash in words.
func (c Clash) String() string {
	return fmt.Sprintf("zone %s is listed by %s, and so what %s says of it is left out: "+
		"give it up there, or write a coo property for it in %s", c.Zone, c.By, c.Also, c.By)
}

// Assign says to which of several catalogs each zone belongs, sorted by zone: of those that
// list it, to the one that another of them names as its next owner (coo), else to the first
// by name. So what comes of it depends on nothing that was before.
func Assign(catalogs []*Catalog) (owned []Owned, clashes []Clash) {
	type claim struct {
		*Member
		catalog *Catalog
	}
	var claims []claim
	for _, c := range catalogs {
		for i := range c.Members {
			claims = append(claims, claim{&c.Members[i], c})
		}
	}
	slices.SortStableFunc(claims, func(a, b claim) int {
		return cmp.Or(a.Zone.Compare(b.Zone), a.catalog.Zone.Compare(b.catalog.Zone))
	})
	for start, end := 0, 0; start < len(claims); start = end {
		for end = start + 1; end < len(claims) && claims[end].Zone == claims[start].Zone; end++ {
		}
		of := claims[start:end]
		winner := of[0]
		for range of { // as many changes as there are catalogs: no circle is gone round
			next := slices.IndexFunc(of, func(c claim) bool { return c.catalog.Zone == winner.Owner })
			if next < 0 {
				break
			}
			winner = of[next]
		}
		owned = append(owned, Owned{*winner.Member, winner.catalog.Zone})
		for _, c := range of {
			gives := c.Owner == winner.catalog.Zone
			if c.catalog != winner.catalog && !gives {
				clashes = append(clashes, Clash{winner.Zone, winner.catalog.Zone, c.catalog.Zone})
			}
		}
	}
	return owned, clashes
}
