package config

import (
	"fmt"
	"net/netip"
	"slices"

	"pldns/zones"
)

// dns64 reads the prefix of the NAT64 of a network's clients, and what is left out.
func (l *loader) dns64(t table, draft *networkDraft) {
	const example = "64:ff9b:1::/96"
	entries, _ := t.texts("dns64_exclude", "10.0.0.0/8")
	excluded, _ := distinct(l.rep, entries, parsePrefix)
	if t.has("dns64_exclude") && !t.has("dns64") {
		remedy := "write dns64 = \"" + example + "\" beside it, or remove it"
		l.rep.add(t.place("dns64_exclude"), &fault{"has no meaning without dns64", remedy})
	}
	text, given := t.text("dns64", example)
	if !given {
		return
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		err = fmt.Errorf("%q is no prefix", text)
	} else if draft.DNS64, err = zones.NewDNS64(prefix, excluded...); err == nil {
		draft.dns64Place = t.place("dns64")
		return
	}
	l.rep.add(t.place("dns64"), faultf("write the prefix that the NAT64 translates, such as \""+example+"\"", "%v", err))
}

// warnOfDNS64 reports a network whose NAT64 does not translate the addresses of its
// endpoints: hosts that have IPv6 alone do not reach these.
func (l *loader) warnOfDNS64(draft *networkDraft) {
	if draft.DNS64 == nil {
		return
	}
	for e := range draft.Endpoints() {
		at := slices.IndexFunc(e.Addresses, func(addr netip.Addr) bool { return addr.Is4() && draft.DNS64.Excludes(addr) })
		if at >= 0 {
			remedy := "write the prefix of a NAT64 for private addresses, such as one of 64:ff9b:1::/48 (RFC 8215)"
			l.rep.warn(draft.dns64Place, faultf(remedy,
				"the address %s of %s is not put into %s, which is for addresses of the Internet alone (RFC 6052), or is in dns64_exclude",
				e.Addresses[at], e.Name, draft.DNS64.Prefix()))
			return
		}
	}
}
