package azureimport

import (
	"encoding/json"
	"errors"
	"strings"
)

// readPulumi reads what "pulumi stack export" writes: the resources of a deployment,
// of the providers azure-native and azure. Its outputs are those of ARM, or of the
// Terraform provider, in camel case.
func (e *Export) readPulumi(file string, j *jsonReader) error {
	return j.documents(func(token json.Token) error {
		if token != json.Delim('{') {
			return errors.New("it is no stack of Pulumi: export it with \"pulumi stack export\"")
		}
		known := false
		err := j.object(func(key string, value json.Token) error {
			here := &step{key: key}
			if key == "deployment" {
				known = true
				return j.members(here, value, func(key string, inner json.Token) error {
					if key == "resources" {
						return j.elements(&step{up: here, key: key}, inner, func(n node) error { return e.readPulumiResource(file, n) })
					}
					return j.skip(inner)
				})
			}
			if looks := kindOfKey(key); looks != "" {
				return wrongKind(looks)
			}
			return j.skip(value)
		})
		if err == nil && !known {
			return errors.New("it is no stack of Pulumi: export it with \"pulumi stack export\"")
		}
		return err
	})
}

// armType is the type of ARM that a type of azure-native is made of; empty for those
// that are not read.
func armType(token string) string {
	provider, rest, _ := strings.Cut(strings.ToLower(token), ":")
	module, name, _ := strings.Cut(rest, ":")
	module, _, _ = strings.Cut(module, "/") // a version
	if provider != "azure-native" || module != "network" && module != "privatedns" {
		return ""
	}
	switch name {
	case "privateendpoint":
		return typeEndpoint
	case "networkinterface":
		return typeNIC
	case "privatednszonegroup":
		return typeGroup
	case "privaterecordset":
		return typeRecord + "a"
	case "privatezone":
		return typeZone
	case "virtualnetworklink":
		return typeLink
	}
	return ""
}

// terraformType is the type of the Terraform provider that a type of the provider
// azure is made of; empty for those that are not read.
func terraformType(token string) string {
	switch strings.ToLower(token) {
	case "azure:privatelink/endpoint:endpoint":
		return "azurerm_private_endpoint"
	case "azure:privatedns/arecord:arecord":
		return "azurerm_private_dns_a_record"
	case "azure:privatedns/aaaarecord:aaaarecord":
		return "azurerm_private_dns_aaaa_record"
	case "azure:privatedns/cnamerecord:cnamerecord":
		return "azurerm_private_dns_cname_record"
	case "azure:privatedns/zone:zone":
		return "azurerm_private_dns_zone"
	case "azure:privatedns/zonevirtualnetworklink:zonevirtualnetworklink":
		return "azurerm_private_dns_zone_virtual_network_link"
	}
	return ""
}

// secretKey is the key by which Pulumi marks a secret.
const secretKey = "4dabf18193072939515e22adb298388d"

// revealed is a value of which the secrets that are in the clear are what they stand
// for, as "pulumi stack export --show-secrets" writes them.
func revealed(value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = revealed(value[i])
		}
	case map[string]any:
		if text, is := value["plaintext"].(string); is && value[secretKey] != nil {
			return inner(newNode(text, nil)).value
		}
		for key := range value {
			value[key] = revealed(value[key])
		}
	}
	return value
}

// isEncrypted reports whether a value is a secret that is not in the clear.
func isEncrypted(value any) bool {
	object, is := value.(map[string]any)
	return is && object[secretKey] != nil && object["plaintext"] == nil
}

// readPulumiResource reads a resource of a stack, but for one that is only there to
// be deleted.
func (e *Export) readPulumiResource(file string, n node) error {
	token := n.get("type").text()
	if n.err() != nil || n.get("delete").truth() {
		return n.err()
	}
	outputs := n.get("outputs")
	outputs.value = revealed(outputs.value)
	if _, is := outputs.value.(map[string]any); !is && outputs.has() {
		outputs.blame("an object")
		return n.err()
	}
	address := n.get("urn").anyText()
	if kind := terraformType(token); kind != "" {
		return e.readTerraformResource(file, n, kind, address, outputs.with("id", n.get("id")))
	}
	kind := armType(token)
	if kind == "" {
		e.strangeResource(file, token, plainID(address), outputs)
		return n.err()
	}
	if kind == typeEndpoint && n.get("id").anyText() == "" {
		e.planned(file, address)
		return n.err()
	}
	resource := outputs.with("id", n.get("id"))
	resource = resource.with("type", node{value: kind, path: n.path, fault: n.fault})
	return e.readResource(file, resource)
}
