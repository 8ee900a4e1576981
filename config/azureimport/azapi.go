package azureimport

import (
	"encoding/json"
	"strings"
)

// readAzAPI reads what the azapi provider holds: a resource as ARM has it, of which
// "body" is what was asked for and "output" what Azure answered. Both are objects in
// version 2 of the provider and texts in version 1.
func (e *Export) readAzAPI(file string, n node, address string, values node) error {
	kind, _, _ := strings.Cut(values.get("type").text(), "@")
	body, output := inner(values.get("body")), inner(values.get("output"))
	if list := output.get("value"); list.has() { // of the list data source
		for _, element := range list.list() {
			if err := e.readResource(file, newNode(element.value, element.path)); err != nil {
				return err
			}
		}
		return n.err()
	}
	if n.err() != nil {
		return n.err()
	}
	id := values.get("id").text()
	if id == "" {
		id = values.get("resource_id").text()
	}
	resource := map[string]any{"id": id, "type": kind, "name": values.get("name").anyText()}
	for _, key := range []string{"location"} {
		for _, from := range []node{values, body, output} {
			if value := from.get(key); value.has() {
				resource[key] = value.value
			}
		}
	}
	properties := make(map[string]any)
	for _, from := range []node{body.get("properties"), output.get("properties")} {
		members, _ := from.value.(map[string]any)
		for key, value := range members {
			properties[key] = value
		}
	}
	resource["properties"] = properties
	if id == "" && strings.EqualFold(kind, typeEndpoint) {
		e.planned(file, address)
		return n.err()
	}
	return e.readResource(file, newNode(resource, values.path))
}

// inner is a value that may be written as a text of JSON.
func inner(n node) node {
	text, is := n.value.(string)
	if !is {
		return n
	}
	n.value = nil
	if strings.TrimSpace(text) == "" {
		return n
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		n.value = text
		n.blame("an object, or one that is written as a text")
		return n
	}
	n.value = value
	return n
}
