package azurediscovery

import (
	"net/netip"
	"slices"
	"strings"

	"pldns/config/azureimport"
	"pldns/zones"
)

// written are the records that zone groups wrote for endpoints of which the interface
// does not tell everything: no name at all, as with the API server of a private AKS
// cluster, or one whose private name cannot be derived, as with the online endpoints of
// a machine learning workspace. Nothing else that can be listed tells it: Resource Graph
// has neither zone groups nor the requiredZoneNames of private link resources.
//
// A record gives the endpoint that wrote it by its name alone. So it counts where it
// leads to addresses of that endpoint, and no other endpoint of the listing has the same
// name and address, as in a copy of an estate.
func (d *deriving) written(interfaces []azureimport.Interface) []azureimport.Record {
	asked := make(map[string]bool) // endpoints, by id in lower case
	for i := range interfaces {
		if d.tellsLess(&interfaces[i]) {
			asked[strings.ToLower(interfaces[i].EndpointID)] = true
		}
	}
	if len(asked) == 0 {
		return nil
	}
	type writer struct {
		name string
		addr netip.Addr
	}
	owners := make(map[writer]string) // endpoints by id in lower case, empty where there are several
	for _, row := range d.rows(KindInterface) {
		id := strings.ToLower(row.Interface.EndpointID)
		for _, c := range row.Interface.Configurations {
			w := writer{id[strings.LastIndexByte(id, '/')+1:], c.Address}
			if owner, known := owners[w]; known && owner != id {
				owners[w] = ""
				continue
			}
			owners[w] = id
		}
	}
	var records []azureimport.Record
	for _, row := range d.rows(KindRecord) {
		zone, err := zones.ParseName(azureimport.ZoneName(row.Record.ZoneID))
		if err != nil || !d.isPrivatelink(zone) || len(row.Record.Addresses) == 0 {
			continue
		}
		creator := strings.ToLower(row.Record.Creator)
		elsewhere := func(addr netip.Addr) bool { return !asked[owners[writer{creator, addr}]] }
		if !slices.ContainsFunc(row.Record.Addresses, elsewhere) {
			records = append(records, *row.Record)
		}
	}
	return records
}

// tellsLess reports whether an interface leaves out what is needed: a name of one of its
// addresses, or the private name of one that is known.
func (d *deriving) tellsLess(n *azureimport.Interface) bool {
	return slices.ContainsFunc(n.Configurations, func(c azureimport.IPConfiguration) bool {
		return len(c.Names) == 0 || slices.ContainsFunc(c.Names, func(text string) bool {
			name, err := zones.ParseName(text)
			if err != nil {
				return false
			}
			if _, private := d.catalogue.ZoneOf(name); private {
				return false
			}
			_, err = d.catalogue.Derive(name)
			return err != nil
		})
	})
}
