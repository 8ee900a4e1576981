package azureexport

import (
	"fmt"
	"slices"
)

// Kind is a form to write a plan in.
type Kind string

// The kinds.
const (
	Bicep     Kind = "bicep"     // private DNS zones of Azure, for az deployment group create
	Terraform Kind = "terraform" // the same, for the provider azurerm
	Hosts     Kind = "hosts"     // a hosts file
	RPZ       Kind = "rpz"       // a response policy zone, for BIND, Unbound, Knot and others
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{Bicep, Terraform, Hosts, RPZ} }

// ParseKind reads the name of a kind. The error lists those that there are.
func ParseKind(text string) (Kind, error) {
	if slices.Contains(Kinds(), Kind(text)) {
		return Kind(text), nil
	}
	return "", fmt.Errorf("%q is nothing that can be exported to: name one of bicep, terraform, hosts, rpz", text)
}

// maxResources is how many resources a template of Azure Resource Manager may have.
const maxResources = 800

// Render writes a plan, and gives what the operator should know of it. The error
// says why the kind cannot hold the plan.
func Render(kind Kind, plan *Plan) (text string, notes []string, err error) {
	switch kind {
	case Bicep:
		// Each zone has at least one link.
		if n := plan.Resources() + len(plan.Zones); n > maxResources {
			return "", nil, fmt.Errorf("network %s makes %d resources, and a Bicep file holds %d: export "+
				"single zones with --zone, or use terraform",
				plan.Network, n, maxResources)
		}
		return bicep(plan), slices.Concat(plan.Notes, plan.ZoneNotes), nil
	case Terraform:
		return terraform(plan), slices.Concat(plan.Notes, plan.ZoneNotes), nil
	case Hosts:
		text, notes = hosts(plan)
		return text, notes, nil
	default:
		return rpz(plan), plan.Notes, nil
	}
}
