package clientconfig

import (
	"errors"
	"maps"
	"slices"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/zones"
	"pldns/zones/azure"
)

// Use is what a configuration has in use, sorted by name, each name once.
type Use struct {
	// Zones are what clients ask about: public zones of Azure, zones of the
	// operator, and names that are in none of them.
	Zones []Zone
	// Private are the privatelink zones that lead to the addresses and are not
	// among Zones.
	Private []zones.Name
	// Example is the first name that an endpoint is mapped under, for the reader to
	// test with; zero where there is none that can be asked for as it is.
	Example zones.Name
}

// Zone is one name that clients are to ask the resolver about. At least one of
// Below and Apex is set.
type Zone struct {
	Name  zones.Name
	Below bool // names below it are in use
	Apex  bool // the name itself is in use
}

// InUse finds what the networks have in use.
func InUse(networks []config.Network, catalogue *azure.Catalogue) Use {
	c := collector{catalogue: catalogue, zones: make(map[zones.Name]*Zone), private: make(map[zones.Name]bool)}
	for _, entry := range catalogue.Entries() {
		c.patterns = append(c.patterns, entry.PublicZones...)
	}
	for i := range networks {
		for endpoint := range networks[i].Endpoints() {
			c.endpoint(endpoint.Endpoint)
		}
		for _, zone := range networks[i].Zones {
			c.operators(zone)
		}
	}
	return c.use()
}

// collector gathers what is in use.
type collector struct {
	catalogue *azure.Catalogue
	patterns  []string // the public zones of all rows
	zones     map[zones.Name]*Zone
	private   map[zones.Name]bool
	example   zones.Name
}

func (c *collector) add(name zones.Name, below, apex bool) {
	zone := c.zones[name]
	if zone == nil {
		zone = &Zone{Name: name}
		c.zones[name] = zone
	}
	zone.Below, zone.Apex = zone.Below || below, zone.Apex || apex
}

// endpoint adds what one mapping needs: the public zones of its row in the
// catalogue, or its very name where the catalogue knows none.
func (c *collector) endpoint(e zones.Endpoint) {
	if !e.Name.IsWildcard() && (c.example.IsZero() || e.Name.Compare(c.example) < 0) {
		c.example = e.Name
	}
	if e.Private.IsZero() && !e.Zone.IsZero() {
		c.privateOnly(e)
		return
	}
	if !e.Zone.IsZero() {
		c.private[e.Zone] = true
	}
	public := c.publicZones(e.Name)
	for _, zone := range public {
		c.add(zone, true, false)
	}
	if len(public) == 0 {
		c.single(e.Name)
	}
}

// privateOnly adds what a mapping needs that is written with a private name that
// tells no public one. That name may be what clients ask, as for a private
// Kubernetes cluster, or the end of an alias of the row's public zones.
func (c *collector) privateOnly(e zones.Endpoint) {
	c.add(e.Zone, true, false)
	if match, known := c.catalogue.ZoneOf(e.Name); known {
		words := capture(match.Entry.PrivateZone, match.Zone)
		for _, zone := range fillAll(match.Entry.PublicZones, words) {
			c.add(zone, true, false)
		}
	}
}

// single adds a name that is in no zone of the catalogue. What a wildcard stands
// for is below its parent.
func (c *collector) single(name zones.Name) {
	if parent, has := name.Parent(); has && name.IsWildcard() {
		c.add(parent, true, false)
		return
	}
	c.add(name, false, true)
}

// publicZones are the public zones of the row that a name belongs to, all of
// which lead into its privatelink zone; where none of them holds the name, the one
// of another row that does.
func (c *collector) publicZones(name zones.Name) []zones.Name {
	match, err := c.catalogue.Derive(name)
	patterns := match.Entry.PublicZones
	var underivable *azure.NotDerivableError
	if errors.As(err, &underivable) {
		patterns = underivable.Entry.PublicZones
	}
	if _, words, ok := covering(patterns, name); ok {
		return fillAll(patterns, words)
	}
	if err != nil && underivable == nil {
		return nil
	}
	if zone, _, ok := covering(c.patterns, name); ok {
		return []zones.Name{zone}
	}
	return nil
}

// operators adds a zone that the operator wrote down. One that only says what is
// done with missing names of a privatelink zone sends nobody here.
func (c *collector) operators(zone zones.ZoneSpec) {
	if _, azures := c.catalogue.ZoneOf(zone.Name); azures && len(zone.Records) == 0 && zone.Copy == "" {
		return
	}
	apex := zone.Copy != "" || slices.ContainsFunc(zone.Records, func(rr dns.RR) bool {
		return zones.NameOf(rr.Header().Name) == zone.Name
	})
	c.add(zone.Name, true, apex)
}

// use is what was gathered. A single name that one of the zones holds is left out.
func (c *collector) use() Use {
	use := Use{Example: c.example}
	for _, name := range slices.SortedFunc(maps.Keys(c.zones), zones.Name.Compare) {
		if zone := c.zones[name]; zone.Below || !c.held(name) {
			use.Zones = append(use.Zones, *zone)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(c.private), zones.Name.Compare) {
		if c.zones[name] == nil {
			use.Private = append(use.Private, name)
		}
	}
	return use
}

// held reports whether a zone above a name is in use.
func (c *collector) held(name zones.Name) bool {
	for parent, more := name.Parent(); more; parent, more = parent.Parent() {
		if zone := c.zones[parent]; zone != nil && zone.Below {
			return true
		}
	}
	return false
}
