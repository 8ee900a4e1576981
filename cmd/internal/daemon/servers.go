package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"pldns/cmd/internal/nameservers"
	"pldns/config"
	"pldns/resolver/forward"
)

// serversOf are the servers of a group, with "system" replaced by what the
// operating system uses.
func serversOf(c *config.Config, group config.Upstream) ([]forward.Server, error) {
	var servers []forward.Server
	for _, server := range group.Servers {
		if !server.System {
			servers = append(servers, serverOf(server))
			continue
		}
		system, err := systemServers(nameservers.System, c.Listen.DNS)
		if err != nil {
			return nil, err
		}
		servers = append(servers, system...)
	}
	return servers, nil
}

// systemServers are the servers that the operating system asks. One that is this
// program itself would be asked for ever, and is refused.
func systemServers(system func() ([]netip.AddrPort, error), listen []netip.AddrPort) ([]forward.Server, error) {
	named, err := system()
	if err != nil {
		return nil, fmt.Errorf("read the servers of the system: %w (name the servers of the upstream instead of \"system\")", err)
	}
	var servers []forward.Server
	for _, server := range named {
		if isOurs(server, listen) {
			return nil, fmt.Errorf("the system asks %s, where this program listens: name the "+
				"servers of the upstream instead of \"system\"", server)
		}
		servers = append(servers, forward.Server{Addr: server, Text: server.Addr().String()})
	}
	if len(servers) == 0 {
		return nil, errors.New("the system names no DNS server: name the servers of the upstream instead of \"system\"")
	}
	return servers, nil
}

// isOurs tells whether a server is surely one of our own listeners. Of a wildcard
// that is only said of 127.0.0.1 and ::1: other loopback addresses may belong to a
// resolver of the system, such as systemd's or a container engine's. If they lead
// back here all the same, that is found while serving.
func isOurs(server netip.AddrPort, listen []netip.AddrPort) bool {
	addr := server.Addr()
	local := addr == netip.IPv6Loopback() || addr == netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return slices.ContainsFunc(listen, func(own netip.AddrPort) bool {
		return own == server || local && own.Port() == server.Port() && own.Addr().IsUnspecified()
	})
}

// serverOf is a server as the pool takes it.
func serverOf(server config.Server) forward.Server {
	return forward.Server{
		Transport: named(server.Transport, forward.Plain, forward.TCP, forward.TLS, forward.HTTPS, forward.QUIC, forward.HTTP3),
		Addr:      server.Addr, ServerName: server.Name, URL: server.URL, Bootstrap: server.Bootstrap, Text: server.Text,
	}
}

// named returns the one of some values that the configuration has this word for.
func named[V fmt.Stringer](word string, values ...V) V {
	return values[max(0, slices.IndexFunc(values, func(value V) bool { return value.String() == word }))]
}
