package zones

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// Build compiles networks into a table. Of the specifications it keeps the records,
// which must not change afterwards, and nothing else that is large. It refuses, all
// at once,
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
	mapped, err := pack(spec.listed())
	network := &Network{
		name:    spec.Name,
		missing: spec.Missing.or(Forward),
		mapped:  mapped,
		wild:    make(map[Name]ref),
		zones:   make(map[Name]Zone),
		routes:  make(map[Name]bool, len(spec.Routes)),
	}
	if err != nil {
		return network, fmt.Errorf("network %s: %w", spec.Name, err)
	}
	network.names = newIndex(2 * mapped.count())
	for _, suffix := range spec.Routes {
		network.routes[suffix] = true
	}
	var faults []error
	for _, zone := range spec.Zones {
		network.zones[zone.Name] = Zone{Name: zone.Name, Missing: zone.Missing.or(network.missing)}
		faults = append(faults, network.ownRecords(zone))
	}
	for _, zone := range mapped.zones[1:] {
		if _, known := network.zones[zone]; !known {
			network.zones[zone] = Zone{Name: zone, Missing: network.missing}
		}
	}
	for i := range mapped.count() {
		if err := network.ownEndpoint(mapped.at(uint32(i))); err != nil {
			faults = append(faults, err)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return network, fmt.Errorf("network %s: %w", spec.Name, err)
	}
	network.findAncestors()
	network.reverse = mapped.reversed()
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
	byName := make(map[Name][]dns.RR)
	var names []Name // in the order of the specification, for stable faults
	for _, rr := range zone.Records {
		name := NameOf(rr.Header().Name)
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = append(byName[name], rr)
	}
	var faults []error
	for _, name := range names {
		faults = append(faults, n.ownOther(name, byName[name]))
	}
	return errors.Join(faults...)
}

// ownOther enters a name at which no endpoint stands.
func (n *Network) ownOther(name Name, records []dns.RR) error {
	n.others = append(n.others, other{name, records})
	return n.own(name, otherRef|ref(len(n.others)-1))
}

// ownEndpoint enters both names of an endpoint.
func (n *Network) ownEndpoint(endpoint Mapping) error {
	number := ref(endpoint.number)
	if !endpoint.isAlias() {
		return n.own(endpoint.Name(), addressRef|number)
	}
	if err := n.own(endpoint.Name(), aliasRef|number); err != nil {
		return errors.Join(err, n.ownPrivate(endpoint))
	}
	return n.ownPrivate(endpoint)
}

// ownPrivate enters the private name of an endpoint. Two public names may share
// one private name, as a key vault's do, if they agree on what it is.
func (n *Network) ownPrivate(endpoint Mapping) error {
	private := endpoint.Private()
	found := n.ownUnlessOwned(private, addressRef|ref(endpoint.number))
	if found == 0 {
		return nil
	}
	if found.kind() != addressRef {
		return fmt.Errorf("%s is mapped twice", private)
	}
	other := n.mapped.at(found.number())
	if slices.Equal(other.Addresses(), endpoint.Addresses()) && other.settings().alike(endpoint.settings()) {
		return nil
	}
	return fmt.Errorf("%s and %s have the same private name %s, but not the same addresses, TTL and probe",
		other.Name(), endpoint.Name(), private)
}

// own enters what stands at a name.
func (n *Network) own(name Name, r ref) error {
	if n.ownUnlessOwned(name, r) != 0 {
		return fmt.Errorf("%s is mapped twice", name)
	}
	return nil
}

// ownUnlessOwned enters what stands at a name, unless something does, which it
// gives.
func (n *Network) ownUnlessOwned(name Name, r ref) ref {
	if !name.IsWildcard() {
		return n.enter(name, r)
	}
	parent, _ := name.Parent()
	if found := n.wild[parent]; found != 0 {
		return found
	}
	n.wild[parent] = r
	return 0
}

// refOf is what stands at a name, which may be a wildcard's own; 0 for nothing.
func (n *Network) refOf(name Name) ref {
	if found := n.find(name); found != 0 || !name.IsWildcard() {
		return found
	}
	parent, _ := name.Parent()
	return n.wild[parent]
}
