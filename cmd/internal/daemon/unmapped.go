package daemon

import (
	"pldns/resolver/admin"
	"pldns/resolver/observe"
	"pldns/zones"
	"pldns/zones/azure"
)

// unmappedNames are what the watch saw, as operators see it.
func unmappedNames(watch *observe.Unmapped, table *zones.Table, catalogue *azure.Catalogue) []admin.Leaks {
	all := make([]admin.Leaks, 0)
	for _, report := range watch.Report(table) {
		shown := admin.Leaks{Network: report.Network, Unmapped: []admin.Unmapped{}}
		for _, leak := range report.Leaks {
			u := admin.Unmapped{
				Name: leak.Private.String(), Private: leak.Private.String(), Asked: leak.Asked.String(),
				Count: leak.Count, First: leak.First, Last: leak.Last,
			}
			if public := catalogue.PublicNames(leak.Private); len(public) > 0 {
				u.Name = public[0].String()
			}
			if leak.Address.IsValid() {
				u.Address = leak.Address.String()
			}
			shown.Unmapped = append(shown.Unmapped, u)
		}
		all = append(all, shown)
	}
	return all
}
