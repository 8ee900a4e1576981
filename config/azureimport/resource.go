package azureimport

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// The resource types that are read, in lower case.
const (
	typeEndpoint = "microsoft.network/privateendpoints"
	typeNIC      = "microsoft.network/networkinterfaces"
	typeZone     = "microsoft.network/privatednszones"
	typeRecord   = typeZone + "/"
	typeLink     = typeZone + "/virtualnetworklinks"
	typeGroup    = typeEndpoint + "/privatednszonegroups"
)

// readResource reads a resource as the Azure command line, PowerShell, REST or
// Resource Graph writes it.
func (e *Export) readResource(file string, n node) error {
	if n.isObject() && isDeployment(n) {
		return e.readDeployment(file, n)
	}
	kind := strings.ToLower(n.get("type").text())
	if kind == "" && n.err() == nil {
		kind = cmp.Or(shapeOf(n), typeOfID(n.get("id").anyText()))
	}
	of := func(read func(string, node)) {
		if n.err() == nil {
			read(file, n)
		}
	}
	used := true
	switch {
	case n.err() != nil:
	case kind == typeGroup:
		of(e.readGroup)
	case kind == typeEndpoint:
		of(e.readEndpoint)
	case kind == typeNIC:
		used = e.readNIC(file, n)
	case kind == typeLink:
		of(e.readLink)
	case kind == typeZone:
		of(e.readZone)
	case kind == shapePowerShellRecord:
		of(e.readPowerShellRecord)
	case strings.HasPrefix(kind, typeRecord):
		of(e.readRecordSet)
	case kind == "":
		used = false
		e.unknownShape(file, n)
	default:
		used = false
		e.strangeResource(file, kind, plainID(strings.TrimSpace(kind+" "+n.get("name").anyText())), n)
	}
	if err := n.err(); err != nil {
		return err
	}
	if used {
		e.progress(file)
	}
	return nil
}

// shapeOf is the type of a resource that does not tell it, as PowerShell's do not;
// empty when it looks like none.
func shapeOf(n node) string {
	body := n.body()
	switch {
	case body.get("privateDnsZoneConfigs").has():
		return typeGroup
	case body.get("privateLinkServiceConnections").has(), body.get("manualPrivateLinkServiceConnections").has():
		return typeEndpoint
	case n.get("RecordType").has() && n.get("ZoneName").has():
		return shapePowerShellRecord
	case body.get("virtualNetwork").has() && body.get("registrationEnabled").has(), n.get("VirtualNetworkId").has():
		return typeLink
	case body.get("ipConfigurations").has():
		return typeNIC
	case body.get("aRecords").has(), body.get("aaaaRecords").has(), body.get("cnameRecord").has():
		return typeRecord + "a"
	case body.get("numberOfVirtualNetworkLinks").has():
		return typeZone
	}
	return ""
}

// typeOfID is the type of a resource, in lower case, as its id tells it.
func typeOfID(id string) string {
	id = strings.ToLower(id)
	at := strings.LastIndex(id, "/providers/")
	if at < 0 {
		return ""
	}
	segments := strings.Split(id[at+len("/providers/"):], "/")
	if len(segments) < 3 {
		return ""
	}
	kind := segments[0]
	for i := 1; i < len(segments); i += 2 {
		kind += "/" + segments[i]
	}
	return kind
}

// readEndpoint reads a private endpoint.
func (e *Export) readEndpoint(file string, n node) {
	id, body := n.get("id").text(), n.body()
	if id == "" {
		n.get("id").blame("the id of a resource")
		return
	}
	p := PrivateEndpoint{
		ID: id, File: file, Location: n.get("location").text(),
		SubnetID: body.get("subnet").get("id").text(), Provisioning: body.get("provisioningState").text(),
	}
	for _, key := range []string{"privateLinkServiceConnections", "manualPrivateLinkServiceConnections"} {
		for _, connection := range body.get(key).list() {
			b := connection.body()
			p.Connections = addNew(p.Connections, Connection{
				TargetID: b.get("privateLinkServiceId").text(),
				Alias:    b.get("privateLinkServiceAlias").text(), Groups: b.get("groupIds").texts(),
				Status: b.get("privateLinkServiceConnectionState").get("status").text(),
			})
		}
	}
	for _, nic := range body.get("networkInterfaces").list() {
		nicID := nic.get("id").text()
		p.InterfaceIDs = addTo(p.InterfaceIDs, nicID)
		if inner := nic.body(); inner.get("ipConfigurations").has() { // REST gives the whole interface when it is asked to expand it
			e.addInterface(interfaceOf(file, nicID, id, nic))
		}
	}
	for _, custom := range body.get("customDnsConfigs").list() {
		p.Names = addTo(p.Names, namedAt(custom.get("fqdn").text(), custom.get("ipAddresses").addresses())...)
	}
	for _, config := range body.get("ipConfigurations").list() {
		if addr, ok := config.body().get("privateIPAddress").address(); ok {
			p.Static = addTo(p.Static, addr)
		}
	}
	if n.err() == nil {
		e.addEndpoint(p)
	}
}

// namedAt pairs a name with its addresses.
func namedAt(name string, addrs []netip.Addr) []NamedAddress {
	pairs := make([]NamedAddress, len(addrs))
	for i, addr := range addrs {
		pairs[i] = NamedAddress{name, addr}
	}
	return pairs
}

// readNIC reads a network interface. It is false for those of something else than
// a private endpoint.
func (e *Export) readNIC(file string, n node) bool {
	id := n.get("id").text()
	owner := n.body().get("privateEndpoint").get("id").text()
	of := func(config node) bool { return config.body().get("privateLinkConnectionProperties").has() }
	if owner == "" && !slices.ContainsFunc(n.body().get("ipConfigurations").list(), of) {
		e.strange++
		if n.err() == nil && id != "" {
			e.strangers[strings.ToLower(id)] = interfaceOf(file, id, "", n)
		}
		return false
	}
	read := interfaceOf(file, id, owner, n)
	if id == "" && owner == "" {
		read.ID = e.serial(file)
	}
	if n.err() == nil {
		e.addInterface(read)
	}
	return true
}

// interfaceOf reads the configurations of a network interface.
func interfaceOf(file, id, owner string, n node) Interface {
	read := Interface{ID: id, EndpointID: owner, Location: n.get("location").text(), File: file}
	for _, config := range n.body().get("ipConfigurations").list() {
		b := config.body()
		if subnet := b.get("subnet").get("id").text(); read.SubnetID == "" {
			read.SubnetID = subnet
		}
		addr, ok := b.get("privateIPAddress").address()
		if !ok {
			continue
		}
		link := b.get("privateLinkConnectionProperties")
		read.Configurations = addNew(read.Configurations, IPConfiguration{
			Address: addr, Group: link.get("groupId").text(),
			Member: link.get("requiredMemberName").text(), Names: link.get("fqdns").texts(),
		})
	}
	return read
}

// readGroup reads a DNS zone group. Its id tells the endpoint that it belongs to.
func (e *Export) readGroup(file string, n node) {
	read := ZoneGroup{ID: n.get("id").text(), File: file}
	if owner, _, within := cutFold(read.ID, "/privateDnsZoneGroups/"); within {
		read.EndpointID = owner
	}
	for _, config := range n.body().get("privateDnsZoneConfigs").list() {
		b := config.body()
		z := GroupZone{ZoneID: b.get("privateDnsZoneId").text()}
		for _, set := range b.get("recordSets").list() {
			name := set.get("fqdn").text()
			if name == "" {
				name = ownerName(set.get("recordSetName").text(), part(z.ZoneID, "privateDnsZones"))
			}
			z.Records = addTo(z.Records, namedAt(name, set.get("ipAddresses").addresses())...)
		}
		read.Zones = addNew(read.Zones, z)
	}
	if n.err() == nil {
		e.addGroup(read)
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
	case zone == "" || record == "":
		return ""
	case record == "@":
		return zone
	}
	return record + "." + zone
}

// zoneIDOf is the id of the zone that a record set or a link is in.
func zoneIDOf(id string) string {
	before, after, found := cutFold(id, "/privateDnsZones/")
	if !found {
		return ""
	}
	zone, _, _ := strings.Cut(after, "/")
	return before + id[len(before):len(id)-len(after)] + zone
}

// readRecordSet reads a record set of a private zone.
func (e *Export) readRecordSet(file string, n node) {
	body, id := n.body(), n.get("id").text()
	read := Record{
		ID: id, ZoneID: zoneIDOf(id), Zone: ZoneName(id), Name: strings.TrimSuffix(body.get("fqdn").text(), "."), File: file,
		AutoRegistered: body.get("isAutoRegistered").truth(), Creator: creatorOf(body.get("metadata")),
		Target: body.get("cnameRecord").get("cname").text(),
	}
	if read.Name == "" {
		read.Name = ownerName(n.get("name").text(), read.Zone)
	}
	for _, list := range []string{"aRecords", "aaaaRecords", "records"} {
		read.takeData(body.get(list))
	}
	if n.err() != nil {
		return
	}
	kind := strings.ToLower(n.get("type").text())
	if len(read.Addresses) == 0 && read.Target == "" && (strings.HasSuffix(kind, "/a") || strings.HasSuffix(kind, "/aaaa")) {
		e.lack(Gap{Reason: NoAddress, Resource: id, File: file},
			"%s: the export has no address for this record set: export it with all of its properties", plainID(id))
	}
	e.takeRecord(read)
}

// takeData reads the data of records, which tell their type by their one property.
func (r *Record) takeData(records node) {
	for _, record := range records.list() {
		for _, key := range []string{"ipv4Address", "ipv6Address"} {
			if addr, ok := record.get(key).address(); ok {
				r.Addresses = addTo(r.Addresses, addr)
			}
		}
		if target := record.get("cname").text(); target != "" {
			r.Target = target
		}
	}
}

// takeRecord adds a record set, if it tells its name.
func (e *Export) takeRecord(r Record) {
	if r.Name == "" {
		e.lack(Gap{Reason: NoName, Resource: r.ID, File: r.File},
			"%s: a record set that does not tell its name and its zone is left out: %s",
			plain(r.File), "export the record sets with all of their properties")
		return
	}
	e.addRecord(r)
}

// creatorOf is the name of the endpoint whose zone group wrote a record.
func creatorOf(metadata node) string {
	if _, is := metadata.value.(map[string]any); !is {
		return ""
	}
	rest, is := strings.CutPrefix(metadata.get("creator").anyText(), "created by private endpoint ")
	name, _, _ := strings.Cut(rest, " with resource guid ")
	if !is {
		return ""
	}
	return name
}

// readZone reads a private zone.
func (e *Export) readZone(file string, n node) {
	id := cmp.Or(n.get("id").text(), n.get("resourceId").text())
	name := strings.ToLower(n.get("name").text())
	if zone := ZoneName(id); zone != "" {
		name = zone
	}
	if n.err() == nil {
		e.addZone(PrivateZone{ID: id, Name: name, File: file})
	}
}

// readLink reads the link of a private zone to a VNet.
func (e *Export) readLink(file string, n node) {
	body := n.body()
	id := cmp.Or(n.get("id").text(), n.get("resourceId").text()) // the second is PowerShell's
	vnet := cmp.Or(body.get("virtualNetwork").get("id").text(), n.get("virtualNetworkId").text())
	if id == "" || vnet == "" {
		n.blame("the link of a private zone to a VNet, with both ids")
		return
	}
	link := VNetLink{
		ID: id, ZoneID: zoneIDOf(id), VNetID: vnet, File: file, Registration: body.get("registrationEnabled").truth(),
		Resolution: body.get("resolutionPolicy").anyText(), State: body.get("virtualNetworkLinkState").anyText(),
	}
	if n.err() == nil {
		e.addLink(link)
	}
}
