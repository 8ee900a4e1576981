package main

import (
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// resolvConf is where the servers of the operating system are written down.
const resolvConf = "/etc/resolv.conf"

// resolvedConf is where systemd-resolved writes down the servers that it asks,
// while resolv.conf names only its own stub.
const resolvedConf = "/run/systemd/resolve/resolv.conf"

// nameservers are the servers of the operating system in its order, behind a stub
// of systemd-resolved those that the stub asks. There are none where the system
// keeps no such file.
func nameservers(file, behindStub string) []netip.AddrPort {
	named := readNameservers(file)
	if len(named) > 0 && !slices.ContainsFunc(named, isNoStub) {
		if behind := readNameservers(behindStub); len(behind) > 0 {
			return behind
		}
	}
	return named
}

// isNoStub tells whether a server is something else than the stub of
// systemd-resolved, which listens on 127.0.0.53 and 127.0.0.54.
func isNoStub(server netip.AddrPort) bool {
	stub := netip.AddrFrom4([4]byte{127, 0, 0, 53})
	return server.Addr() != stub && server.Addr() != stub.Next()
}

func readNameservers(file string) []netip.AddrPort {
	system, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil
	}
	var servers []netip.AddrPort
	for _, text := range system.Servers {
		if addr, err := netip.ParseAddr(text); err == nil {
			servers = append(servers, netip.AddrPortFrom(addr, 53))
		}
	}
	return servers
}
