package azureimport

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// readARM reads answers of Azure Resource Manager: a list wrapped as "value", a bare
// list, a single resource or a deployment. Several may follow each other.
func (e *Export) readARM(file string, j *jsonReader) error {
	read := func(path *step, token json.Token) error {
		return j.elements(path, token, func(n node) error { return e.readResource(file, n) })
	}
	return j.documents(func(token json.Token) error {
		if token == json.Delim('[') {
			return read(nil, token)
		}
		return e.readWhole(file, j, ARM, token, wrapped{"value": read}, new(page))
	})
}

// isDeployment reports whether a resource is a deployment, which has outputs.
func isDeployment(n node) bool {
	if strings.EqualFold(n.get("type").anyText(), "Microsoft.Resources/deployments") {
		return true
	}
	if properties := n.get("properties"); properties.isObject() {
		return properties.get("outputResources").has() || areOutputs(properties.get("outputs"))
	}
	return areOutputs(n.get("outputs")) || areOutputs(n)
}

// areOutputs reports whether a value is the outputs of a deployment, as they also stand
// alone where somebody asks for nothing else: each has a type and a value.
func areOutputs(n node) bool {
	members, is := n.value.(map[string]any)
	for _, value := range members {
		output, fits := value.(map[string]any)
		if !fits {
			return false
		}
		_, hasValue := memberOfObject(output, "value")
		_, hasType := memberOfObject(output, "type")
		if !hasValue || !hasType {
			return false
		}
	}
	return is && len(members) > 0
}

// maxOutputDepth is how deep an endpoint may stand in an output.
const maxOutputDepth = 6

// readDeployment reads the outputs of a deployment, as "az deployment group show"
// gives them: what of them is a private endpoint or belongs to one, and the ids of
// all that was deployed, which tell the endpoints that no output holds.
func (e *Export) readDeployment(file string, n node) error {
	body := n.body()
	outputs := body.get("outputs")
	if areOutputs(n) {
		outputs = n
	}
	values := make(map[string]any)
	members, _ := outputs.value.(map[string]any)
	for key := range members {
		values[key] = outputs.get(key).get("value").value
	}
	if err := e.readOutput(file, newNode(values, outputs.path), 0); err != nil {
		return err
	}
	s := seeker{export: e, file: file, from: plainID("deployment " + n.get("name").anyText())}
	for _, key := range []string{"outputResources", "resources"} {
		s.value(body.get(key).value)
	}
	s.value(values)
	e.strange++
	return n.err()
}

// readOutput reads what of an output is a resource, or an endpoint as modules give
// it, at any depth.
func (e *Export) readOutput(file string, value node, depth int) error {
	if depth > maxOutputDepth {
		return nil
	}
	switch inner := value.value.(type) {
	case []any:
		for _, element := range value.list() {
			if err := e.readOutput(file, newNode(element.value, element.path), depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		kind := strings.ToLower(value.get("type").anyText())
		isRead := kind == typeEndpoint || kind == typeNIC || kind == typeGroup || strings.HasPrefix(kind, typeZone) || shapeOf(value) != ""
		if id := value.get("id"); isRead && id.anyText() != "" {
			return e.readResource(file, newNode(value.value, value.path))
		}
		if id, ok := endpointID(value); ok && (value.get("customDnsConfigs").has() || value.get("customDnsConfig").has()) {
			return e.readModuleEndpoint(file, id, newNode(value.value, value.path))
		}
		for _, key := range slices.Sorted(maps.Keys(inner)) {
			if err := e.readOutput(file, value.get(key), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// endpointID finds the id of the endpoint that an object of a module is about, as
// Microsoft's verified modules give it.
func endpointID(object node) (id string, ok bool) {
	for _, key := range []string{"resourceId", "id", "privateEndpointId", "privateEndpointResourceId"} {
		text := object.get(key).anyText()
		if strings.Contains(strings.ToLower(text), endpointPath) {
			return text, true
		}
	}
	return "", false
}

// readModuleEndpoint reads an endpoint as modules give it: its id, its names and its
// interfaces beside each other.
func (e *Export) readModuleEndpoint(file, id string, object node) error {
	p := PrivateEndpoint{ID: id, File: file, Location: object.get("location").anyText()}
	for _, key := range []string{"customDnsConfigs", "customDnsConfig"} {
		for _, custom := range object.get(key).list() {
			p.Names = addTo(p.Names, namedAt(custom.get("fqdn").text(), custom.get("ipAddresses").addresses())...)
		}
	}
	for _, nic := range object.get("networkInterfaceResourceIds").texts() {
		p.InterfaceIDs = addTo(p.InterfaceIDs, nic)
	}
	if group := object.get("groupId").anyText(); group != "" {
		p.Connections = append(p.Connections, Connection{Groups: []string{group}})
	}
	if err := object.err(); err != nil {
		return err
	}
	e.addEndpoint(p)
	e.progress(file)
	return nil
}
