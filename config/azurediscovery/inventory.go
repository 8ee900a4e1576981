package azurediscovery

import (
	"maps"
	"slices"

	"pldns/config/azureimport"
)

// Inventory is what listings hold together, as an export would tell it, in a stable
// order. What two of them hold stands in it once. A row of which the shape is not known is
// a gap.
func Inventory(listings ...*Listing) azureimport.Inventory {
	rows, unread := make(map[string]*Row), make(map[string]string)
	for _, l := range listings {
		maps.Copy(rows, l.Rows)
		maps.Copy(unread, l.Unread)
	}
	var all azureimport.Inventory
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		switch row := rows[id]; row.Kind {
		case KindEndpoint:
			all.Endpoints = append(all.Endpoints, row.Endpoint.PrivateEndpoint)
		case KindInterface:
			all.Interfaces = append(all.Interfaces, *row.Interface)
		case KindLink:
			all.Links = append(all.Links, *row.Link)
		case KindRecord:
			all.Records = append(all.Records, *row.Record)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(unread)) {
		all.Gaps = append(all.Gaps, azureimport.Gap{Reason: azureimport.Unknown, Resource: id, Text: id + ": " + unread[id]})
	}
	return all
}

// VNets are those of a listing, by id in lower case. They must not be changed.
func (l *Listing) VNets() map[string]*VNet {
	all := make(map[string]*VNet)
	for id, row := range l.Rows {
		if row.Kind == KindVNet {
			all[id[len(KindVNet)+1:]] = row.VNet
		}
	}
	return all
}
