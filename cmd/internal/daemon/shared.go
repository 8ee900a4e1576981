package daemon

import (
	"slices"

	"pldns/config"
	"pldns/config/azurediscovery"
	"pldns/config/store"
)

// listed is a source that is listed: on this machine, or elsewhere in the fleet.
type listed struct {
	config.Azure
	here bool
}

// discoverer is what learns a source, and what it was made of.
type discoverer struct {
	*azurediscovery.Discoverer
	here  bool
	store *config.Store // by which it is shared; nil where it is not
}

// sourcesOf are the sources of a configuration: those that this machine lists, and those
// that a release has networks learn from, which others of the fleet list.
func sourcesOf(c *config.Config) (all []listed) {
	for _, a := range c.Azure {
		all = append(all, listed{a, true})
	}
	if !c.Store.Elects() {
		return all
	}
	for _, n := range c.Networks {
		if n.Azure == nil {
			continue
		}
		for _, name := range n.Azure.From {
			if !slices.ContainsFunc(all, func(a listed) bool { return a.Name == name }) {
				all = append(all, listed{config.Azure{Name: name, State: azurediscovery.PublishedState(*c.Store, name)}, false})
			}
		}
	}
	return all
}

// fleetOf is how a source is shared by the store of a fleet.
func fleetOf(settings config.Store, source string, s *Server) *store.Shared {
	return &store.Shared{
		Settings: settings, Name: source, Log: s.log,
		Options: storeOptions(settings, func() reach { return s.now().reach("") }),
	}
}
