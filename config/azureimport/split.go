package azureimport

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Split is how an export is divided into networks.
type Split uint8

// The ways to divide an export.
const (
	Whole    Split = iota // one network, without a name
	ByVNet                // a network for each VNet that endpoints lie in
	BySubnet              // a network for each subnet
	ByLink                // a network for each VNet that private zones are linked to
)

// maxNetworkName is how long the name of a network may be in a configuration.
const maxNetworkName = 63

// places are the VNets or subnets of an export, and the networks that they become.
type places struct {
	decision *decision
	layout   Layout
	names    map[string]string // of networks, by id in lower case
	used     map[string]bool   // keys of Layout.Names that fit
	links    map[string][]string
	zoneIDs  map[string][]string // of zones, by name
}

// placesOf finds the places of an export.
func (d *decision) placesOf(l Layout) *places {
	p := &places{decision: d, layout: l, used: make(map[string]bool)}
	ids := make(map[string]bool)
	switch l.Split {
	case Whole:
		return p
	case ByLink:
		p.readLinks(ids)
	default:
		for _, s := range d.sources {
			if place := placeOf(s, l.Split); place != "" {
				ids[place] = true
			}
		}
	}
	p.nameAll(slices.Sorted(maps.Keys(ids)))
	return p
}

// readLinks learns which zones are linked to which VNets.
func (p *places) readLinks(ids map[string]bool) {
	p.links, p.zoneIDs = make(map[string][]string), make(map[string][]string)
	know := func(zoneID string) {
		if name := ZoneName(zoneID); name != "" {
			p.zoneIDs[name] = addTo(p.zoneIDs[name], strings.ToLower(zoneID))
		}
	}
	inventory := &p.decision.e.inventory
	for _, l := range inventory.Links {
		zone, vnet := strings.ToLower(l.ZoneID), strings.ToLower(l.VNetID)
		p.links[zone] = addTo(p.links[zone], vnet)
		ids[vnet] = true
		know(l.ZoneID)
	}
	for _, z := range inventory.Zones {
		know(z.ID)
	}
	for _, r := range inventory.Records {
		know(r.ZoneID)
	}
	for _, g := range inventory.Groups {
		for _, z := range g.Zones {
			know(z.ZoneID)
		}
	}
}

// placeOf is the id, in lower case, of the VNet or subnet that an endpoint is in;
// empty when the export does not tell.
func placeOf(p *source, split Split) string {
	id := strings.ToLower(p.subnet)
	vnet, _, found := cutFold(id, "/subnets/")
	switch {
	case !found:
		return ""
	case split == ByVNet:
		return vnet
	}
	return id
}

// networks are those that a mapping belongs to.
func (p *places) networks(s *source, m Mapping) []string {
	switch p.layout.Split {
	case Whole:
		return []string{""}
	case ByLink:
		return p.linked(s, m)
	}
	place := placeOf(s, p.layout.Split)
	if place == "" {
		p.decision.leave(Gap{Reason: NoNetwork, Resource: s.id, File: s.file, Names: p.decision.spellings(m.Name)},
			"%s: the export does not tell its subnet: left out", s.label)
		return nil
	}
	return []string{p.names[place]}
}

// linked are the networks of the VNets in which Azure would look into the zone that
// holds a name.
func (p *places) linked(s *source, m Mapping) []string {
	leave := func(format string, args ...any) {
		p.decision.leave(Gap{Reason: NoNetwork, Resource: s.id, File: s.file, Names: p.decision.spellings(m.Name)}, format, args...)
	}
	zone := ""
	if match, known := p.decision.e.catalogue.ZoneOf(m.id); known {
		zone = match.Zone.String()
	}
	ids := lowered(m.zones)
	if len(ids) == 0 {
		for _, id := range lowered(s.zones) {
			if ZoneName(id) == zone && zone != "" {
				ids = addTo(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		ids = p.zoneIDs[zone]
		if len(ids) > 1 {
			leave("%s: %s is in %s, and the export has %d zones of that name and does not tell which of them holds it: left out; "+
				"export its DNS zone group or its record too", s.label, m.Name, zone, len(ids))
			return nil
		}
	}
	var networks []string
	for _, id := range ids {
		for _, vnet := range p.links[id] {
			networks = addTo(networks, p.names[vnet])
		}
	}
	if len(networks) == 0 {
		leave("%s: the zone of %s is linked to no VNet of the export: left out", s.label, m.Name)
	}
	return networks
}

func lowered(ids []string) []string {
	var all []string
	for _, id := range ids {
		all = addTo(all, strings.ToLower(id))
	}
	return all
}

// asked is the network that the layout names for a place. The key of it is what was
// asked for.
func (p *places) asked(id string) (network string, known bool) {
	vnet, subnet := part(id, "virtualNetworks"), part(id, "subnets")
	for key, name := range p.layout.Names {
		short := vnet
		if subnet != "" {
			short += "/" + subnet
		}
		if strings.EqualFold(strings.TrimRight(key, "/"), id) || strings.EqualFold(key, short) {
			p.used[key] = true
			network, known = name, true
		}
	}
	return network, known
}

// unused notes the names that were asked for and fit nothing.
func (p *places) unused() {
	for _, key := range slices.Sorted(maps.Keys(p.layout.Names)) {
		if !p.used[key] {
			p.decision.notes.add("--map %s: the export has nothing there", plainID(key))
		}
	}
}

// nameAll names every VNet or subnet of the export, by id. Where two have one name,
// both get their resource group too, and the subscription if need be: the names
// depend on the ids alone, never on the order of the files.
func (p *places) nameAll(ids []string) {
	p.names = make(map[string]string)
	taken := make(map[string]bool)
	var open []string
	for _, id := range ids {
		if name, known := p.asked(id); known {
			p.names[id], taken[name] = name, true
		} else {
			open = append(open, id)
		}
	}
	for detail := 0; len(open) > 0; detail++ {
		count := make(map[string]int)
		for _, id := range open {
			p.names[id] = networkName(id, detail)
			count[p.names[id]]++
		}
		settled := func(id string) bool { return count[p.names[id]] == 1 && !taken[p.names[id]] }
		var still []string
		for _, id := range open {
			if !settled(id) {
				still = append(still, id)
			}
		}
		for _, id := range open {
			if count[p.names[id]] == 1 {
				taken[p.names[id]] = true
			}
		}
		open = still
	}
}

// networkName is the name of a VNet or subnet, in more detail where a shorter one
// is taken. From the third detail on, it holds a digest of the id, and is unique.
func networkName(id string, detail int) string {
	parts := []string{part(id, "virtualNetworks")}
	if subnet := part(id, "subnets"); subnet != "" {
		parts = append(parts, subnet)
	}
	if detail >= 1 {
		parts = append(parts, part(id, "resourceGroups"))
	}
	if subscription := part(id, "subscriptions"); detail >= 2 {
		parts = append(parts, subscription[:min(8, len(subscription))])
	}
	name := strings.Map(func(r rune) rune {
		if isHostRune(r) {
			return r
		}
		return '-'
	}, strings.Join(parts, "-"))
	if detail < 3 && strings.Trim(name, "-") != "" && len(name) <= maxNetworkName {
		return name
	}
	digest := sha256.Sum256([]byte(id))
	suffix := hex.EncodeToString(digest[:4])
	if detail > 3 {
		suffix = hex.EncodeToString(digest[:])[:8+min(4*(detail-3), 32)]
	}
	return fmt.Sprintf("%s-%s", name[:min(len(name), maxNetworkName-len(suffix)-1)], suffix)
}
