package azureaudit

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"pldns/config/azureimport"
	"pldns/zones"
	"pldns/zones/azure"
)

// estate is an inventory, put in order for questions about it.
type estate struct {
	catalogue *azure.Catalogue
	managed   []string // files that hold what one tool manages
	inventory azureimport.Inventory
	zones     []*zone // sorted by id
	byID      map[string]*zone
	endpoints []*endpoint
	names     map[zones.Name]*named // by private name
	addresses map[netip.Addr]bool   // of interfaces
	vnets     map[string]*vnet      // by id in lower case
}

// zone is a private zone, as far as the export tells.
type zone struct {
	id, file string
	name     zones.Name
	links    []azureimport.VNetLink
	records  map[zones.Name]*record
	listed   bool // whether the export holds record sets of it, and not only what zone groups tell
	whole    bool // whether they are all that it has
}

// record is what stands at a name of a zone.
type record struct {
	id, file, creator string
	name              zones.Name
	addrs             []netip.Addr
	alias             bool
	registered        bool
	grouped           bool // a zone group keeps it
}

// vnet is a VNet whose clients ask Azure DNS.
type vnet struct {
	id     string
	linked map[zones.Name]*link // by the name of the zone
}

type link struct {
	azureimport.VNetLink
	zone *zone
}

// decides is the link whose zone answers a name in the VNet: of those around the name
// the closest. Nil leaves it to the public DNS.
func (v *vnet) decides(name zones.Name) *link {
	for at, more := name, true; more; at, more = at.Parent() {
		if found := v.linked[at]; found != nil {
			return found
		}
	}
	return nil
}

// fallsBack reports whether names that the zone lacks are asked of the public DNS; known
// is false where the export does not tell.
func (l *link) fallsBack() (falls, known bool) {
	return strings.EqualFold(l.Resolution, "NxDomainRedirect"), l.Resolution != ""
}

// endpoint is a private endpoint with what is known of it.
type endpoint struct {
	azureimport.PrivateEndpoint
	seen    bool // whether the endpoint itself is in the export
	addrs   []netip.Addr
	grouped bool
	names   []*named
}

// named is a private name of a resource, and who has it.
type named struct {
	private zones.Name
	public  zones.Name // what clients ask for; the private name where that is not known
	zone    zones.Name
	at      []located
}

type located struct {
	endpoint *endpoint
	addrs    []netip.Addr
}

// newEstate puts an inventory in order.
func newEstate(inventory azureimport.Inventory, options Options) *estate {
	e := &estate{
		catalogue: options.Catalogue, managed: options.Managed, inventory: inventory,
		byID: make(map[string]*zone), names: make(map[zones.Name]*named),
		addresses: make(map[netip.Addr]bool), vnets: make(map[string]*vnet),
	}
	e.readZones()
	e.readEndpoints()
	slices.SortFunc(e.zones, func(a, b *zone) int { return cmp.Compare(strings.ToLower(a.id), strings.ToLower(b.id)) })
	return e
}

// zoneAt is the zone with an id; nil for ids of something else.
func (e *estate) zoneAt(id, file string) *zone {
	key := strings.ToLower(id)
	if known := e.byID[key]; known != nil {
		return known
	}
	name, err := zones.ParseName(azureimport.ZoneName(id))
	if err != nil || azureimport.ZoneName(id) == "" {
		return nil
	}
	made := &zone{id: id, file: file, name: name, records: make(map[zones.Name]*record)}
	e.byID[key] = made
	e.zones = append(e.zones, made)
	return made
}

func (e *estate) readZones() {
	for _, z := range e.inventory.Zones {
		e.zoneAt(z.ID, z.File)
	}
	for _, l := range e.inventory.Links {
		if z := e.zoneAt(l.ZoneID, l.File); z != nil {
			z.links = append(z.links, l)
			e.vnet(l.VNetID).linked[z.name] = &link{l, z}
		}
	}
	for _, r := range e.inventory.Records {
		z := e.zoneAt(r.ZoneID, r.File)
		name, err := zones.ParseName(r.Name)
		if z == nil || err != nil {
			continue
		}
		z.listed = true
		z.whole = z.whole || !slices.Contains(e.managed, r.File)
		at := z.record(name, r.ID, r.File)
		at.addrs = join(at.addrs, r.Addresses...)
		at.alias = at.alias || r.Target != ""
		at.registered = at.registered || r.AutoRegistered
		at.creator = cmp.Or(at.creator, r.Creator)
	}
}

func (z *zone) record(name zones.Name, id, file string) *record {
	if z.records[name] == nil {
		z.records[name] = &record{id: id, file: file, name: name}
	}
	return z.records[name]
}

func (e *estate) vnet(id string) *vnet {
	key := strings.ToLower(id)
	if e.vnets[key] == nil {
		e.vnets[key] = &vnet{id: id, linked: make(map[zones.Name]*link)}
	}
	return e.vnets[key]
}

// readEndpoints gathers what interfaces, zone groups and the endpoints themselves
// tell.
func (e *estate) readEndpoints() {
	byID := make(map[string]*endpoint)
	at := func(id string) *endpoint {
		key := strings.ToLower(id)
		if byID[key] == nil {
			byID[key] = &endpoint{PrivateEndpoint: azureimport.PrivateEndpoint{ID: id}}
			e.endpoints = append(e.endpoints, byID[key])
		}
		return byID[key]
	}
	owners := make(map[string]string)
	for _, p := range e.inventory.Endpoints {
		found := at(p.ID)
		found.PrivateEndpoint, found.seen = p, true
		for _, nic := range p.InterfaceIDs {
			owners[strings.ToLower(nic)] = p.ID
		}
	}
	for _, n := range e.inventory.Interfaces {
		owner := cmp.Or(n.EndpointID, owners[strings.ToLower(n.ID)])
		for _, c := range n.Configurations {
			e.addresses[c.Address] = true
		}
		if owner != "" {
			e.readInterface(at(owner), n)
		}
	}
	for _, g := range e.inventory.Groups {
		if g.EndpointID != "" {
			e.readGroup(at(g.EndpointID), g)
		}
	}
	for _, p := range e.inventory.Endpoints {
		for _, custom := range p.Names {
			e.addName(at(p.ID), custom.Name, custom.Address)
		}
	}
}

func (e *estate) readInterface(p *endpoint, n azureimport.Interface) {
	p.SubnetID, p.File = cmp.Or(p.SubnetID, n.SubnetID), cmp.Or(p.File, n.File)
	for _, c := range n.Configurations {
		p.addrs = join(p.addrs, c.Address)
		for _, name := range c.Names {
			e.addName(p, name, c.Address)
		}
	}
}

func (e *estate) readGroup(p *endpoint, g azureimport.ZoneGroup) {
	p.grouped, p.File = true, cmp.Or(p.File, g.File)
	for _, config := range g.Zones {
		z := e.zoneAt(config.ZoneID, g.File)
		for _, r := range config.Records {
			e.addName(p, r.Name, r.Address)
			name, err := zones.ParseName(r.Name)
			if z == nil || err != nil {
				continue
			}
			kept := z.record(name, g.ID, g.File)
			kept.addrs, kept.grouped = join(kept.addrs, r.Address), true
		}
	}
}

// addName adds a name of an endpoint, under its private name. What has none is not
// answered by a private zone, and of no interest.
func (e *estate) addName(p *endpoint, text string, addr netip.Addr) {
	name, err := zones.ParseName(text)
	if err != nil || text == "" {
		return
	}
	n, ok := e.privateOf(name)
	if !ok {
		return
	}
	known := e.names[n.private]
	if known == nil {
		known = &n
		e.names[n.private] = known
	}
	if known.public == known.private && n.public != n.private {
		known.public = n.public
	}
	if !slices.Contains(p.names, known) {
		p.names = append(p.names, known)
	}
	i := slices.IndexFunc(known.at, func(l located) bool { return l.endpoint == p })
	if i < 0 {
		i = len(known.at)
		known.at = append(known.at, located{endpoint: p})
	}
	known.at[i].addrs = join(known.at[i].addrs, addr)
}

// privateOf finds the private name and zone of a name that an export tells.
func (e *estate) privateOf(name zones.Name) (named, bool) {
	if match, private := e.catalogue.ZoneOf(name); private {
		n := named{private: name, public: name, zone: match.Zone}
		if public := e.catalogue.PublicNames(name); len(public) > 0 && (!name.IsWildcard() || e.catalogue.IsCustomerWildcard(name)) {
			n.public = public[0]
		}
		return n, name != match.Zone
	}
	if match, err := e.catalogue.Derive(name); err == nil {
		return named{private: match.Private, public: name, zone: match.Zone}, true
	}
	labels := name.Labels()
	for i := 1; i < len(labels); i++ { // a zone of a service that the catalogue does not know
		if strings.HasPrefix(labels[i], "privatelink") {
			zone, err := zones.ParseName(strings.Join(labels[i:], "."))
			return named{private: name, public: name, zone: zone}, err == nil
		}
	}
	return named{}, false
}

// state is that of the endpoint's connections: approved when one of them is, or the
// export does not tell.
func (p *endpoint) state() string {
	state := ""
	for _, c := range p.Connections {
		switch {
		case c.Status == "" || strings.EqualFold(c.Status, "Approved"):
			return ""
		case state == "" || strings.EqualFold(c.Status, "Pending"):
			state = c.Status
		}
	}
	return state
}

// works reports whether clients should be led to the endpoint.
func (p *endpoint) works() bool {
	return p.state() == "" && !strings.EqualFold(p.Provisioning, "Failed") && !strings.EqualFold(p.Provisioning, "Deleting")
}

// vnetID is the VNet that the endpoint lies in; empty where the export does not tell.
func (p *endpoint) vnetID() string {
	before, _, found := strings.Cut(strings.ToLower(p.SubnetID), "/subnets/")
	if !found {
		return ""
	}
	return p.SubnetID[:len(before)]
}

// working are the addresses of the endpoints that clients should be led to.
func (n *named) working() []netip.Addr {
	var addrs []netip.Addr
	for _, l := range n.at {
		if l.endpoint.works() {
			addrs = join(addrs, l.addrs...)
		}
	}
	return addrs
}

// find is the record that answers a name in a zone: its own, or the closest wildcard.
func (z *zone) find(name zones.Name) *record {
	if found := z.records[name]; found != nil {
		return found
	}
	for parent, more := name.Parent(); more && parent.Within(z.name); parent, more = parent.Parent() {
		if found := z.records[parent.Under("*")]; found != nil {
			return found
		}
	}
	return nil
}

// join adds addresses that are not there yet, in order.
func join(addrs []netip.Addr, more ...netip.Addr) []netip.Addr {
	for _, addr := range more {
		if at, there := slices.BinarySearchFunc(addrs, addr, netip.Addr.Compare); !there {
			addrs = slices.Insert(addrs, at, addr)
		}
	}
	return addrs
}

// spell writes addresses for people.
func spell(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ", ")
}

// lastPart is the name of a resource.
func lastPart(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// some are the first few of a number of texts.
func some(texts []string) string {
	const most = 5
	if len(texts) > most {
		return strings.Join(texts[:most], ", ") + fmt.Sprintf(" and %d more", len(texts)-most)
	}
	return strings.Join(texts, ", ")
}
