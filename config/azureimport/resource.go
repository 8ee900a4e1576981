package azureimport

import (
	"net/netip"
	"slices"
	"strings"
)

// The resource types that are read, in lower case.
const (
	typeEndpoint = "microsoft.network/privateendpoints"
	typeNIC      = "microsoft.network/networkinterfaces"
	typeRecord   = "microsoft.network/privatednszones/"
	typeGroup    = "microsoft.network/privateendpoints/privatednszonegroups"
)

// readResource reads a resource as the Azure command line, REST or Resource Graph
// writes it. Types that are of no use are counted.
func (e *Export) readResource(file string, n node) error {
	kind := strings.ToLower(n.get("type").text())
	body := n.body()
	switch {
	case n.err() != nil:
	case kind == typeGroup, kind == "" && body.get("privateDnsZoneConfigs").has():
		e.readGroup(file, n)
	case kind == typeEndpoint,
		kind == "" && (body.get("privateLinkServiceConnections").has() || body.get("manualPrivateLinkServiceConnections").has()):
		e.readEndpoint(file, n)
	case kind == typeNIC, kind == "" && body.get("ipConfigurations").has():
		if !e.readNIC(file, n) {
			return n.err()
		}
	case strings.HasPrefix(kind, typeRecord) && kind != typeRecord+"virtualnetworklinks", kind == "" && isRecordSet(body):
		e.readRecordSet(file, n)
	default:
		e.strange++
		return n.err()
	}
	if err := n.err(); err != nil {
		return err
	}
	e.progress(file)
	return nil
}

// isRecordSet tells whether a resource without a type is a record set.
func isRecordSet(body node) bool {
	return body.get("aRecords").has() || body.get("aaaaRecords").has() || body.get("cnameRecord").has()
}

// readEndpoint reads a private endpoint.
func (e *Export) readEndpoint(file string, n node) {
	id, body := n.get("id").text(), n.body()
	if id == "" {
		n.get("id").blame("the id of a resource")
		return
	}
	p := e.resource(id, file)
	p.isPE, p.location, p.label = true, n.get("location").text(), labelOf(id, "privateEndpoints")
	if subnet := body.get("subnet").get("id").text(); subnet != "" {
		p.subnet = subnet
	}
	for _, key := range []string{"privateLinkServiceConnections", "manualPrivateLinkServiceConnections"} {
		for _, connection := range body.get(key).list() {
			b := connection.body()
			p.addLink(link{
				target: b.get("privateLinkServiceId").text(), groups: b.get("groupIds").texts(),
				status: b.get("privateLinkServiceConnectionState").get("status").text(),
			})
		}
	}
	for _, nic := range body.get("networkInterfaces").list() {
		e.nics[strings.ToLower(nic.get("id").text())] = id
		e.readNICBody(p, nic.body()) // REST gives the whole interface when it is asked to expand it
	}
	for _, custom := range body.get("customDnsConfigs").list() {
		e.say(p, byCustom, custom.get("fqdn").text(), custom.get("ipAddresses").addresses()...)
	}
	for _, config := range body.get("ipConfigurations").list() {
		if addr, ok := config.body().get("privateIPAddress").address(); ok {
			p.addLoose(addr)
		}
	}
}

// addLink adds a connection, once.
func (p *endpoint) addLink(l link) {
	same := func(other link) bool {
		return strings.EqualFold(l.target, other.target) && slices.Equal(l.groups, other.groups) && l.status == other.status
	}
	if len(p.links) < maxFacts && !slices.ContainsFunc(p.links, same) {
		p.links = append(p.links, l)
	}
}

// readNIC reads a network interface. It is false for those of something else than
// a private endpoint.
func (e *Export) readNIC(file string, n node) bool {
	id, body := n.get("id").text(), n.body()
	owner := body.get("privateEndpoint").get("id").text()
	if owner == "" {
		owner = e.nics[strings.ToLower(id)]
	}
	of := func(config node) bool { return config.body().get("privateLinkConnectionProperties").has() }
	if owner == "" && !slices.ContainsFunc(body.get("ipConfigurations").list(), of) {
		e.strange++
		return false
	}
	var p *endpoint
	switch {
	case owner != "":
		p = e.resource(owner, file)
	case id != "":
		p = e.endpoint(id, file)
		p.id, p.label = id, labelOf(id, "networkInterfaces")
	default:
		p = e.endpoint(e.serial(file), file)
		p.label = plain(n.get("name").text())
	}
	if p.location == "" {
		p.location = n.get("location").text()
	}
	e.readNICBody(p, body)
	return true
}

// readNICBody reads the configurations of a network interface.
func (e *Export) readNICBody(p *endpoint, body node) {
	for _, config := range body.get("ipConfigurations").list() {
		b := config.body()
		if subnet := b.get("subnet").get("id").text(); subnet != "" && p.subnet == "" {
			p.subnet = subnet
		}
		if addr, ok := b.get("privateIPAddress").address(); ok {
			e.sayAll(p, byNIC, b.get("privateLinkConnectionProperties").get("fqdns").texts(), addr)
		}
	}
}

// sayAll adds several names of one address. Without a name, the address itself is
// what is known.
func (e *Export) sayAll(p *endpoint, by trust, names []string, addr netip.Addr) {
	if len(names) == 0 {
		p.addLoose(addr)
	}
	for _, name := range names {
		e.say(p, by, name, addr)
	}
}

// readGroup reads a DNS zone group. Its id tells the endpoint that it belongs to.
func (e *Export) readGroup(file string, n node) {
	id := n.get("id").text()
	owner, _, within := cutFold(id, "/privateDnsZoneGroups/")
	var p *endpoint
	if within {
		p = e.resource(owner, file)
	} else {
		p = e.endpoint(e.serial(file), file)
		p.label = plain(file)
	}
	for _, config := range n.body().get("privateDnsZoneConfigs").list() {
		b := config.body()
		zone := part(b.get("privateDnsZoneId").text(), "privateDnsZones")
		for _, set := range b.get("recordSets").list() {
			name := set.get("fqdn").text()
			if name == "" {
				name = ownerName(set.get("recordSetName").text(), zone)
			}
			e.say(p, byGroup, name, set.get("ipAddresses").addresses()...)
		}
	}
}

// cutFold is [strings.Cut] without regard to letter case, for ASCII.
func cutFold(text, separator string) (before, after string, found bool) {
	at := strings.Index(strings.ToLower(text), strings.ToLower(separator))
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

// ownerName is the name of a record in a zone.
func ownerName(record, zone string) string {
	switch {
	case zone == "":
		return ""
	case record == "@":
		return zone
	}
	return record + "." + zone
}

// readRecordSet reads a record set of a private zone.
func (e *Export) readRecordSet(file string, n node) {
	body, id := n.body(), n.get("id").text()
	name := body.get("fqdn").text()
	if name == "" {
		name = ownerName(n.get("name").text(), part(id, "privateDnsZones"))
	}
	if name == "" || body.get("isAutoRegistered").truth() {
		e.note("%s: records that virtual machines registered, or without a name, are left out", file)
		return
	}
	zone := strings.TrimSuffix(id, "/"+id[strings.LastIndexByte(id, '/')+1:]) // up to the type
	zone = zone[:max(0, strings.LastIndexByte(zone, '/'))]
	p := e.endpoint("record "+zone+" "+strings.TrimSuffix(name, "."), file)
	p.record, p.label, p.creator = id, labelOf(id, "privateDnsZones"), creatorOf(body.get("metadata"))
	for _, kind := range []struct{ list, address string }{{"aRecords", "ipv4Address"}, {"aaaaRecords", "ipv6Address"}} {
		for _, record := range body.get(kind.list).list() {
			if addr, ok := record.get(kind.address).address(); ok {
				e.say(p, byGroup, name, addr)
			}
		}
	}
	if target := body.get("cnameRecord").get("cname").text(); target != "" {
		e.addAlias(p, name, target)
	}
}

// creatorOf is the name of the endpoint whose zone group wrote a record.
func creatorOf(metadata node) string {
	if _, is := metadata.value.(map[string]any); !is {
		return ""
	}
	rest, is := strings.CutPrefix(metadata.get("creator").text(), "created by private endpoint ")
	name, _, _ := strings.Cut(rest, " with resource guid ")
	if !is {
		return ""
	}
	return name
}

// addAlias adds a CNAME record.
func (e *Export) addAlias(p *endpoint, name, target string) {
	from, ok := hostName(name)
	to, fine := hostName(target)
	if !ok || !fine {
		e.note("%s: a CNAME record with a name that is no host name is left out", p.label)
		return
	}
	e.aliases = append(e.aliases, alias{from, to, p})
}
