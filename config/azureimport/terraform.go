package azureimport

import (
	"encoding/json"
	"fmt"
	"strings"
)

// readTerraform reads "terraform show -json" or a state file of version 4. State
// holds secrets: what is not a resource of a needed type is stepped over, or let go
// once its type is seen.
func (e *Export) readTerraform(file string, j *jsonReader) error {
	return j.documents(func(token json.Token) error {
		if token != json.Delim('{') {
			return fmt.Errorf("it is no state: export it with \"terraform show -json\"; lists are exports of az, graph or arm")
		}
		known := false
		err := j.object(func(key string, value json.Token) error {
			here := &step{key: key}
			switch key {
			case "values":
				known = true
				return e.readShown(file, j, here, value)
			case "resources":
				known = true
				return j.elements(here, value, func(n node) error { return e.readStateResource(file, n) })
			case "format_version", "terraform_version", "version":
				known = true
			case "planned_values":
				return fmt.Errorf("it is a plan: export the state, with \"terraform show -json\" and no file of a plan")
			}
			if looks := kindOfKey(key); looks != "" && looks != Terraform {
				return wrongKind(looks)
			}
			return j.skip(value)
		})
		if err == nil && !known {
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
				return e.readTerraformResource(file, n, n.get("type").text(), n.get("values"))
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
		return &shapeError{path, "an object"}
	}
	return j.object(member)
}

// readStateResource reads a resource of a state file: its instances, but for those
// that are only there to be destroyed.
func (e *Export) readStateResource(file string, n node) error {
	kind := n.get("type").text()
	if !isNeeded(kind) {
		e.strange++
		return n.err()
	}
	for _, instance := range n.get("instances").list() {
		if instance.get("deposed").has() {
			continue
		}
		if err := e.readTerraformResource(file, n, kind, instance.get("attributes")); err != nil {
			return err
		}
	}
	return n.err()
}

// isNeeded tells whether a resource type holds endpoints.
func isNeeded(kind string) bool {
	switch kind {
	case "azurerm_private_endpoint", "azurerm_private_dns_a_record", "azurerm_private_dns_aaaa_record",
		"azurerm_private_dns_cname_record":
		return true
	}
	return false
}

// readTerraformResource reads the attributes of a resource.
func (e *Export) readTerraformResource(file string, n node, kind string, values node) error {
	switch {
	case n.err() != nil:
		return n.err()
	case !isNeeded(kind):
		e.strange++
		return nil
	case kind == "azurerm_private_endpoint":
		e.readTerraformEndpoint(file, values)
	default:
		e.readTerraformRecord(file, values)
	}
	if err := n.err(); err != nil {
		return err
	}
	e.progress(file)
	return nil
}

// readTerraformEndpoint reads a private endpoint. Its connection says nothing of an
// approval, and gives only the first of its addresses.
func (e *Export) readTerraformEndpoint(file string, values node) {
	id := values.get("id").text()
	if id == "" {
		return // planned, and not there yet
	}
	p := e.resource(id, file)
	p.isPE, p.label = true, labelOf(id, "privateEndpoints")
	p.subnet, p.location = values.get("subnet_id").text(), values.get("location").text()
	for _, connection := range values.get("private_service_connection").list() {
		p.addLink(link{target: connection.get("private_connection_resource_id").text(), groups: connection.get("subresource_names").texts()})
		if connection.get("is_manual_connection").truth() {
			e.note("%s: its connection is approved by hand, and the state does not say whether it is: taken as approved", p.label)
		}
		if addr, ok := connection.get("private_ip_address").address(); ok {
			p.first = union(p.first[:min(len(p.first), maxFacts)], addr)
		}
	}
	for _, config := range values.get("private_dns_zone_configs").list() {
		for _, set := range config.get("record_sets").list() {
			e.say(p, byGroup, set.get("fqdn").text(), set.get("ip_addresses").addresses()...)
		}
	}
	for _, custom := range values.get("custom_dns_configs").list() {
		e.say(p, byCustom, custom.get("fqdn").text(), custom.get("ip_addresses").addresses()...)
	}
	for _, config := range values.get("ip_configuration").list() {
		if addr, ok := config.get("private_ip_address").address(); ok {
			p.addLoose(addr)
		}
	}
}

// readTerraformRecord reads a record of a private zone.
func (e *Export) readTerraformRecord(file string, values node) {
	name := strings.TrimSuffix(values.get("fqdn").text(), ".")
	if name == "" {
		name = ownerName(values.get("name").text(), values.get("zone_name").text())
	}
	if name == "" {
		return
	}
	p := e.endpoint("record "+values.get("resource_group_name").text()+" "+name, file)
	p.record, p.label = values.get("id").text(), labelOf(values.get("id").text(), "privateDnsZones")
	e.say(p, byGroup, name, values.get("records").addresses()...)
	if target := values.get("record").text(); target != "" {
		e.addAlias(p, name, target)
	}
}
