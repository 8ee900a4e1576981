package nameservers

import (
	"net/netip"
	"strconv"
	"strings"
)

// resolver is one of the resolvers that scutil --dns lists: that of the system, or one
// for a domain, as a VPN profile or a file in /etc/resolver makes it.
type resolver struct {
	domain  string // empty for the one of the system
	servers []netip.AddrPort
	mdns    bool // asks the link, not a server
}

// ofScutil are the servers that macOS asks about a name, by the output of
// "scutil --dns": those of the longest domain, else those of the first resolver
// without one. Resolvers for scoped queries belong to programs that choose an
// interface, and do not count.
func ofScutil(text, name string) []netip.AddrPort {
	best, longest := []netip.AddrPort(nil), -1
	for _, r := range resolvers(text) {
		if r.mdns || len(r.servers) == 0 {
			continue
		}
		if covers := coverage(name, r.domain); covers > longest {
			best, longest = r.servers, covers
		}
	}
	return best
}

// resolvers reads the resolvers before those for scoped queries.
func resolvers(text string) (all []resolver) {
	text, _, _ = strings.Cut(text, "DNS configuration (for scoped queries)")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "resolver #") {
			all = append(all, resolver{})
			continue
		}
		key, value, found := strings.Cut(line, " : ")
		if !found || len(all) == 0 {
			continue
		}
		r := &all[len(all)-1]
		switch key = strings.TrimSpace(key); {
		case key == "domain":
			r.domain = value
		case key == "options":
			r.mdns = strings.Contains(value, "mdns")
		case key == "port":
			r.setPort(value)
		case strings.HasPrefix(key, "nameserver["):
			if addr, err := netip.ParseAddr(value); err == nil {
				r.servers = appendNew(r.servers, netip.AddrPortFrom(addr, port))
			}
		}
	}
	return all
}

// setPort takes the port of a resolver, which scutil names after its servers; 0 is
// the ordinary one, and 5353 that of the link.
func (r *resolver) setPort(text string) {
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return
	}
	for i, server := range r.servers {
		r.servers[i] = netip.AddrPortFrom(server.Addr(), uint16(number))
	}
}
