package azureimport

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Inventory is what the files of an export hold, before anything is decided about
// it: plain values, each with the id of its resource and the file that told it. A
// resource that several files tell stands here once. Ids are spelled as the export
// spells them, and are to be compared without regard to letter case.
//
// Everything is in the order of reading. Nothing is left out for its state: an
// endpoint that was rejected stands here, with its state.
type Inventory struct {
	Endpoints  []PrivateEndpoint
	Interfaces []Interface
	Groups     []ZoneGroup
	Zones      []PrivateZone
	Records    []Record
	Links      []VNetLink
	// Gaps are what the files do not hold, as far as they tell: pages that are
	// missing, and resources of which only the existence is known. What a decision
	// leaves out of it is in [Result].
	Gaps []Gap
}

// PrivateEndpoint is a private endpoint.
type PrivateEndpoint struct {
	ID           string
	Location     string // region; empty where the export does not tell
	SubnetID     string
	Provisioning string // provisioningState, such as Succeeded or Failed
	Connections  []Connection
	InterfaceIDs []string
	// Names are those of its own list (customDnsConfigs), which is empty while a DNS
	// zone group is attached.
	Names []NamedAddress
	// Static are addresses that it was given (ipConfigurations); First is the one
	// address that Terraform tells of an endpoint that may have several.
	Static, First []netip.Addr
	// Manual says that the connection is approved by hand and that the export does
	// not say whether it was.
	Manual bool
	File   string
}

// Connection is the connection of a private endpoint to a resource.
type Connection struct {
	TargetID string   // empty for a connection by alias
	Alias    string   // of a private link service
	Groups   []string // group ids, such as sqlServer
	Status   string   // Approved, Pending, Rejected, Disconnected; empty where the export does not tell
}

// NamedAddress is a name and one of its addresses.
type NamedAddress struct {
	Name    string // as the export spells it, and possibly no host name
	Address netip.Addr
}

// Interface is the network interface of a private endpoint.
type Interface struct {
	ID             string // empty where only rows of a joined query tell of it
	EndpointID     string // empty where neither the interface nor an endpoint tells
	SubnetID       string
	Location       string
	Configurations []IPConfiguration
	File           string
}

// IPConfiguration is one address of an interface.
type IPConfiguration struct {
	Address netip.Addr
	Group   string // group id
	Member  string // requiredMemberName
	Names   []string
}

// ZoneGroup is a DNS zone group of a private endpoint.
type ZoneGroup struct {
	ID         string
	EndpointID string // empty where the export does not tell
	Zones      []GroupZone
	File       string
}

// GroupZone is one zone of a group, with the records that Azure keeps there.
type GroupZone struct {
	ZoneID  string
	Records []NamedAddress
}

// PrivateZone is a private DNS zone.
type PrivateZone struct {
	ID   string
	Name string
	File string
}

// Record is a record set of a private zone, or the records of one name in a file of
// another DNS server.
type Record struct {
	ID             string // of the record set; empty for what is no resource of Azure
	ZoneID         string
	Zone           string // name; empty where the export does not tell
	Name           string // in full, without a dot at the end, as the export spells it
	Addresses      []netip.Addr
	Target         string // of a CNAME record
	AutoRegistered bool   // by a virtual machine
	Creator        string // name of the private endpoint whose zone group wrote it
	File           string
	Line           int // in a file of lines, where that matters; else 0
}

// VNetLink is the link of a private zone to a VNet.
type VNetLink struct {
	ID           string
	ZoneID       string
	VNetID       string
	Registration bool   // whether virtual machines register there
	Resolution   string // resolutionPolicy: Default or NxDomainRedirect; empty where the export does not tell
	State        string // virtualNetworkLinkState, such as Completed
	File         string
}

// ZoneName is the name of the zone that a private zone's id ends in; empty for ids of
// other resources.
func ZoneName(zoneID string) string { return strings.ToLower(part(zoneID, "privateDnsZones")) }

// Inventory gives what was read. The caller must not change it.
func (e *Export) Inventory() Inventory {
	all := e.inventory
	all.Gaps = append(slices.Clip(all.Gaps), e.readGaps()...)
	return all
}

// index is where resources stand in the inventory, by id in lower case.
type index struct {
	endpoints, interfaces, groups, zones, records, links map[string]int
}

func newIndex() index {
	return index{
		endpoints: make(map[string]int), interfaces: make(map[string]int), groups: make(map[string]int),
		zones: make(map[string]int), records: make(map[string]int), links: make(map[string]int),
	}
}

// entered gives the place of a resource in a list, and enters it when it is new.
func entered[T any](list *[]T, at map[string]int, key string, fresh T) *T {
	key = strings.ToLower(key)
	i, known := at[key]
	if !known {
		i = len(*list)
		at[key] = i
		*list = append(*list, fresh)
	}
	return &(*list)[i]
}

// addEndpoint adds what a file says of a private endpoint.
func (e *Export) addEndpoint(p PrivateEndpoint) {
	at := entered(&e.inventory.Endpoints, e.index.endpoints, p.ID, PrivateEndpoint{ID: p.ID, File: p.File})
	at.Location, at.SubnetID = cmp.Or(at.Location, p.Location), cmp.Or(at.SubnetID, p.SubnetID)
	at.Provisioning = cmp.Or(at.Provisioning, p.Provisioning)
	at.Manual = at.Manual || p.Manual
	for _, c := range p.Connections {
		at.addConnection(c)
	}
	at.InterfaceIDs = addTo(at.InterfaceIDs, p.InterfaceIDs...)
	at.Names = addTo(at.Names, p.Names...)
	at.Static, at.First = addTo(at.Static, p.Static...), addTo(at.First, p.First...)
}

// addConnection adds a connection. What one file leaves open, another may tell.
func (p *PrivateEndpoint) addConnection(c Connection) {
	for i := range p.Connections {
		old := &p.Connections[i]
		same := strings.EqualFold(old.TargetID, c.TargetID) || old.TargetID == "" || c.TargetID == ""
		sameState := strings.EqualFold(old.Status, c.Status) || old.Status == "" || c.Status == ""
		sameGroups := slices.Equal(old.Groups, c.Groups) || len(old.Groups) == 0 || len(c.Groups) == 0
		if same && sameState && sameGroups {
			old.TargetID, old.Status, old.Alias = cmp.Or(old.TargetID, c.TargetID), cmp.Or(old.Status, c.Status), cmp.Or(old.Alias, c.Alias)
			if len(old.Groups) == 0 {
				old.Groups = c.Groups
			}
			return
		}
	}
	p.Connections = addNew(p.Connections, c)
}

// addInterface adds what a file says of a network interface. Without an id, it is
// known by its endpoint.
func (e *Export) addInterface(n Interface) {
	key := n.ID
	if key == "" {
		key = "of " + n.EndpointID
	}
	at := entered(&e.inventory.Interfaces, e.index.interfaces, key, Interface{ID: n.ID, File: n.File})
	at.EndpointID, at.SubnetID = cmp.Or(at.EndpointID, n.EndpointID), cmp.Or(at.SubnetID, n.SubnetID)
	at.Location = cmp.Or(at.Location, n.Location)
	for _, c := range n.Configurations {
		same := func(old IPConfiguration) bool {
			return old.Address == c.Address && old.Group == c.Group && slices.Equal(old.Names, c.Names)
		}
		if !slices.ContainsFunc(at.Configurations, same) {
			at.Configurations = addNew(at.Configurations, c)
		}
	}
}

// addGroup adds what a file says of a DNS zone group.
func (e *Export) addGroup(g ZoneGroup) {
	key := g.ID
	if key == "" {
		key = "of " + g.EndpointID + " " + e.serial(g.File)
	}
	at := entered(&e.inventory.Groups, e.index.groups, key, ZoneGroup{ID: g.ID, File: g.File})
	at.EndpointID = cmp.Or(at.EndpointID, g.EndpointID)
	for _, z := range g.Zones {
		i := slices.IndexFunc(at.Zones, func(old GroupZone) bool { return strings.EqualFold(old.ZoneID, z.ZoneID) })
		if i < 0 {
			at.Zones = addNew(at.Zones, GroupZone{ZoneID: z.ZoneID})
			i = len(at.Zones) - 1
		}
		at.Zones[i].Records = addTo(at.Zones[i].Records, z.Records...)
	}
}

// addZone adds a private zone.
func (e *Export) addZone(z PrivateZone) {
	entered(&e.inventory.Zones, e.index.zones, z.ID, z)
}

// addRecord adds a record set. The A and AAAA sets of one name are two.
func (e *Export) addRecord(r Record) {
	key := r.ID
	if key == "" {
		key = "record " + r.File + " " + r.ZoneID + " " + r.Name
	}
	if r.Line > 0 {
		key += " " + e.serial(r.File)
	}
	fresh := r
	fresh.Addresses = nil
	at := entered(&e.inventory.Records, e.index.records, key, fresh)
	at.Addresses = addTo(at.Addresses, r.Addresses...)
	at.Target = cmp.Or(at.Target, r.Target)
	at.AutoRegistered = at.AutoRegistered || r.AutoRegistered
	if at.Creator == "" {
		at.Creator = r.Creator
	}
}

// addLink adds the link of a zone to a VNet.
func (e *Export) addLink(l VNetLink) {
	entered(&e.inventory.Links, e.index.links, l.ID, l)
}

// maxFacts is how much one resource may say. Azure's largest endpoints have some
// dozens of names.
const maxFacts = 2000

// addTo adds what is not there yet.
func addTo[T comparable](list []T, more ...T) []T {
	for _, value := range more {
		if len(list) < maxFacts && !slices.Contains(list, value) {
			list = append(list, value)
		}
	}
	return list
}

// addNew adds a value that is known to be new.
func addNew[T any](list []T, value T) []T {
	if len(list) >= maxFacts {
		return list
	}
	return append(list, value)
}
