package daemon

import (
	"pldns/resolver/admin"
	"pldns/resolver/observe"
	"pldns/zones"
)

// newUnmapped watches for names that should perhaps be mapped: those of the catalogue that
// is served.
func (s *Server) newUnmapped() *observe.Unmapped {
	return observe.NewUnmapped(observe.UnmappedConfig{Observer: s.recorder, Private: func(name zones.Name) bool {
		match, known := s.now().catalogue.ZoneOf(name)
		return known && match.Zone != name
	}})
}

// unmappedNames are what the watch saw, as operators see it.
func (s *Server) unmappedNames() []admin.Unmapped {
	now := s.now()
	all := make([]admin.Unmapped, 0)
	for _, report := range s.watch.Report(now.snapshot.Table()) {
		shown := admin.Unmapped{Network: report.Network, Unmapped: []admin.UnmappedName{}}
		for _, seen := range report.Names {
			u := admin.UnmappedName{
				Name: seen.Private.String(), Private: seen.Private.String(), Asked: seen.Asked.String(),
				Count: seen.Count, Clients: seen.Clients, First: seen.First, Last: seen.Last, Azure: now.learned.elsewhere(seen.Private),
			}
			if public := now.catalogue.PublicNames(seen.Private); len(public) > 0 {
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

// elsewhere is an endpoint in Azure that a source knows for a private name; nil where none
// does.
func (l *learning) elsewhere(private zones.Name) *admin.KnownEndpoint {
	for _, view := range l.views {
		if known, is := view.Knows(private); is {
			return &admin.KnownEndpoint{Source: view.Name(), Resource: known.Resource, Why: known.Why}
		}
	}
	return nil
}
