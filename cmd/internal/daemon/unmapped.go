package daemon

import (
	"pldns/resolver/admin"
	"pldns/resolver/observe"
	"pldns/zones"
	"pldns/zones/azure"
)

// unmappedNames are what the watch saw, as operators see it.
func unmappedNames(watch *observe.Unmapped, table *zones.Table, catalogue *azure.Catalogue) []admin.Unmapped {
	all := make([]admin.Unmapped, 0)
	for _, report := range watch.Report(table) {
		shown := admin.Unmapped{Network: report.Network, Unmapped: []admin.UnmappedName{}}
		for _, seen := range report.Names {
			u := admin.UnmappedName{
				Name: seen.Private.String(), Private: seen.Private.String(), Asked: seen.Asked.String(),
				Count: seen.Count, First: seen.First, Last: seen.Last,
			}
			if public := catalogue.PublicNames(seen.Private); len(public) > 0 {
				u.Name = public[0].String()
			}
			if seen.Address.IsValid() {
				u.Address = seen.Address.String()
			}
			shown.Unmapped = append(shown.Unmapped, u)
		}
		all = append(all, shown)
	}
	return all
}
