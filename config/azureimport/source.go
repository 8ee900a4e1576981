package azureimport

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// trust is how much a source of names is relied on within one endpoint, the most
// trusted first.
type trust int

const (
	byNIC    trust = iota // the network interface: public names
	byRecord              // a record: private names
	byGroup               // the DNS zone group: private names
	byCustom              // customDnsConfigs of the endpoint
	byTarget              // the resource that the endpoint leads to
	trusts
)

// across is the order in which sources of different resources are relied on: what
// Azure says of an endpoint comes before what stands in a zone.
func (t trust) across() int {
	return [trusts]int{byNIC: 0, byCustom: 1, byRecord: 2, byGroup: 3, byTarget: 4}[t]
}

// String names a source in a message.
func (t trust) String() string {
	return [trusts]string{"the network interface", "a record", "the DNS zone group", "customDnsConfigs", "the resource"}[t]
}

// source is a private endpoint as far as the files tell, or another source of names:
// a record set, an owner in a zone file, a name in a hosts file.
type source struct {
	key      string
	id       string // as Azure writes it; empty for what is no resource
	label    string // what stands in comments
	file     string // where it was first seen
	line     int
	subnet   string // id
	location string
	isPE     bool // whether the endpoint itself was seen, and not only what belongs to it
	endpoint *PrivateEndpoint
	facts    [trusts][]fact
	loose    []netip.Addr // addresses that come without a name
	first    []netip.Addr // addresses of which only the first is told
	zones    []string     // ids of the zones of its zone groups
	isRecord bool
	// hasInterface says that its network interface was read.
	hasInterface bool
	// hasBadName says that it has a name that is no host name.
	hasBadName bool
}

// fact is a name with an address, from one source.
type fact struct {
	name zones.Name
	addr netip.Addr
	zone string // id of the private zone that holds it; empty where that is not told
}

// where names a source in a message about a conflict.
func (p *source) where() string {
	file := plain(p.file)
	if p.line > 0 {
		file = fmt.Sprintf("line %d of %s", p.line, file)
	}
	switch {
	case p.id != "":
		return fmt.Sprintf("%s of %s", plainID(p.id), file)
	case p.label == plain(p.file):
		return file
	}
	return fmt.Sprintf("%s of %s", p.label, file)
}

// alias is a CNAME record.
type alias struct {
	name, target zones.Name
	zone         string
	source       *source
}

// decision makes mappings of what was read. It changes nothing of the export.
type decision struct {
	e       *Export
	sources map[string]*source
	aliases []alias
	notes   notes
	gaps    gaps
	dead    map[identity]deadName
}

// decide puts what is told of one endpoint in several places together.
func (e *Export) decide() *decision {
	d := &decision{
		e: e, dead: make(map[identity]deadName),
		sources: make(map[string]*source, len(e.inventory.Endpoints)+len(e.inventory.Records)),
	}
	d.notes.list = slices.Clone(e.notes.list)
	for _, gap := range e.readGaps() {
		d.gaps.add(gap, "%s", gap.Text)
	}
	owners := make(map[string]string) // of interfaces, by id
	for i := range e.inventory.Endpoints {
		d.addEndpoint(&e.inventory.Endpoints[i], owners)
	}
	for i := range e.inventory.Interfaces {
		d.addInterface(&e.inventory.Interfaces[i], owners)
	}
	for id, owner := range owners {
		if stranger, known := e.strangers[id]; known {
			stranger.EndpointID = owner
			d.addInterface(&stranger, owners)
		}
	}
	for i := range e.inventory.Groups {
		d.addGroup(&e.inventory.Groups[i])
	}
	creators := d.creators()
	for i := range e.inventory.Records {
		d.addRecord(&e.inventory.Records[i], creators)
	}
	d.adoptRecords()
	d.followAliases()
	return d
}

// adoptRecords gives an endpoint whose interface tells no name the records of
// privatelink zones that lead to its address, as the API server of a private AKS
// cluster has them. Where two endpoints have one address, nothing is known.
func (d *decision) adoptRecords() {
	nameless := make(map[netip.Addr]*source)
	twice := make(map[netip.Addr]bool)
	for _, key := range slices.Sorted(maps.Keys(d.sources)) {
		p := d.sources[key]
		if !p.isPE || !p.hasInterface {
			continue
		}
		for _, addr := range p.loose {
			twice[addr] = twice[addr] || nameless[addr] != nil
			nameless[addr] = p
		}
	}
	if len(nameless) == 0 {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(d.sources)) {
		record := d.sources[key]
		if !record.isRecord || len(record.facts[byRecord]) == 0 {
			continue
		}
		owner := nameless[record.facts[byRecord][0].addr]
		fits := func(f fact) bool { return nameless[f.addr] == owner && !twice[f.addr] && isPrivatelink(f.name) }
		if owner == nil || slices.ContainsFunc(record.facts[byRecord], func(f fact) bool { return !fits(f) }) {
			continue
		}
		owner.facts[byRecord] = addTo(owner.facts[byRecord], record.facts[byRecord]...)
		record.facts[byRecord] = nil // what else it has, such as an alias, stays
	}
}

// source gives what is known under a key, made when it is first seen.
func (d *decision) source(key, file string) *source {
	key = strings.ToLower(key)
	if d.sources[key] == nil {
		d.sources[key] = &source{key: key, file: file}
	}
	return d.sources[key]
}

// addEndpoint makes a source of an endpoint.
func (d *decision) addEndpoint(pe *PrivateEndpoint, owners map[string]string) {
	p := d.source(pe.ID, pe.File)
	p.id, p.label, p.isPE, p.endpoint = pe.ID, labelOf(pe.ID, "privateEndpoints"), true, pe
	p.subnet, p.location = pe.SubnetID, pe.Location
	p.loose, p.first = slices.Clone(pe.Static), slices.Clone(pe.First)
	for _, id := range pe.InterfaceIDs {
		owners[strings.ToLower(id)] = pe.ID
	}
	for _, n := range pe.Names {
		d.say(p, byCustom, n.Name, "", n.Address)
	}
	if pe.Manual {
		d.notes.add("%s: its connection is approved by hand, and the state does not say whether it is: taken as approved", p.label)
	}
	if len(pe.Names) >= maxFacts || len(pe.Connections) >= maxFacts {
		d.leave(Gap{Reason: Unknown, Resource: pe.ID, File: pe.File}, "%s: it has more than %d names: the others are left out", p.label,
			maxFacts)
	}
}

// addInterface adds an interface to its endpoint, or makes a source of it.
func (d *decision) addInterface(n *Interface, owners map[string]string) {
	owner := cmp.Or(n.EndpointID, owners[strings.ToLower(n.ID)])
	p := d.source(cmp.Or(owner, n.ID), n.File)
	switch {
	case p.id != "":
	case owner != "":
		p.id, p.label = owner, labelOf(owner, "privateEndpoints")
	default:
		p.id, p.label = n.ID, labelOf(n.ID, "networkInterfaces")
	}
	p.subnet, p.location, p.hasInterface = cmp.Or(p.subnet, n.SubnetID), cmp.Or(p.location, n.Location), true
	for _, c := range n.Configurations {
		if len(c.Names) == 0 {
			p.loose = addTo(p.loose, c.Address)
		}
		for _, name := range c.Names {
			d.say(p, byNIC, name, "", c.Address)
		}
	}
	if len(n.Configurations) >= maxFacts {
		d.leave(Gap{Reason: Unknown, Resource: p.id, File: p.file},
			"%s: it has more than %d addresses: the others are left out", p.label, maxFacts)
	}
}

// addGroup adds a zone group to its endpoint, or makes a source of it.
func (d *decision) addGroup(g *ZoneGroup) {
	key := cmp.Or(g.EndpointID, g.ID, "zone group of "+g.File)
	p := d.source(key, g.File)
	switch {
	case p.id != "":
	case g.EndpointID != "":
		p.id, p.label = g.EndpointID, labelOf(g.EndpointID, "privateEndpoints")
	default:
		p.label = plain(g.File)
	}
	for _, z := range g.Zones {
		p.zones = addTo(p.zones, z.ZoneID)
		for _, r := range z.Records {
			d.say(p, byGroup, r.Name, z.ZoneID, r.Address)
		}
	}
}

// creators are the endpoints whose name no other one has, by that name: a record
// tells the endpoint that wrote it by its name alone.
func (d *decision) creators() map[string]*source {
	found := make(map[string]*source)
	for _, p := range d.sources {
		if !p.isPE {
			continue
		}
		name := strings.ToLower(part(p.id, "privateEndpoints"))
		if _, twice := found[name]; twice {
			found[name] = nil
			continue
		}
		found[name] = p
	}
	return found
}

// addRecord adds a record to the endpoint that wrote it, or makes a source of it.
func (d *decision) addRecord(r *Record, creators map[string]*source) {
	p := creators[strings.ToLower(r.Creator)]
	if p == nil || r.Creator == "" {
		key := "record " + cmp.Or(r.ZoneID, r.File) + " " + r.Name
		if r.Line > 0 {
			key += fmt.Sprintf(" %d", r.Line)
		}
		p = d.source(key, r.File)
		p.isRecord, p.line, p.id = true, r.Line, cmp.Or(p.id, r.ID)
		p.label = plain(r.File)
		if r.ID != "" {
			p.label = labelOf(r.ID, "privateDnsZones")
		}
	}
	if r.AutoRegistered {
		d.leave(Gap{Reason: Registered, Resource: r.ID, File: r.File, Names: d.namesOf(r.Name)},
			"%s: records that virtual machines registered are left out", plain(r.File))
		return
	}
	for _, addr := range r.Addresses {
		d.say(p, byRecord, r.Name, r.ZoneID, addr)
	}
	if r.Target != "" {
		d.addAlias(p, r)
	}
}

// addAlias adds a CNAME record.
func (d *decision) addAlias(p *source, r *Record) {
	from, ok := hostName(r.Name)
	to, fine := hostName(r.Target)
	if !ok || !fine {
		d.leave(Gap{Reason: BadName, Resource: cmp.Or(r.ID, r.Name), File: r.File},
			"%s: a CNAME record with a name that is no host name is left out: %q", p.label, plain(r.Name))
		return
	}
	d.aliases = append(d.aliases, alias{from, to, r.ZoneID, p})
}

// say adds a fact. What is no host name is noted, and left out.
func (d *decision) say(p *source, by trust, text, zone string, addr netip.Addr) {
	if text == "" {
		p.loose = addTo(p.loose, addr)
		return
	}
	name, ok := hostName(text)
	if !ok {
		p.hasBadName = true
		d.leave(Gap{Reason: BadName, Resource: p.id, File: p.file}, "%s: %q is no host name: left out; map the right name by hand: %s",
			p.label, plain(text), pasteable("", addr, p.label))
		return
	}
	if f := (fact{name, addr, zone}); len(p.facts[by]) < maxFacts && !slices.Contains(p.facts[by], f) {
		p.facts[by] = append(p.facts[by], f)
	}
}

// pasteable is a mapping that only lacks its name, as a comment that somebody can
// put into a file and complete.
func pasteable(name string, addr netip.Addr, label string) string {
	return fmt.Sprintf("# %q = %q # %s", cmp.Or(name, "NAME"), addr.String(), label)
}

// leave notes that something is left out.
func (d *decision) leave(g Gap, format string, args ...any) { d.gaps.add(g, format, args...) }

// namesOf are the names by which a configuration may hold a text of an export.
func (d *decision) namesOf(text string) []zones.Name {
	name, ok := hostName(text)
	if !ok {
		return nil
	}
	return d.spellings(name)
}

// spellings are a name and what it comes down to.
func (d *decision) spellings(name zones.Name) []zones.Name {
	n, ok := nameFrom(d.e.catalogue, name)
	if !ok || n.id == name && n.name == name {
		return []zones.Name{name}
	}
	return addTo([]zones.Name{name}, n.id, n.name)
}

// maxAliases is how many aliases in a row are followed.
const maxAliases = 8

// followAliases gives every alias the addresses of the name that it leads to.
func (d *decision) followAliases() {
	if len(d.aliases) == 0 {
		return
	}
	addrs := d.addressesByName()
	targets := make(map[zones.Name]zones.Name)
	for _, a := range d.aliases {
		targets[a.name] = a.target
	}
	for _, a := range d.aliases {
		at := a.name
		for range maxAliases {
			if next, is := targets[at]; is {
				at = next
			}
		}
		if len(addrs[at]) == 0 {
			d.leave(Gap{Reason: DeadAlias, Resource: a.source.id, File: a.source.file, Names: d.spellings(a.name)},
				"%s is an alias of %s, which the export gives no address for: left out", a.name, a.target)
		}
		for _, addr := range addrs[at] {
			d.say(a.source, byRecord, a.name.String(), a.zone, addr)
		}
	}
}

// addressesByName are the addresses of everything that was read, by name and by what
// names come down to.
func (d *decision) addressesByName() map[zones.Name][]netip.Addr {
	addrs := make(map[zones.Name][]netip.Addr)
	for _, key := range slices.Sorted(maps.Keys(d.sources)) {
		for _, facts := range d.sources[key].facts {
			for _, f := range facts {
				addrs[f.name] = union(addrs[f.name], f.addr)
				if n, ok := nameFrom(d.e.catalogue, f.name); ok {
					addrs[n.id] = union(addrs[n.id], f.addr)
				}
			}
		}
	}
	return addrs
}
