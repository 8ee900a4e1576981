package azureimport

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// readTerraform reads "terraform show -json" of a state or a plan, or a state file of
// version 4; OpenTofu's are the same. State holds secrets: what is not a resource of
// a needed type is stepped over, or let go once its type is seen.
func (e *Export) readTerraform(file string, j *jsonReader) error {
	return j.documents(func(token json.Token) error {
		if token != json.Delim('{') {
			return fmt.Errorf("it is no state: export it with \"terraform show -json\"; lists are exports of az, graph or arm")
		}
		known := false
		version := ""
		err := j.object(func(key string, value json.Token) error {
			here := &step{key: key}
			switch key {
			case "values":
				known = true
				return e.readShown(file, j, here, value)
			case "prior_state":
				known = true
				e.notes.add("%s is a plan: what exists is taken from its prior state", plain(file))
				return j.members(here, value, func(key string, inner json.Token) error {
					if key == "values" {
						return e.readShown(file, j, &step{up: here, key: key}, inner)
					}
					return j.skip(inner)
				})
			case "resource_changes":
				known = true
				return j.elements(here, value, func(n node) error { return e.readChange(file, n) })
			case "resources":
				known = true
				return j.elements(here, value, func(n node) error { return e.readStateResource(file, n) })
			case "format_version", "terraform_version":
				known = true
			case "version":
				known = true
				version = fmt.Sprint(value)
			}
			if looks := kindOfKey(key); looks != "" && looks != Terraform {
				return wrongKind(looks)
			}
			if err := foreignForm(key); err != nil {
				return err
			}
			return j.skip(value)
		})
		switch {
		case err == nil && version != "" && version != "4":
			return fmt.Errorf("it is a Terraform state of version %s, which only old releases write: "+
				"export it with \"terraform show -json\" of a newer one", plain(version))
		case err == nil && !known:
			return fmt.Errorf("it is no state of Terraform: export it with \"terraform show -json\"")
		}
		return err
	})
}

// readShown reads the values of a state: the root module.
func (e *Export) readShown(file string, j *jsonReader, path *step, token json.Token) error {
	return j.members(path, token, func(key string, value json.Token) error {
		if key == "root_module" {
			return e.readModule(file, j, &step{up: path, key: key}, value)
		}
		return j.skip(value)
	})
}

// readModule reads a module and those below it.
func (e *Export) readModule(file string, j *jsonReader, path *step, token json.Token) error {
	return j.members(path, token, func(key string, value json.Token) error {
		here := &step{up: path, key: key}
		switch {
		case key == "resources":
			return j.elements(here, value, func(n node) error {
				return e.readTerraformResource(file, n, n.get("type").text(), n.get("address").anyText(), n.get("values"))
			})
		case key == "child_modules" && value == json.Delim('['):
			index := 0
			return j.list(func(child json.Token) error {
				index++
				return e.readModule(file, j, &step{up: here, index: index - 1}, child)
			})
		}
		return j.skip(value)
	})
}

// members walks an object, if the value is one.
func (j *jsonReader) members(path *step, token json.Token, member func(string, json.Token) error) error {
	if token == nil {
		return nil
	}
	if token != json.Delim('{') {
		return &shapeError{path: path, want: "an object"}
	}
	return j.object(member)
}

// readStateResource reads a resource of a state file: its instances, but for those
// that are only there to be destroyed.
func (e *Export) readStateResource(file string, n node) error {
	kind := n.get("type").text()
	what := strings.Trim(n.get("module").anyText()+"."+kind+"."+n.get("name").anyText(), ".")
	for _, instance := range n.get("instances").list() {
		if instance.get("deposed").has() {
			continue
		}
		if err := e.readTerraformResource(file, n, kind, what, instance.get("attributes")); err != nil {
			return err
		}
	}
	return n.err()
}

// readChange notes an endpoint that a plan makes: it is not there yet.
func (e *Export) readChange(file string, n node) error {
	change := n.get("change")
	kind := strings.ToLower(n.get("type").text())
	if kind == "azapi_resource" {
		kind, _, _ = strings.Cut(strings.ToLower(change.get("after").get("type").anyText()), "@")
	}
	if (kind == "azurerm_private_endpoint" || kind == typeEndpoint) && slices.Contains(change.get("actions").texts(), "create") {
		what := plainID(n.get("address").anyText())
		e.lack(Gap{Reason: Planned, Resource: what, File: file},
			"%s: it is planned, and not there yet: left out; export the state again when it is applied", what)
	}
	return n.err()
}

// planned notes an endpoint of which a state knows no id.
func (e *Export) planned(file, address string) {
	e.strange++
	address = plainID(address)
	e.lack(Gap{Reason: Planned, Resource: address, File: file},
		"%s: the export has no id for it, as when it is not there yet: left out", address)
}

// readTerraformResource reads the attributes of a resource. Its address in the state
// stands for it in messages.
func (e *Export) readTerraformResource(file string, n node, kind, address string, values node) error {
	if n.err() != nil {
		return n.err()
	}
	used := true
	switch kind {
	case "azurerm_private_endpoint", "azurerm_private_endpoint_connection":
		used = e.readTerraformEndpoint(file, plainID(address), values)
	case "azurerm_private_dns_a_record", "azurerm_private_dns_aaaa_record", "azurerm_private_dns_cname_record":
		e.readTerraformRecord(file, values)
	case "azurerm_private_dns_zone":
		e.readZone(file, values)
	case "azurerm_private_dns_zone_virtual_network_link":
		e.readTerraformLink(file, values)
	case "azurerm_network_interface":
		used = false
		e.readTerraformInterface(file, values)
	case "azapi_resource", "azapi_update_resource", "azapi_resource_list":
		return e.readAzAPI(file, n, address, values)
	default:
		used = false
		e.strangeResource(file, kind, plainID(address), values)
	}
	if err := n.err(); err != nil {
		return err
	}
	if used {
		e.progress(file)
	}
	return nil
}

// readTerraformEndpoint reads a private endpoint, or the data source that tells of
// one. The connection of the first says nothing of an approval, and gives only the
// first of its addresses. It is false for one that is not there yet.
func (e *Export) readTerraformEndpoint(file, address string, values node) bool {
	id := values.get("id").text()
	if !strings.Contains(strings.ToLower(id), "/privateendpoints/") {
		e.planned(file, address)
		return false
	}
	p := PrivateEndpoint{ID: id, File: file, SubnetID: values.get("subnet_id").text(), Location: values.get("location").text()}
	for _, connection := range values.get("private_service_connection").listOrOne() {
		c := Connection{
			TargetID: connection.get("private_connection_resource_id").text(),
			Alias:    connection.get("private_connection_resource_alias").text(),
			Groups:   connection.get("subresource_names").texts(), Status: connection.get("status").text(),
		}
		p.Connections = addNew(p.Connections, c)
		p.Manual = p.Manual || connection.get("is_manual_connection").truth() && c.Status == ""
		if addr, ok := connection.get("private_ip_address").address(); ok {
			p.First = addTo(p.First, addr)
		}
	}
	for _, nic := range values.get("network_interface").listOrOne() {
		p.InterfaceIDs = addTo(p.InterfaceIDs, nic.get("id").text())
	}
	for _, custom := range values.get("custom_dns_configs").listOrOne() {
		p.Names = addTo(p.Names, namedAt(custom.get("fqdn").text(), custom.get("ip_addresses").addresses())...)
	}
	for _, config := range values.get("ip_configuration").listOrOne() {
		if addr, ok := config.get("private_ip_address").address(); ok {
			p.Static = addTo(p.Static, addr)
		}
	}
	group := terraformGroup(file, id, values)
	if values.err() != nil {
		return true
	}
	e.addEndpoint(p)
	if len(group.Zones) > 0 {
		e.addGroup(group)
	}
	return true
}

// readTerraformInterface keeps the addresses of an interface, which says nothing of
// names: it may be that of an endpoint.
func (e *Export) readTerraformInterface(file string, values node) {
	e.strange++
	read := Interface{ID: values.get("id").text(), Location: values.get("location").text(), File: file}
	for _, config := range values.get("ip_configuration").listOrOne() {
		if addr, ok := config.get("private_ip_address").address(); ok {
			read.Configurations = addNew(read.Configurations, IPConfiguration{Address: addr})
		}
	}
	if values.err() == nil && read.ID != "" {
		e.strangers[strings.ToLower(read.ID)] = read
	}
}

// terraformGroup is the DNS zone group of an endpoint.
func terraformGroup(file, id string, values node) ZoneGroup {
	g := ZoneGroup{EndpointID: id, File: file}
	for _, group := range values.get("private_dns_zone_group").listOrOne() {
		g.ID = group.get("id").text()
		for _, zone := range group.get("private_dns_zone_ids").texts() {
			g.Zones = addNew(g.Zones, GroupZone{ZoneID: zone})
		}
	}
	for _, config := range values.get("private_dns_zone_configs").listOrOne() {
		z := GroupZone{ZoneID: config.get("private_dns_zone_id").text()}
		for _, set := range config.get("record_sets").listOrOne() {
			z.Records = addTo(z.Records, namedAt(set.get("fqdn").text(), set.get("ip_addresses").addresses())...)
		}
		g.Zones = addNew(g.Zones, z)
	}
	return g
}

// readTerraformRecord reads a record of a private zone.
func (e *Export) readTerraformRecord(file string, values node) {
	id := values.get("id").text()
	read := Record{
		ID: id, ZoneID: zoneIDOf(id), Zone: strings.ToLower(values.get("zone_name").text()), File: file,
		Name: strings.TrimSuffix(values.get("fqdn").text(), "."), Target: values.get("record").text(),
		Addresses: values.get("records").addresses(),
	}
	if read.Zone == "" {
		read.Zone = ZoneName(id)
	}
	if read.Name == "" {
		read.Name = ownerName(values.get("name").text(), read.Zone)
	}
	if values.err() == nil {
		e.takeRecord(read)
	}
}

// readTerraformLink reads the link of a private zone to a VNet.
func (e *Export) readTerraformLink(file string, values node) {
	id := values.get("id").text()
	link := VNetLink{
		ID: id, ZoneID: zoneIDOf(id), VNetID: values.get("virtual_network_id").text(), File: file,
		Registration: values.get("registration_enabled").truth(), Resolution: values.get("resolution_policy").anyText(),
	}
	if values.err() == nil && id != "" {
		e.addLink(link)
	}
}
