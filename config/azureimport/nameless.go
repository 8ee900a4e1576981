package azureimport

import (
	"net/netip"
	"slices"
	"strings"

	"pldns/zones/azure"
)

// derive names an endpoint by the resource that it leads to, where the catalogue
// says that its names are made so and its address leaves one meaning only. It notes
// what is missing otherwise.
func (c *claims) derive() {
	p := c.p
	all := p.loose
	if len(all) == 0 {
		all = p.first
	}
	addrs := slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool { return !isPrivate(a) })
	switch {
	case len(all) > 0 && len(addrs) == 0:
		c.d.leave(Gap{Reason: NotPrivate, Resource: p.id, File: p.file},
			"%s: its address %s is not private: left out; map it by hand with allow_public if it is meant", p.label, spell(all))
		return
	case len(addrs) == 0 && c.leftOut():
		return // it has been said of its names
	case len(addrs) == 0:
		c.d.leave(Gap{Reason: NoAddress, Resource: p.id, File: p.file},
			"%s: the export has no address for it, as happens where a DNS zone group is attached: "+
				"export the network interfaces too (az network nic list), and give both files", p.label)
		return
	}
	found := c.d.targets(p)
	sameFamily := func(a, b netip.Addr) bool { return a.Is4() == b.Is4() }
	if several := len(slices.CompactFunc(slices.Clone(addrs), sameFamily)) != len(addrs); several || len(found) != 1 {
		c.noName(addrs)
		return
	}
	for _, addr := range addrs {
		c.enter(found[0], byTarget, fact{addr: addr})
	}
}

// leftOut reports whether a source has names, all of which are left out.
func (c *claims) leftOut() bool {
	return c.p.hasBadName || slices.ContainsFunc(c.p.facts[:], func(facts []fact) bool { return len(facts) > 0 })
}

// noName notes an endpoint of which nothing tells the name, and its addresses, ready
// to be mapped.
func (c *claims) noName(addrs []netip.Addr) {
	p := c.p
	lines := make([]string, len(addrs))
	for i, addr := range addrs {
		lines[i] = pasteable("", addr, p.label)
	}
	why := "export its network interface too (az network nic list), or map it by hand"
	switch {
	case p.leadsToService():
		why = "it leads to a private link service, which has no public name: map the name that your clients use"
	case p.hasInterface:
		why = "its network interface tells none either: map it by hand"
	}
	what := ""
	if p.endpoint != nil && len(p.endpoint.Connections) == 1 {
		kind, _ := resourceType(p.endpoint.Connections[0].TargetID)
		if kind != "" {
			what = plain(strings.TrimRight(" of "+kind+" "+strings.Join(p.endpoint.Connections[0].Groups, ","), " "))
		}
	}
	c.d.leave(Gap{Reason: NoName, Resource: p.id, File: p.file, Addresses: addrs},
		"%s: the export has no name for %s, and the name of a resource%s does not tell one: left out; %s: %s",
		p.label, spell(addrs), what, why, strings.Join(lines, " "))
}

// leadsToService reports whether an endpoint leads to a private link service of
// somebody's own, or to an application gateway.
func (p *source) leadsToService() bool {
	return p.endpoint != nil && slices.ContainsFunc(p.endpoint.Connections, func(c Connection) bool {
		kind, _ := resourceType(c.TargetID)
		return c.Alias != "" || strings.EqualFold(kind, "Microsoft.Network/privateLinkServices") ||
			strings.EqualFold(kind, "Microsoft.Network/applicationGateways")
	})
}

// targets are the names that the catalogue gives the resource behind an endpoint.
func (d *decision) targets(p *source) []named {
	if p.endpoint == nil || len(p.endpoint.Connections) != 1 || len(p.endpoint.Connections[0].Groups) != 1 {
		return nil
	}
	connection := p.endpoint.Connections[0]
	kind, resource := resourceType(connection.TargetID)
	var found []named
	for _, name := range d.e.catalogue.ResourceNames(cloudOf(p.location), kind, connection.Groups[0], resource) {
		n, ok := nameFrom(d.e.catalogue, name)
		if !ok {
			return nil
		}
		found = append(found, n)
	}
	return found
}

// resourceType is the type and the name of the resource with an id.
func resourceType(id string) (kind, name string) {
	segments := strings.Split(strings.Trim(id, "/"), "/")
	for i, segment := range segments {
		if strings.EqualFold(segment, "providers") && len(segments) == i+4 {
			return segments[i+1] + "/" + segments[i+2], segments[i+3]
		}
	}
	return "", ""
}

// cloudOf is the cloud that a region is of; empty when the export does not tell.
func cloudOf(location string) azure.Cloud {
	location = strings.ToLower(strings.ReplaceAll(location, " ", ""))
	switch {
	case location == "":
		return ""
	case strings.HasPrefix(location, "usgov"), strings.HasPrefix(location, "usdod"):
		return azure.USGov
	case strings.HasPrefix(location, "china"):
		return azure.China
	}
	return azure.Public
}

// noteNameless notes the addresses of an endpoint that no name of it has.
func (c *claims) noteNameless() {
	var named []netip.Addr
	for _, at := range c.byName {
		named = union(named, at.addrs...)
	}
	for _, facts := range c.p.facts {
		for _, f := range facts {
			named = union(named, f.addr)
		}
	}
	nameless := slices.DeleteFunc(slices.Clone(c.p.loose), func(a netip.Addr) bool { return !isPrivate(a) || slices.Contains(named, a) })
	if len(nameless) > 0 {
		c.noName(nameless)
	}
}

// notePartial notes the zones of the service that an endpoint may have names in, and
// that nothing tells: a zone group or a record tells the names of its own zone only,
// while an interface and the endpoint's own list tell all.
func (c *claims) notePartial() {
	p := c.p
	if p.hasInterface || len(p.endpoint.Names) > 0 || len(p.endpoint.Connections) != 1 || len(p.endpoint.Connections[0].Groups) != 1 {
		return
	}
	kind, _ := resourceType(p.endpoint.Connections[0].TargetID)
	told := make(map[string]bool)
	cloud := azure.Cloud("")
	for _, at := range c.byName {
		if at.by == byTarget {
			return // all names are told by the name of the resource
		}
		if match, private := c.d.e.catalogue.ZoneOf(at.id); private {
			told[match.Entry.PrivateZone], cloud = true, match.Entry.Cloud
		}
	}
	missing := c.d.zonesOf(cloud, kind, p.endpoint.Connections[0].Groups[0], told)
	if len(missing) > 0 {
		c.d.leave(Gap{Reason: Partial, Resource: p.id, File: p.file, Zones: missing},
			"%s: nothing tells whether it has names in %s too: export its network interface (az network nic list)",
			p.label, strings.Join(missing, ", "))
	}
}

// zonesOf are the zones of a service, but for those that are told, as the catalogue
// writes them. A zone below another one is kept in that.
func (d *decision) zonesOf(cloud azure.Cloud, kind, group string, told map[string]bool) []string {
	var missing []string
	for i := range d.e.entries {
		entry := &d.e.entries[i]
		if entry.Cloud == cloud && !entry.Legacy && strings.EqualFold(entry.ResourceType, kind) &&
			strings.EqualFold(entry.Subresource, group) &&
			strings.HasPrefix(entry.PrivateZone, "privatelink") && !told[entry.PrivateZone] {
			missing = addTo(missing, entry.PrivateZone)
		}
	}
	return missing
}
