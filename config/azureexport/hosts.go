package azureexport

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// hosts writes the names as a hosts file: the names that clients ask for, and those
// of the operator's own zones that have addresses. What such a file cannot hold is
// noted.
func hosts(plan *Plan) (string, []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "# The endpoints of network %s.\n", plan.Network)
	notes := slices.Clone(plan.Notes)
	written := make(map[zones.Name]bool)
	write := func(name zones.Name, addrs ...netip.Addr) {
		if name.IsWildcard() {
			notes = append(notes, fmt.Sprintf("%s is left out: a hosts file holds no wildcards", name))
			return
		}
		for i, addr := range addrs {
			if i > 0 && addr.Is4() == addrs[i-1].Is4() {
				notes = append(notes, fmt.Sprintf("%s: only its first address, %s: programs take one of a hosts file", name, addrs[0]))
				break
			}
			fmt.Fprintf(&b, "%s %s\n", addr, name)
		}
	}
	for _, name := range plan.Names {
		written[name.Name] = true
		written[name.Private] = true
		write(name.Name, name.Addresses...)
	}
	for _, zone := range plan.Zones {
		for _, set := range zone.Sets {
			owner := ownerOf(zone, set)
			switch {
			case written[owner]:
			case set.Type != dns.TypeA && set.Type != dns.TypeAAAA:
				notes = append(notes, fmt.Sprintf("%s %s is left "+
					"out: a hosts file holds addresses alone", owner, dns.TypeToString[set.Type]))
			default:
				write(owner, addressesOf(set)...)
			}
		}
	}
	for _, rr := range plan.Others {
		notes = append(notes, fmt.Sprintf("%s %s is left out: a hosts file holds addresses alone",
			zones.NameOf(rr.Header().Name), dns.TypeToString[rr.Header().Rrtype]))
	}
	return b.String(), notes
}

// ownerOf is the full name of a record set.
func ownerOf(zone Zone, set Set) zones.Name {
	if set.Name == "@" {
		return zone.Name
	}
	return zone.Name.Under(set.Name)
}

// addressesOf are the addresses of a set of them.
func addressesOf(set Set) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range set.Records {
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		}
		addrs = append(addrs, addr.Unmap())
	}
	return addrs
}
