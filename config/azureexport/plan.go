package azureexport

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/zones"
	"pldns/zones/azure"
)

// Plan is what a network maps, as private DNS zones have it.
type Plan struct {
	Network string
	Zones   []Zone // sorted by name
	// Names are what clients ask for, with the addresses there, sorted.
	Names []Name
	// Others are records that private zones of Azure cannot hold.
	Others []dns.RR
	// Notes are what no form says, ZoneNotes what zones of Azure do not say. Both are
	// in a stable order.
	Notes, ZoneNotes []string
}

// Zone is a private DNS zone.
type Zone struct {
	Name zones.Name
	// Fallback says that names that the zone lacks are asked of the public DNS, which
	// Azure does for privatelink zones alone.
	Fallback bool
	// Denies says that the configuration denies the names that the zone lacks, and not
	// only Azure.
	Denies bool
	Sets   []Set // sorted by name and type
}

// Set is a record set: the records of one name and type.
type Set struct {
	Name    string // relative to the zone, "@" for the zone itself
	Type    uint16
	TTL     uint32 // seconds
	Records []dns.RR
}

// Name is a name that clients ask for, and what they get.
type Name struct {
	Name      zones.Name
	Private   zones.Name // what it is an alias of; zero for none
	Addresses []netip.Addr
	TTL       uint32 // seconds
}

// planner makes a plan.
type planner struct {
	network *config.Network
	zones   map[zones.Name]*Zone
	sets    map[setKey]*Set
	plan    *Plan
}

type setKey struct {
	zone  zones.Name
	owner string
	qtype uint16
}

// NewPlan makes the plan of a network.
func NewPlan(network *config.Network, catalogue *azure.Catalogue) *Plan {
	p := &planner{
		network: network, zones: make(map[zones.Name]*Zone), sets: make(map[setKey]*Set), plan: &Plan{Network: network.Name},
	}
	for endpoint := range network.Endpoints() {
		p.endpoint(&endpoint.Endpoint, catalogue)
	}
	for _, spec := range network.Zones {
		p.zoneOf(spec)
	}
	p.finish()
	return p.plan
}

// note remembers what is lost, once.
func note(notes *[]string, format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(*notes, text) {
		*notes = append(*notes, text)
	}
}

// endpoint enters a mapping.
func (p *planner) endpoint(e *zones.Endpoint, catalogue *azure.Catalogue) {
	addrs := e.Addresses
	if e.Pick == zones.PickFirstHealthy && len(addrs) > 1 {
		note(&p.plan.Notes, "%s: only its first address, %s: nothing there tells whether the others are healthier", e.Name, addrs[0])
		addrs = addrs[:1]
	}
	p.plan.Names = append(p.plan.Names, Name{e.Name, e.Private, addrs, e.TTL})
	owner, zone := e.Name, e.Zone
	switch {
	case !e.Private.IsZero():
		owner = e.Private
		if match, err := catalogue.Derive(e.Name); err != nil || match.Private != e.Private {
			note(&p.plan.ZoneNotes, "%s is answered where the public DNS has it as an alias of %s", e.Name, e.Private)
		}
	case zone.IsZero():
		owner, zone = e.Name, p.ownZone(e.Name)
	}
	for _, addr := range addrs {
		p.add(zone, owner, addressRecord(owner, addr, e.TTL))
	}
}

// ownZone is the zone of a name that has none: one that the configuration declares
// and whose other names are denied anyway, else a zone for the name alone.
func (p *planner) ownZone(name zones.Name) zones.Name {
	if zone, ok := p.denying(name); ok {
		return zone
	}
	if parent, _ := name.Parent(); name.IsWildcard() {
		note(&p.plan.ZoneNotes, "%s has no records any more, since the zone for %s begins there", parent, name)
		return parent
	}
	return name
}

// denying is the closest zone of the configuration around a name that denies the
// names that it lacks.
func (p *planner) denying(name zones.Name) (zones.Name, bool) {
	var found zones.Name
	for _, spec := range p.network.Zones {
		if spec.Copy == "" && name.Within(spec.Name) && p.missing(spec) != zones.Forward && len(spec.Name.Labels()) > len(found.Labels()) {
			found = spec.Name
		}
	}
	return found, !found.IsZero()
}

// missing is what becomes of the names that a zone lacks.
func (p *planner) missing(spec zones.ZoneSpec) zones.Missing {
	return cmp.Or(spec.Missing, p.network.Missing, zones.Forward)
}

// zoneOf enters a zone that the configuration declares.
func (p *planner) zoneOf(spec zones.ZoneSpec) {
	if spec.Copy != "" {
		note(&p.plan.Notes, "%s is a copy of another server's zone, and is left out: have its names forwarded to its primaries", spec.Name)
		return
	}
	missing := p.missing(spec)
	if missing == zones.Refuse {
		note(&p.plan.Notes, "%s: the names that it lacks are denied, not refused", spec.Name)
	}
	if missing != zones.Forward {
		p.zone(spec.Name)
	}
	for _, rr := range spec.Records {
		owner, zone := zones.NameOf(rr.Header().Name), spec.Name
		if missing == zones.Forward {
			zone = owner // its own, so that no other name is denied
			if owner.IsWildcard() {
				zone, _ = owner.Parent()
			}
		}
		switch rr.Header().Rrtype {
		case dns.TypeCNAME:
			if zone == owner {
				note(&p.plan.ZoneNotes,
					"%s is left out: Azure has no CNAME at the top of a zone: say missing = \"nxdomain\" of %s to have it in that zone",
					owner, spec.Name)
				p.plan.Others = append(p.plan.Others, rr)
				continue
			}
		case dns.TypeCAA:
			note(&p.plan.ZoneNotes, "%s: its CAA record is left out, which private zones of Azure do not have", owner)
			p.plan.Others = append(p.plan.Others, rr)
			continue
		}
		p.add(zone, owner, rr)
	}
}

// zone is the zone with a name, made when it is first needed.
func (p *planner) zone(name zones.Name) *Zone {
	if p.zones[name] == nil {
		p.zones[name] = &Zone{Name: name}
	}
	return p.zones[name]
}

// add enters a record into its set, unless it is there.
func (p *planner) add(zone, owner zones.Name, rr dns.RR) {
	p.zone(zone)
	relative := "@"
	if owner != zone {
		relative = strings.TrimSuffix(owner.FQDN(), "."+zone.FQDN())
	}
	key := setKey{zone, relative, rr.Header().Rrtype}
	set := p.sets[key]
	if set == nil {
		set = &Set{Name: relative, Type: key.qtype, TTL: max(1, rr.Header().Ttl)}
		p.sets[key] = set
	}
	same := func(other dns.RR) bool { return dns.IsDuplicate(rr, other) }
	if !slices.ContainsFunc(set.Records, same) {
		set.Records = append(set.Records, rr)
	}
}

// finish sorts everything.
func (p *planner) finish() {
	for key, set := range p.sets {
		p.zones[key.zone].Sets = append(p.zones[key.zone].Sets, *set)
	}
	policy := make(map[zones.Name]zones.Missing)
	for _, spec := range p.network.Zones {
		if spec.Copy == "" {
			policy[spec.Name] = spec.Missing
		}
	}
	for name, zone := range p.zones {
		declared, is := policy[name]
		is = is || azure.HasPrivatelink(name) // any other is there for a single name
		forwards := p.missing(zones.ZoneSpec{Missing: declared}) == zones.Forward
		zone.Fallback, zone.Denies = azure.HasPrivatelink(name) && forwards, is && !forwards
		slices.SortFunc(zone.Sets, func(a, b Set) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type)) })
		p.plan.Zones = append(p.plan.Zones, *zone)
	}
	slices.SortFunc(p.plan.Zones, func(a, b Zone) int { return a.Name.Compare(b.Name) })
	slices.SortFunc(p.plan.Names, func(a, b Name) int { return a.Name.Compare(b.Name) })
	slices.Sort(p.plan.Notes)
	slices.Sort(p.plan.ZoneNotes)
}

// addressRecord is an A or AAAA record.
func addressRecord(owner zones.Name, addr netip.Addr, ttl uint32) dns.RR {
	header := dns.RR_Header{Name: owner.FQDN(), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}
	if addr.Is4() {
		return &dns.A{Hdr: header, A: addr.AsSlice()}
	}
	header.Rrtype = dns.TypeAAAA
	return &dns.AAAA{Hdr: header, AAAA: addr.AsSlice()}
}

// Only is the plan with the zones of some names alone; it has them all for none. The
// error names one that the plan lacks.
func (p *Plan) Only(names []zones.Name) (*Plan, error) {
	if len(names) == 0 {
		return p, nil
	}
	some := *p
	some.Zones = nil
	for _, name := range names {
		at := slices.IndexFunc(p.Zones, func(z Zone) bool { return z.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("network %s makes no zone %s", p.Network, name)
		}
		some.Zones = append(some.Zones, p.Zones[at])
	}
	return &some, nil
}

// Resources is how many resources of Azure the zones are, without their links.
func (p *Plan) Resources() int {
	n := len(p.Zones)
	for _, zone := range p.Zones {
		n += len(zone.Sets)
	}
	return n
}
