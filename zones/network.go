package zones

import (
	"cmp"
	"encoding/binary"
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
	dns64   *DNS64        // nil for none
	private map[Name]bool // suffixes whose names have to have private addresses
	// names finds what stands at a name that is answered here for every type: one of
	// the mapped endpoints, or one of the others.
	names  index
	mapped *Endpoints
	others []other
	// wild are the wildcards, by the name that the "*" stands before.
	wild    map[Name]ref
	zones   map[Name]Zone
	routes  map[Name]bool
	reverse []uint32 // places of the addresses in mapped, sorted by address
	// ancestors are the hashes of the names that others which are answered here lie
	// below, sorted.
	ancestors []uint64
}

// Zone is a zone as one network sees it.
type Zone struct {
	Name    Name
	Missing Missing // never Inherit
	// Special says that the zone is answered here only because nobody should ask
	// the public about it (RFC 6303, RFC 6761); the operator's routes override it.
	Special bool
	// Copy is the id of the copy that the zone is answered from; empty for none.
	Copy string
}

// Name is the network's name in the configuration; empty for no network, a nil n.
func (n *Network) Name() string {
	if n == nil {
		return ""
	}
	return n.name
}

// Number is the place of the network among [Table.Networks]: short, and unique
// within its table.
func (n *Network) Number() uint32 { return n.number }

// Missing is what the network does with a missing name where the zone itself
// says nothing.
func (n *Network) Missing() Missing { return n.missing }

// DNS64 makes IPv6 addresses of those of IPv4 for the clients of the network; nil makes none.
func (n *Network) DNS64() *DNS64 { return n.dns64 }

// RequiresPrivate finds the longest suffix above a name, or at it, whose names are to have
// private addresses.
func (n *Network) RequiresPrivate(name Name) (suffix Name, found bool) {
	if len(n.private) == 0 {
		return Name{}, false
	}
	for at, more := name, true; more; at, more = at.Parent() {
		if n.private[at] {
			return at, true
		}
	}
	return Name{}, false
}

// Zones are the zones of the network without the special ones, ordered by name.
func (n *Network) Zones() []Zone {
	return slices.SortedFunc(maps.Values(n.zones), func(a, b Zone) int { return a.Name.Compare(b.Name) })
}

// Endpoints ranges over the endpoints of the network, ordered by name.
func (n *Network) Endpoints() iter.Seq[Mapping] {
	return func(yield func(Mapping) bool) {
		for i := range n.mapped.Len() {
			if !yield(n.mapped.At(i)) {
				return
			}
		}
	}
}

// Endpoint is the endpoint with a place in the order of [Network.Endpoints], from
// 0 to below [Network.CountEndpoints].
func (n *Network) Endpoint(place int) Mapping { return n.mapped.At(place) }

// CountEndpoints is the number of endpoints.
func (n *Network) CountEndpoints() int { return n.mapped.Len() }

// zoneAt finds the zone that a name is in: the longest one. Special zones give
// way to any route of the operator that covers the name.
func (n *Network) zoneAt(name Name) (Zone, bool) {
	routed := false
	for at, more := name, true; more && !at.IsRoot(); at, more = at.Parent() {
		if zone, found := n.zones[at]; found {
			return zone, true
		}
		routed = routed || n.routes[at]
		if IsSpecial(at) {
			if routed || n.routedAbove(at) {
				return Zone{}, false
			}
			return Zone{Name: at, Missing: NXDomain, Special: true}, true
		}
	}
	return Zone{}, false
}

// routedAbove reports whether the operator routes a suffix above the name.
func (n *Network) routedAbove(name Name) bool {
	for at, more := name.Parent(); more && !at.IsRoot(); at, more = at.Parent() {
		if n.routes[at] {
			return true
		}
	}
	return false
}

// mappedTo gives the places of an address among those of the endpoints, the reverse
// of a mapping.
func (n *Network) mappedTo(addr netip.Addr) []uint32 {
	start, _ := slices.BinarySearchFunc(n.reverse, addr, n.comparePlace)
	end := start
	for end < len(n.reverse) && n.mapped.addrs[n.reverse[end]] == addr {
		end++
	}
	return n.reverse[start:end]
}

// mapsWithin reports whether any endpoint has an address within the prefix.
func (n *Network) mapsWithin(prefix netip.Prefix) bool {
	start, _ := slices.BinarySearchFunc(n.reverse, prefix.Addr(), n.comparePlace)
	return start < len(n.reverse) && prefix.Contains(n.mapped.addrs[n.reverse[start]])
}

func (n *Network) comparePlace(place uint32, addr netip.Addr) int {
	return n.mapped.addrs[place].Compare(addr)
}

// reversed sorts the addresses of all endpoints but wildcards, those that several
// endpoints have in the order of the endpoints' names. Places are in that order.
func (e *Endpoints) reversed() []uint32 {
	keys := make([]uint64, 0, len(e.addrs)) // of IPv4: address and place
	var long []uint32                       // places of IPv6
	for i := range e.Len() {
		m := e.At(i)
		if m.Name().IsWildcard() {
			continue
		}
		for j, addr := range m.Addresses() {
			place := m.packed().addrs + uint32(j)
			if !addr.Is4() {
				long = append(long, place)
				continue
			}
			octets := addr.As4()
			keys = append(keys, uint64(binary.BigEndian.Uint32(octets[:]))<<32|uint64(place))
		}
	}
	slices.Sort(keys)
	slices.SortFunc(long, func(a, b uint32) int {
		return cmp.Or(e.addrs[a].Compare(e.addrs[b]), cmp.Compare(a, b))
	})
	places := make([]uint32, 0, len(keys)+len(long))
	for _, key := range keys {
		places = append(places, uint32(key))
	}
	return append(places, long...)
}
