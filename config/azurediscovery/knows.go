package azurediscovery

import (
	"sync"

	"pldns/config/azureimport"
	"pldns/zones"
	"pldns/zones/azure"
)

// Known is an endpoint that a listing holds, whichever network it is for, if any.
type Known struct {
	Resource string // its id
	// Why says on one line why nobody gets it; empty where a network whose VNets it is in
	// would.
	Why string
}

// knowledge is all endpoints of a listing by private name: made when somebody asks.
type knowledge struct {
	once sync.Once
	all  map[zones.Name]Known
}

// Knows tells whether the listing holds an endpoint with a private name, in whatever VNet
// it is. The first call takes as long as it takes to import the listing. It may be called
// by many goroutines at once.
func (v *View) Knows(private zones.Name) (Known, bool) {
	if v.listing == nil {
		return Known{}, false
	}
	v.knowledge.once.Do(func() { v.knowledge.all = knownIn(v.listing, v.catalogue) })
	known, is := v.knowledge.all[private]
	return known, is
}

func knownIn(l *Listing, catalogue *azure.Catalogue) map[zones.Name]Known {
	result := azureimport.FromInventory(Inventory(l), azureimport.Options{Catalogue: catalogue}).
		Networks(azureimport.Layout{Split: azureimport.Whole, Any: true, Unchecked: true})
	all := make(map[zones.Name]Known)
	privateOf := func(name zones.Name) zones.Name {
		if match, err := catalogue.Derive(name); err == nil {
			return match.Private
		}
		return name
	}
	for _, gap := range result.Gaps {
		for _, name := range gap.Names {
			all[privateOf(name)] = Known{Resource: gap.Resource, Why: gap.Text}
		}
	}
	for _, network := range result.Networks {
		for _, m := range network.Mappings {
			private := m.Private
			if private.IsZero() {
				private = privateOf(m.Name)
			}
			all[private] = Known{Resource: m.Resources()[0]}
		}
	}
	return all
}
