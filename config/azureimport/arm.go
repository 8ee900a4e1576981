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

// isDeployment tells whether a resource is a deployment, which has outputs.
func isDeployment(n node) bool {
	if strings.EqualFold(n.get("type").anyText(), "Microsoft.Resources/deployments") {
		return true
	}
	if properties := n.get("properties"); properties.isObject() {
		return properties.get("outputResources").has() || areOutputs(properties.get("outputs"))
	}
	return areOutputs(n.get("outputs")) || areOutputs(n)
}

// areOutputs tells whether a value is the outputs of a deployment, as they also stand
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

// readDeployment reads the outputs of a deployment, as "az deployment group show"
// gives them: outputs that are private endpoints or what belongs to them, and the
// ids of all that was deployed, which tell the endpoints that no output holds.
func (e *Export) readDeployment(file string, n node) error {
	body := n.body()
	outputs := body.get("outputs")
	if areOutputs(n) {
		outputs = n
	}
	if values, is := outputs.value.(map[string]any); is {
		if id, ok := endpointOutput(outputs); ok {
			e.readEndpointOutputs(file, id, outputs)
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if err := e.readOutput(file, outputs.get(key).get("value")); err != nil {
				return err
			}
		}
	}
	s := seeker{export: e, file: file, from: plainID("deployment " + n.get("name").anyText())}
	for _, key := range []string{"outputResources", "resources"} {
		s.value(body.get(key).value)
	}
	s.value(outputs.value)
	e.strange++
	return n.err()
}

// readOutput reads the value of an output, if it is a resource or a list of some.
func (e *Export) readOutput(file string, value node) error {
	if _, is := value.value.([]any); is {
		for _, element := range value.list() {
			if err := e.readOutput(file, element); err != nil {
				return err
			}
		}
		return nil
	}
	if _, is := value.value.(map[string]any); !is {
		return nil
	}
	kind := strings.ToLower(value.get("type").anyText())
	shape := shapeOf(value)
	if isRead := kind == typeEndpoint || kind == typeNIC || kind == typeGroup || strings.HasPrefix(kind, typeZone); isRead || shape != "" {
		fresh := newNode(value.value, value.path)
		if fresh.get("id").has() || !isRead && shape != typeEndpoint {
			return e.readResource(file, fresh)
		}
	}
	return nil
}

// endpointOutput finds the id of the one endpoint that the outputs of a module tell
// of, as Microsoft's verified module for endpoints does.
func endpointOutput(outputs node) (id string, ok bool) {
	for _, key := range []string{"resourceId", "id", "privateEndpointId", "privateEndpointResourceId"} {
		text := outputs.get(key).get("value").anyText()
		if strings.Contains(strings.ToLower(text), endpointPath) {
			return text, true
		}
	}
	return "", false
}

// readEndpointOutputs reads an endpoint whose properties are outputs of their own.
func (e *Export) readEndpointOutputs(file, id string, outputs node) {
	p := PrivateEndpoint{ID: id, File: file, Location: outputs.get("location").get("value").anyText()}
	for _, key := range []string{"customDnsConfigs", "customDnsConfig"} {
		for _, custom := range outputs.get(key).get("value").list() {
			p.Names = addTo(p.Names, namedAt(custom.get("fqdn").text(), custom.get("ipAddresses").addresses())...)
		}
	}
	for _, nic := range outputs.get("networkInterfaceResourceIds").get("value").texts() {
		p.InterfaceIDs = addTo(p.InterfaceIDs, nic)
	}
	if group := outputs.get("groupId").get("value").anyText(); group != "" {
		p.Connections = append(p.Connections, Connection{Groups: []string{group}})
	}
	if outputs.err() == nil {
		e.addEndpoint(p)
		e.progress(file)
	}
}
