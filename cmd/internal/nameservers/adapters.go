package nameservers

import (
	"net/netip"
	"slices"
	"strings"
)

// adapter is a network adapter of Windows, as GetAdaptersAddresses describes it.
type adapter struct {
	up       bool
	loopback bool
	metric   uint32 // the lowest is asked first
	servers  []netip.Addr
}

// rule is one of the name resolution policies of Windows (NRPT).
type rule struct {
	names   []string // ".contoso.com" is the domain and all below, "." everything, "mydb.contoso.com" one name
	servers string   // addresses, with semicolons between them
}

// ofWindows are the servers that Windows asks about a name, first by its policies,
// then by its adapters. Without a name, policies do not count.
func ofWindows(rules []rule, adapters []adapter, name string) []netip.AddrPort {
	if servers := ofRules(rules, name); name != "" && len(servers) > 0 {
		return servers
	}
	return ofAdapters(adapters)
}

// ofRules are the servers of the policy that is the closest to a name: the name
// itself, else the longest domain.
func ofRules(rules []rule, name string) []netip.AddrPort {
	best, longest := []netip.AddrPort(nil), -1
	for _, r := range rules {
		var servers []netip.AddrPort
		for text := range strings.FieldsFuncSeq(r.servers, func(c rune) bool { return c == ';' || c == ',' || c == ' ' }) {
			if addr, err := netip.ParseAddr(text); err == nil {
				servers = appendNew(servers, netip.AddrPortFrom(addr, port))
			}
		}
		if len(servers) == 0 {
			continue // a policy about something else, such as DNSSEC
		}
		for _, pattern := range r.names {
			covers := coverage(name, pattern)
			if !strings.HasPrefix(pattern, ".") && covers != len(strings.TrimSuffix(name, ".")) {
				continue // one name, and another one than is asked for
			}
			if covers > longest {
				best, longest = servers, covers
			}
		}
	}
	return best
}

// ofAdapters are the servers of the adapters that are up, the preferred adapter first.
func ofAdapters(all []adapter) (servers []netip.AddrPort) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b adapter) int { return int(min(a.metric, 1<<30)) - int(min(b.metric, 1<<30)) })
	for _, a := range all {
		if !a.up || a.loopback {
			continue
		}
		for _, addr := range a.servers {
			if isPlaceholder(addr) {
				continue
			}
			servers = appendNew(servers, netip.AddrPortFrom(addr, port))
		}
	}
	return servers
}

// isPlaceholder tells whether an address is one of those that Windows lists for an
// adapter without a DNS server for IPv6: fec0:0:0:ffff::1, ::2 and ::3.
func isPlaceholder(addr netip.Addr) bool {
	return netip.MustParsePrefix("fec0::/10").Contains(addr.WithZone(""))
}
