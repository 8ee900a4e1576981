package config

import (
	"net/netip"
)

// listen reads the table of the addresses that are opened.
func (l *loader) listen(root table, files files) {
	t, _ := root.sub("listen")
	t.only("dns", "dot", "doh", "doq", "h3", "admin", "admin_token_file", "admin_hosts", "identity", "version", "designated")
	l.listenDNS(t)
	l.listenSecure(t)
	l.listenAdmin(t, files)
	l.config.Listen.Identity = l.identity(t)
	l.config.Listen.Version = t.boolean("version", false)
	l.config.Listen.Designated = l.designated(t, nil)
}

// designated reads the addresses at which clients reach the encrypted listeners: nil
// where nothing is said, and empty where clients are to be told nothing.
func (l *loader) designated(t table, otherwise []netip.Addr) []netip.Addr {
	if !t.has("designated") {
		return otherwise
	}
	entries, _ := t.texts("designated", "10.0.0.4")
	list, _ := distinct(l.rep, entries, func(text string) (netip.Addr, *fault) {
		addr, f := parseAddr(text, "10.0.0.4")
		if f == nil && (addr.IsUnspecified() || addr.IsMulticast()) {
			f = faultf("write an address that clients can connect to", "%q is no address of a server", text)
		}
		return addr, f
	})
	if len(list) > 0 && !l.opened.names {
		l.rep.add(t.place("designated"), &fault{"there is no encrypted listener",
			`add listen.dot = [":853"], listen.doq = [":853"] or listen.doh = [":443"]`})
	}
	return append([]netip.Addr{}, list...)
}

// identity reads what a server is called in what it tells of itself.
func (l *loader) identity(t table) string {
	name, given := t.text("identity", "hub-1")
	if given && len(name) > maxIdentity {
		l.rep.add(t.place("identity"), faultf("write a shorter one", "has %d characters, more than %d", len(name), maxIdentity))
	}
	return name
}

// listenDNS takes the addresses for UDP and TCP. When one of them is faulty,
// networks are not held to be out of reach because of it.
func (l *loader) listenDNS(t table) {
	l.listenKnown = true
	entries := []entry{{text: defaultListen}}
	if t.has("dns") {
		entries, l.listenKnown = t.texts("dns", defaultListen)
		if l.listenKnown && len(entries) == 0 {
			l.rep.add(t.place("dns"), &fault{"is empty", `write the addresses to answer on, such as [":53"]`})
			l.listenKnown = false
		}
	}
	var open []entry // those in l.config.Listen.DNS
	for _, e := range entries {
		socket, f := parseSocket(e.text, portDNS)
		for i, other := range l.config.Listen.DNS {
			if f == nil && overlap(socket, other) {
				f = faultf("keep one of the two", "%q and %q would both receive the same queries", open[i].text, e.text)
			}
		}
		if f != nil {
			l.rep.add(e.place, f)
			l.listenKnown = false
			continue
		}
		l.config.Listen.DNS = append(l.config.Listen.DNS, socket)
		open = append(open, e)
	}
}

// overlap reports whether two addresses cannot be opened beside each other. Port 0
// is a different port each time.
func overlap(a, b netip.AddrPort) bool {
	return a.Port() != 0 && (opens(a, b) || opens(b, a))
}

// opens reports whether a query to a local address reaches one that is listened on:
// the same, or every one of its family.
func opens(listened, local netip.AddrPort) bool {
	if listened.Port() != local.Port() {
		return false
	}
	addr := listened.Addr()
	return addr == local.Addr() || addr == netip.IPv6Unspecified() || addr.IsUnspecified() && local.Addr().Is4()
}
