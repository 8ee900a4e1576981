// Package nameservers finds the DNS servers that the operating system asks: in
// /etc/resolv.conf, on macOS in what scutil says, on Windows in the policies for
// names (NRPT) and the adapters. What each of them says is read by functions of text
// and values, which are the same, and tested, on every system.
package nameservers

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// port is where the servers of a system listen: none of them names another port.
const port = 53

const (
	// resolvConf is where the servers of the operating system are written down.
	resolvConf = "/etc/resolv.conf"
	// resolvedConf is where systemd-resolved writes down the servers that it asks,
	// while resolv.conf names only its own stub.
	resolvedConf = "/run/systemd/resolve/resolv.conf"
)

// FromFile reads the servers from a file as resolv.conf(5) describes it, in its order.
// It fails where there is no such file, or where one of them is no IP address.
func FromFile(file string) ([]netip.AddrPort, error) {
	system, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil, err
	}
	var servers []netip.AddrPort
	for _, text := range system.Servers {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%s: nameserver %q is no IP address", file, text)
		}
		servers = append(servers, netip.AddrPortFrom(addr, port))
	}
	return servers, nil
}

// behindStub are the servers of a file, or, where those are the stub of
// systemd-resolved, the ones that the stub asks.
func behindStub(file, behind string) ([]netip.AddrPort, error) {
	named, err := FromFile(file)
	if err != nil || len(named) == 0 || slices.ContainsFunc(named, isNoStub) {
		return named, err
	}
	if asked, err := FromFile(behind); err == nil && len(asked) > 0 {
		return asked, nil
	}
	return named, nil
}

// isNoStub tells whether a server is something else than the stub of
// systemd-resolved, which listens on 127.0.0.53 and 127.0.0.54.
func isNoStub(server netip.AddrPort) bool {
	stub := netip.AddrFrom4([4]byte{127, 0, 0, 53})
	return server.Addr() != stub && server.Addr() != stub.Next()
}

// coverage is how many octets of a name a domain covers; negative if the name is not
// in it. The empty domain covers nothing of every name.
func coverage(name, domain string) int {
	name, domain = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(strings.Trim(domain, "."))
	if domain == "" || name == domain || strings.HasSuffix(name, "."+domain) {
		return len(domain)
	}
	return -1
}

// appendNew appends the servers that are not there yet.
func appendNew(servers []netip.AddrPort, more ...netip.AddrPort) []netip.AddrPort {
	for _, server := range more {
		if !slices.Contains(servers, server) {
			servers = append(servers, server)
		}
	}
	return servers
}
