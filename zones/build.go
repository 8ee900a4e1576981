package zones

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Build compiles networks into a table. It keeps the endpoints and records of
// the specifications, which must not change afterwards. It refuses, all at once,
// what cannot be one table: two networks that one client matches equally well, a
// network that nobody matches, a name that is owned twice in one network.
func Build(specs []NetworkSpec) (*Table, error) {
	table := &Table{
		open: new(prefixes), nobody: new(prefixes),
		doors: make(map[Door]*prefixes), listeners: make(map[netip.AddrPort]*prefixes),
	}
	var faults []error
	for i := range specs {
		network, err := compile(&specs[i])
		faults = append(faults, err)
		table.networks = append(table.networks, network)
		faults = append(faults, table.admit(network, &specs[i]))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	for i, network := range table.networks {
		network.number = uint32(i)
	}
	return table, nil
}

// admit enters the client prefixes of a network at its doors. A network without a
// door is also behind the path with its name: whoever asks there and is one of its
// clients says only which of the networks that it could belong to is meant.
func (t *Table) admit(network *Network, spec *NetworkSpec) error {
	clients, claims := spec.Clients, spec.Doors()
	if len(clients) == 0 {
		if len(claims) == 0 {
			return fmt.Errorf("network %s has neither clients nor doors: nobody can match it", spec.Name)
		}
		clients = []netip.Prefix{
			netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0),
		}
	}
	var doors []*prefixes
	for _, door := range claims {
		doors = append(doors, t.door(door))
	}
	if len(claims) == 0 {
		doors = []*prefixes{t.open, t.door(Door{Kind: PathDoor, Path: spec.Name})}
	}
	var faults []error
	for _, door := range doors {
		for _, prefix := range clients {
			if other, taken := door.Get(prefix.Masked()); taken {
				faults = append(faults, fmt.Errorf("networks %s and %s both match clients of %s", other.name, spec.Name, prefix))
				continue
			}
			door.Insert(prefix, network)
		}
	}
	return errors.Join(faults...)
}

// door gives the table behind a door, made when it is first claimed.
func (t *Table) door(door Door) *prefixes {
	t.uses[door.Kind] = true
	if door.Kind == ListenerDoor {
		return entered(t.listeners, door.Listener)
	}
	return entered(t.doors, door)
}

func entered[K comparable](doors map[K]*prefixes, door K) *prefixes {
	if doors[door] == nil {
		doors[door] = new(prefixes)
	}
	return doors[door]
}

// compile makes one network of its specification.
func compile(spec *NetworkSpec) (*Network, error) {
	network := &Network{
		name:    spec.Name,
		missing: spec.Missing.or(Forward),
		owners:  make(map[Name]owner, 2*len(spec.Endpoints)),
		wild:    make(map[Name]owner),
		zones:   make(map[Name]Zone),
		routes:  make(map[Name]bool, len(spec.Routes)),
		count:   len(spec.Endpoints),
	}
	for _, suffix := range spec.Routes {
		network.routes[suffix] = true
	}
	addresses := 0
	for i := range spec.Endpoints {
		addresses += len(spec.Endpoints[i].Addresses)
	}
	network.reverse = make([]mappedAddress, 0, addresses)
	var faults []error
	for _, zone := range spec.Zones {
		network.zones[zone.Name] = Zone{Name: zone.Name, Missing: zone.Missing.or(network.missing)}
		faults = append(faults, network.ownRecords(zone))
	}
	for i := range spec.Endpoints {
		faults = append(faults, network.ownEndpoint(&spec.Endpoints[i]))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("network %s: %w", spec.Name, err)
	}
	network.ownEmptyNonTerminals()
	slices.SortFunc(network.reverse, compareMapped)
	return network, nil
}

// or is the policy, or the given one where it says nothing.
func (m Missing) or(otherwise Missing) Missing {
	if m == Inherit {
		return otherwise
	}
	return m
}

// ownRecords enters the records of an operator's zone under their names.
func (n *Network) ownRecords(zone ZoneSpec) error {
	byName := make(map[Name]*recordOwner)
	var names []Name // in the order of the specification, for stable faults
	for _, rr := range zone.Records {
		name := NameOf(rr.Header().Name)
		if byName[name] == nil {
			byName[name] = new(recordOwner)
			names = append(names, name)
		}
		*byName[name] = append(*byName[name], rr)
	}
	var faults []error
	for _, name := range names {
		faults = append(faults, n.own(name, byName[name]))
	}
	return errors.Join(faults...)
}

// ownEndpoint enters both names of an endpoint, and its zone.
func (n *Network) ownEndpoint(endpoint *Endpoint) error {
	if !endpoint.Zone.IsZero() {
		if _, known := n.zones[endpoint.Zone]; !known {
			n.zones[endpoint.Zone] = Zone{Name: endpoint.Zone, Missing: n.missing}
		}
	}
	if !endpoint.Name.IsWildcard() {
		for _, addr := range endpoint.Addresses {
			n.reverse = append(n.reverse, mappedAddress{addr, endpoint})
		}
	}
	if endpoint.Private.IsZero() || endpoint.Private == endpoint.Name {
		return n.own(endpoint.Name, (*addressOwner)(endpoint))
	}
	return errors.Join(n.own(endpoint.Name, (*aliasOwner)(endpoint)), n.ownPrivate(endpoint))
}

// ownPrivate enters the private name of an endpoint. Two public names may share
// one private name, as a key vault's do, if they agree on what it is.
func (n *Network) ownPrivate(endpoint *Endpoint) error {
	if other, shared := n.ownerOf(endpoint.Private).(*addressOwner); shared {
		if slices.Equal(other.Addresses, endpoint.Addresses) && other.TTL == endpoint.TTL &&
			other.Pick == endpoint.Pick && other.Probe.Alike(endpoint.Probe) {
			return nil
		}
		return fmt.Errorf("%s and %s have the same private name %s, but not the same addresses, TTL and probe",
			other.Name, endpoint.Name, endpoint.Private)
	}
	return n.own(endpoint.Private, (*addressOwner)(endpoint))
}

// own enters an owner under its name.
func (n *Network) own(name Name, o owner) error {
	if n.ownerOf(name) != nil {
		return fmt.Errorf("%s is mapped twice", name)
	}
	if parent, _ := name.Parent(); name.IsWildcard() {
		n.wild[parent] = o
	} else {
		n.owners[name] = o
	}
	return nil
}

// ownerOf is the owner entered under a name, nil when there is none.
func (n *Network) ownerOf(name Name) owner {
	if parent, _ := name.Parent(); name.IsWildcard() {
		return n.wild[parent]
	}
	return n.owners[name]
}

// ownEmptyNonTerminals enters the names between an owner and the apex of its
// zone that nothing else stands at. Above a name outside every zone there are
// none: it is exact, and its ancestors are for the outside.
func (n *Network) ownEmptyNonTerminals() {
	empty := make(map[Name]bool)
	for name := range n.owners {
		n.collectEmpty(name, empty)
	}
	for parent := range n.wild {
		n.collectEmpty(parent.Under("*"), empty)
	}
	for name := range empty {
		n.owners[name] = emptyOwner{}
	}
}

// collectEmpty adds the ancestors of a name that stand between it and the apex
// of its zone, and at which nothing stands.
func (n *Network) collectEmpty(name Name, empty map[Name]bool) {
	if !n.belowApex(name) {
		return
	}
	for at, more := name.Parent(); more && !empty[at]; at, more = at.Parent() {
		if _, apex := n.zones[at]; apex {
			return
		}
		if _, exists := n.owners[at]; !exists {
			empty[at] = true
		}
	}
}

// belowApex tells whether a name is below the apex of a zone of the network.
func (n *Network) belowApex(name Name) bool {
	for at, more := name.Parent(); more; at, more = at.Parent() {
		if _, apex := n.zones[at]; apex {
			return true
		}
	}
	return false
}
