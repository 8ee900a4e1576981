package zones

import (
	"cmp"
	"iter"
	"maps"
	"net/netip"
	"slices"
)

// Network is what one consumer network sees. It is immutable.
type Network struct {
	name    string
	number  uint32 // its place in the table
	missing Missing
	// owners are the names that are answered here, each for every type. Names of
	// zones that only have names below them are here too (RFC 4592 section 2.2.2).
	owners map[Name]owner
	// wild are the wildcards, by the name that the "*" stands before.
	wild    map[Name]owner
	zones   map[Name]Zone
	routes  map[Name]bool
	reverse []mappedAddress
	count   int
}

// Zone is a zone as one network sees it.
type Zone struct {
	Name    Name
	Missing Missing // never Inherit
	// Special says that the zone is answered here only because nobody should ask
	// the public about it (RFC 6303, RFC 6761); the operator's routes override it.
	Special bool
}

// mappedAddress is a private address and an endpoint that has it.
type mappedAddress struct {
	addr     netip.Addr
	endpoint *Endpoint
}

// Name is the network's name in the configuration.
func (n *Network) Name() string { return n.name }

// Number is the place of the network among [Table.Networks]: short, and unique
// within its table.
func (n *Network) Number() uint32 { return n.number }

// Missing is what the network does with a missing name where the zone itself
// says nothing.
func (n *Network) Missing() Missing { return n.missing }

// Zones are the zones of the network without the special ones, ordered by name.
func (n *Network) Zones() []Zone {
	return slices.SortedFunc(maps.Values(n.zones), func(a, b Zone) int { return a.Name.Compare(b.Name) })
}

// Endpoints ranges over the endpoints of the network, in no order.
func (n *Network) Endpoints() iter.Seq[*Endpoint] {
	return func(yield func(*Endpoint) bool) {
		for _, owners := range []map[Name]owner{n.owners, n.wild} {
			for name, owner := range owners {
				if endpoint := endpointNamed(name, owner); endpoint != nil && !yield(endpoint) {
					return
				}
			}
		}
	}
}

// endpointNamed is the endpoint that clients ask for under the name (of which a
// wildcard's "*" is left out), nil for every other owner.
func endpointNamed(name Name, o owner) *Endpoint {
	switch o := o.(type) {
	case *aliasOwner:
		return (*Endpoint)(o)
	case *addressOwner:
		if o.Private.IsZero() {
			return (*Endpoint)(o)
		}
	}
	return nil
}

// CountEndpoints is the number of endpoints.
func (n *Network) CountEndpoints() int { return n.count }

// zoneAt finds the zone that a name is in: the longest one. Special zones give
// way to any route of the operator that covers the name.
func (n *Network) zoneAt(name Name) (Zone, bool) {
	routed := false
	for at, more := name, true; more && !at.IsRoot(); at, more = at.Parent() {
		if zone, found := n.zones[at]; found {
			return zone, true
		}
		routed = routed || n.routes[at]
		if isSpecial(at) {
			if routed || n.routedAbove(at) {
				return Zone{}, false
			}
			return Zone{Name: at, Missing: NXDomain, Special: true}, true
		}
	}
	return Zone{}, false
}

// routedAbove tells whether the operator routes a suffix above the name.
func (n *Network) routedAbove(name Name) bool {
	for at, more := name.Parent(); more && !at.IsRoot(); at, more = at.Parent() {
		if n.routes[at] {
			return true
		}
	}
	return false
}

// mappedTo gives the endpoints that have an address, the reverse of a mapping.
func (n *Network) mappedTo(addr netip.Addr) []mappedAddress {
	start, _ := slices.BinarySearchFunc(n.reverse, addr, compareAddress)
	end := start
	for end < len(n.reverse) && n.reverse[end].addr == addr {
		end++
	}
	return n.reverse[start:end]
}

// mapsWithin tells whether any endpoint has an address within the prefix.
func (n *Network) mapsWithin(prefix netip.Prefix) bool {
	start, _ := slices.BinarySearchFunc(n.reverse, prefix.Addr(), compareAddress)
	return start < len(n.reverse) && prefix.Contains(n.reverse[start].addr)
}

func compareAddress(m mappedAddress, addr netip.Addr) int { return m.addr.Compare(addr) }

func compareMapped(a, b mappedAddress) int {
	return cmp.Or(a.addr.Compare(b.addr), a.endpoint.Name.Compare(b.endpoint.Name))
}
