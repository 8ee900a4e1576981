// Package routes tells by which interface, from which address and over which gateway
// the operating system sends what goes to an address, and which interfaces are
// tunnels. Linux is asked over rtnetlink, macOS over a routing socket, Windows by
// its IP helper functions. What a kind of interface is called on each of them is read
// by functions of text and numbers, which are the same, and tested, on every system.
package routes

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Kind is what an interface is.
type Kind string

// The kinds of interfaces.
const (
	Loopback  Kind = "loopback"
	Ethernet  Kind = "ethernet" // also what a virtual machine has in its place
	WiFi      Kind = "wifi"
	Bridge    Kind = "bridge" // of containers or virtual machines
	WireGuard Kind = "wireguard"
	Tun       Kind = "tun" // OpenVPN, the Azure VPN Client, and most others; utun of macOS
	Tap       Kind = "tap"
	PPP       Kind = "ppp"    // also the WAN Miniports of Windows
	IPsec     Kind = "ipsec"  // also a policy without an interface, as strongSwan makes them
	Tunnel    Kind = "tunnel" // of another kind, such as GRE
	Other     Kind = "other"
)

// IsTunnel tells whether what leaves by such an interface leaves in a tunnel.
func (k Kind) IsTunnel() bool {
	return slices.Contains([]Kind{WireGuard, Tun, Tap, PPP, IPsec, Tunnel}, k)
}

// Route is how packets to an address leave.
type Route struct {
	To        netip.Addr `json:"to"`
	Interface string     `json:"interface"`
	Kind      Kind       `json:"kind"`
	// Tunnel tells whether they leave in a tunnel.
	Tunnel bool `json:"tunnel"`
	// Source is the address they come from.
	Source netip.Addr `json:"source,omitzero"`
	// Gateway is the next router; the zero value where there is none: the address is
	// on the link, or at the other end of a tunnel.
	Gateway netip.Addr `json:"gateway,omitzero"`
	// Prefix is the entry of the routing table that decides; the zero value where the
	// system does not say.
	Prefix netip.Prefix `json:"prefix,omitzero"`
	// Local tells that the address is one of this machine.
	Local bool `json:"local,omitempty"`
}

// OnLink tells whether the address is looked for in a network that this machine is
// plugged into, or in the machine itself, and not beyond a router or a tunnel.
func (r Route) OnLink() bool {
	return (r.Local || !r.Gateway.IsValid() && !r.Tunnel) && r.Kind != Loopback
}

// IsDefault tells whether the address is covered by nothing but the route for
// everything, which some VPN clients write in two halves.
func (r Route) IsDefault() bool { return r.Prefix.IsValid() && r.Prefix.Bits() <= 1 }

// Interface is a network interface that is up and has addresses.
type Interface struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Description is what Windows calls the adapter.
	Description string `json:"description,omitempty"`
	// Addresses are its own, each with the prefix that is on its link.
	Addresses []netip.Prefix `json:"addresses"`
	// Routes are the prefixes that the routing tables send there, but for those of its
	// own addresses, of multicast and of the link; sorted.
	Routes []netip.Prefix `json:"routes"`
}

// ErrNoRoute says that the system has no way to send anything to an address.
var ErrNoRoute = errors.New("no route")

// System are the routes of the operating system. Its methods may be called by any
// number of goroutines.
type System struct{}

// Lookup tells how packets to an address would leave. Nothing is sent. It fails with
// [ErrNoRoute] where there is no route, and otherwise where the system does not say.
func (System) Lookup(to netip.Addr) (Route, error) {
	to = to.Unmap()
	route, err := lookup(to)
	if err != nil {
		return Route{}, fmt.Errorf("the route to %s: %w", to, err)
	}
	route.To = to
	route.Tunnel = route.Kind.IsTunnel()
	return route, nil
}

// Interfaces are those that are up and have an address beyond their link. It fails
// where the system does not say.
func (System) Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("the network interfaces: %w", err)
	}
	table, err := table()
	if err != nil {
		return nil, fmt.Errorf("the routing table: %w", err)
	}
	var found []Interface
	for _, one := range all {
		if one.Flags&net.FlagUp == 0 {
			continue
		}
		addresses, err := one.Addrs()
		if err != nil {
			return nil, fmt.Errorf("the addresses of %s: %w", one.Name, err)
		}
		i := Interface{Name: one.Name, Addresses: prefixesOf(addresses)}
		if len(i.Addresses) == 0 {
			continue
		}
		i.Kind, i.Description = describe(one)
		i.Routes = routesInto(one.Index, i.Addresses, table)
		found = append(found, i)
	}
	return found, nil
}

// entry is a line of the routing table.
type entry struct {
	prefix netip.Prefix
	index  int // of the interface
}

// prefixesOf are the addresses of an interface, without those of the link.
func prefixesOf(addresses []net.Addr) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, address := range addresses {
		network, is := address.(*net.IPNet)
		if !is {
			continue
		}
		if prefix, ok := prefixOf(network); ok && !prefix.Addr().IsLinkLocalUnicast() {
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}

// prefixOf is an address and its mask as one value.
func prefixOf(network *net.IPNet) (netip.Prefix, bool) {
	addr, ok := netip.AddrFromSlice(network.IP)
	ones, bits := network.Mask.Size()
	if !ok || bits == 0 {
		return netip.Prefix{}, false
	}
	if addr = addr.Unmap(); addr.Is4() && bits == 128 {
		ones -= 96
	}
	prefix := netip.PrefixFrom(addr, ones)
	return prefix, prefix.IsValid()
}

// routesInto are the prefixes that a table sends to one interface, without those that
// say nothing of the world beyond it.
func routesInto(index int, own []netip.Prefix, table []entry) []netip.Prefix {
	prefixes := []netip.Prefix{}
	for _, e := range table {
		addr := e.prefix.Addr()
		isOwn := slices.ContainsFunc(own, func(p netip.Prefix) bool { return e.prefix.IsSingleIP() && p.Addr() == addr })
		limited := addr == netip.AddrFrom4([4]byte{255, 255, 255, 255})
		if e.index != index || isOwn || limited || addr.IsMulticast() || addr.IsLinkLocalUnicast() || addr.IsLoopback() {
			continue
		}
		prefixes = append(prefixes, e.prefix.Masked())
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return slices.Compact(prefixes)
}

// longest is the entry of a table that covers an address most closely, among those of
// one interface. Systems that tell the way of a packet do not all tell which entry
// decided.
func longest(to netip.Addr, index int, table []entry) netip.Prefix {
	var best netip.Prefix
	for _, e := range table {
		if e.index == index && e.prefix.Contains(to) && (!best.IsValid() || e.prefix.Bits() > best.Bits()) {
			best = e.prefix.Masked()
		}
	}
	return best
}
