package azurediscovery

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/config/azureimport"
	"pldns/config/source"
	"pldns/zones"
	"pldns/zones/azure"
)

// linkedZone is a private zone that is linked to VNets of a network.
type linkedZone struct {
	name  zones.Name
	id    string // in lower case
	falls bool   // whether names that it lacks are asked of the public DNS, in all of these VNets
}

// links finds what Azure DNS answers in the network's VNets: the records of the
// privatelink zones that are linked to them. Other zones may hold records of types that
// nothing lists, and are left to the upstream.
func (d *deriving) links(n *config.Network, share *source.Share) {
	linked := make(map[string]*linkedZone)
	for _, row := range d.rows(KindLink) {
		id := strings.ToLower(row.Link.ZoneID)
		name, err := zones.ParseName(azureimport.ZoneName(id))
		if !slices.Contains(n.Azure.VNets, strings.ToLower(row.Link.VNetID)) || err != nil || !d.isPrivatelink(name) {
			continue
		}
		falls := strings.EqualFold(row.Link.Resolution, "NxDomainRedirect")
		if linked[id] == nil {
			linked[id] = &linkedZone{name, id, true}
		}
		linked[id].falls = linked[id].falls && falls
	}
	inventory := azureimport.Inventory{}
	var aliases []*Row
	for _, row := range d.rows(KindRecord) {
		switch zone := linked[strings.ToLower(row.Record.ZoneID)]; {
		case zone == nil:
		case row.Record.Target != "":
			aliases = append(aliases, row)
		default:
			record := *row.Record
			record.Creator = "" // a name alone, which another endpoint may have, too
			inventory.Records = append(inventory.Records, record)
		}
	}
	d.unapproved(&inventory)
	d.mappings(n, inventory, nil, share, KindRecord)
	d.zones(linked, aliases, share)
}

// isPrivatelink tells whether a zone is one of Azure's private zones.
func (d *deriving) isPrivatelink(name zones.Name) bool {
	match, known := d.catalogue.ZoneOf(name)
	return known && match.Zone == name || azure.HasPrivatelink(name)
}

// unapproved adds endpoints that do not work, so that records which lead to them are
// left out: the public name is no alias of such a record's.
func (d *deriving) unapproved(inventory *azureimport.Inventory) {
	dead := make(map[string]bool)
	for _, row := range d.rows(KindEndpoint) {
		if !row.Endpoint.works() {
			dead[strings.ToLower(row.ID)] = true
			inventory.Endpoints = append(inventory.Endpoints, row.Endpoint.PrivateEndpoint)
		}
	}
	for _, row := range d.rows(KindInterface) {
		if dead[strings.ToLower(row.Interface.EndpointID)] {
			inventory.Interfaces = append(inventory.Interfaces, *row.Interface)
		}
	}
}

// zones enters what is done with names that a zone lacks, and its aliases as they are.
func (d *deriving) zones(linked map[string]*linkedZone, aliases []*Row, share *source.Share) {
	byName := make(map[zones.Name]*source.Zone)
	for _, id := range sortedKeys(linked) {
		zone := linked[id]
		made := byName[zone.name]
		if made == nil {
			made = &source.Zone{ZoneSpec: zones.ZoneSpec{Name: zone.name, Missing: zones.Forward}, Place: config.LearnedAt(d.source, id)}
			byName[zone.name] = made
		}
		if !zone.falls {
			made.Missing = zones.NXDomain // as Azure DNS says of what a zone lacks
		}
	}
	for _, row := range aliases {
		zone := linked[strings.ToLower(row.Record.ZoneID)]
		owner, err := zones.ParseName(row.Record.Name)
		target, err2 := zones.ParseName(row.Record.Target)
		if err != nil || err2 != nil || owner == zone.name || !owner.Within(zone.name) {
			d.warn("%s: the alias %s of %s cannot be answered: left out", row.ID, row.Record.Name, row.Record.Target)
			continue
		}
		at := byName[zone.name]
		if slices.ContainsFunc(at.Records, func(rr dns.RR) bool { return zones.NameOf(rr.Header().Name) == owner }) {
			continue // of another zone with the same name
		}
		at.Records = append(at.Records, &dns.CNAME{
			Hdr:    dns.RR_Header{Name: owner.FQDN(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: zones.DefaultTTL},
			Target: target.FQDN(),
		})
	}
	for _, name := range sortedNames(byName) {
		share.Zones = append(share.Zones, *byName[name])
	}
}

func sortedKeys[V any](of map[string]V) []string {
	var keys []string
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func sortedNames[V any](of map[zones.Name]V) []zones.Name {
	var names []zones.Name
	for name := range of {
		names = append(names, name)
	}
	slices.SortFunc(names, zones.Name.Compare)
	return names
}
