package clientconfig

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"pldns/config"
)

// Networks are the network of that name, or all of them where the name is empty. It is an
// error if there is none of that name.
func Networks(c *config.Config, name string) ([]config.Network, error) {
	if name == "" {
		return c.Networks, nil
	}
	var names []string
	for i := range c.Networks {
		if c.Networks[i].Name == name {
			return c.Networks[i : i+1], nil
		}
		names = append(names, c.Networks[i].Name)
	}
	return nil, fmt.Errorf("network %q is not defined: name one of %s", name, strings.Join(names, ", "))
}

// Servers are the addresses at which clients of the networks reach the resolver,
// as far as the configuration tells: those of their listeners, or else those that
// are opened and are no other network's listeners, without the ones that stand
// for many addresses or that other machines cannot reach. The error says that
// none is left, or that the networks are reached at different ones.
func Servers(c *config.Config, networks []config.Network) ([]netip.AddrPort, error) {
	var common []netip.AddrPort
	for i := range networks {
		servers := addresses(c, &networks[i])
		if len(servers) == 0 {
			return nil, fmt.Errorf("listen.dns does not tell at which address clients of network %s reach the resolver: "+
				"name it with --server", networks[i].Name)
		}
		if i > 0 && !slices.Equal(servers, common) {
			return nil, fmt.Errorf("networks %s and %s are reached at different addresses: "+
				"write one configuration for each with --network, or name the addresses with --server",
				networks[0].Name, networks[i].Name)
		}
		common = servers
	}
	if len(common) == 0 {
		return nil, errors.New("no network is defined")
	}
	return common, nil
}

// addresses are where a network is reached.
func addresses(c *config.Config, network *config.Network) []netip.AddrPort {
	var open []netip.AddrPort
	for _, socket := range c.Listen.DNS {
		if reachable(socket) && leadsTo(c, network, socket) {
			open = append(open, socket)
		}
	}
	// A listener that is opened by a wildcard address is not among them.
	for _, socket := range network.Listeners {
		if reachable(socket) && !slices.Contains(open, socket) {
			open = append(open, socket)
		}
	}
	slices.SortFunc(open, netip.AddrPort.Compare)
	return open
}

// leadsTo reports whether a query to an address can be for the network.
func leadsTo(c *config.Config, network *config.Network, socket netip.AddrPort) bool {
	if len(network.Listeners) > 0 {
		return claims(network, socket)
	}
	return !slices.ContainsFunc(c.Networks, func(other config.Network) bool { return claims(&other, socket) })
}

// claims reports whether an address is a listener of the network.
func claims(network *config.Network, socket netip.AddrPort) bool {
	return slices.ContainsFunc(network.Listeners, func(own netip.AddrPort) bool {
		return own == socket || own.Addr().IsUnspecified() && own.Port() == socket.Port()
	})
}

// reachable reports whether another machine can send to an address.
func reachable(socket netip.AddrPort) bool {
	addr := socket.Addr()
	return socket.Port() != 0 && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsLinkLocalUnicast()
}

// ParseServer reads the address of a server, with a port where it is not 53. It is an
// error if that is no address, or none that clients can send to.
func ParseServer(text string) (netip.AddrPort, error) {
	socket, err := netip.ParseAddrPort(text)
	if err != nil {
		addr, wrong := netip.ParseAddr(strings.Trim(text, "[]"))
		if wrong != nil {
			return netip.AddrPort{}, fmt.Errorf("%q is no address: write one such as 10.0.0.4 or 10.0.0.4:5353", text)
		}
		socket = netip.AddrPortFrom(addr, portDNS)
	}
	switch addr := socket.Addr().Unmap(); {
	case socket.Port() == 0, addr.IsUnspecified(), addr.IsMulticast():
		return netip.AddrPort{}, fmt.Errorf("%q is nowhere to send to: write the address at which clients reach the resolver", text)
	case addr.Zone() != "":
		return netip.AddrPort{}, fmt.Errorf("%q means something else on each machine: write an address without %%", text)
	default:
		return netip.AddrPortFrom(addr, socket.Port()), nil
	}
}

// portDNS is the port of DNS over UDP and TCP (RFC 1035 section 4.2).
const portDNS = 53
