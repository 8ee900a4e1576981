package config

import (
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// minAdminToken is how many characters a token has at least, so that nobody finds
// it by trying.
const minAdminToken = 16

// listenAdmin takes the address for operators, "off" being none, and who may do
// what there.
func (l *loader) listenAdmin(t table, files files) {
	l.config.Listen.AdminHosts = adminHosts(t)
	hasToken := l.adminToken(t, files)
	text, given := t.text("admin", defaultAdmin)
	switch {
	case text == "off":
		return
	case !given:
		text = defaultAdmin
	}
	socket, f := parseSocket(text, defaultAdminPort)
	for key, open := range map[string][]netip.AddrPort{"dns": l.config.Listen.DNS, "dot": l.config.Listen.DoT, "doh": l.config.Listen.DoH} {
		for _, other := range open { // which do not overlap each other
			if f == nil && overlap(socket, other) {
				f = faultf("write another port", "%q is taken by listen.%s", text, key)
			}
		}
	}
	if f == nil && !hasToken && !socket.Addr().IsLoopback() {
		f = openWithoutToken(text, socket)
	}
	if f != nil {
		l.rep.add(t.place("admin"), f)
		return
	}
	l.config.Listen.Admin = socket
}

// openWithoutToken is the fault of an address that other machines can reach, where
// nobody could tell who reloads and flushes.
func openWithoutToken(text string, socket netip.AddrPort) *fault {
	loopback := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), socket.Port())
	return faultf("name a file that holds a token in listen.admin_token_file, or write \""+loopback.String()+"\"",
		"%q can be reached from other machines, and there is no token", text)
}

// adminToken reads the file that holds the token. It reports whether one is meant to
// be there, even if it is faulty: that fault is enough.
func (l *loader) adminToken(t table, files files) bool {
	name, given := t.text("admin_token_file", "admin.token")
	if !given {
		return t.has("admin_token_file")
	}
	path := files.path(name)
	data, err := files.readSmall(path)
	if err != nil {
		l.rep.add(t.place("admin_token_file"), faultf("write the path of a file that this user can "+
			"read, relative to the directory of this one", "%s", err))
		return true
	}
	token := strings.TrimSpace(string(data))
	if f := tokenFault(name, token); f != nil {
		l.rep.add(t.place("admin_token_file"), f)
		return true
	}
	l.config.Listen.AdminToken, l.config.Listen.AdminTokenFile = token, path
	return true
}

// tokenFault refuses what can be guessed, and what does not fit into a header.
func tokenFault(name, token string) *fault {
	const remedy = "write one line into it, such as \"openssl rand -hex 32\" prints"
	strange := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case token == "":
		return faultf(remedy, "%q is empty", name)
	case strings.ContainsFunc(token, strange):
		return faultf(remedy, "the token in %q has characters other than the visible ones of ASCII", name)
	case len(token) < minAdminToken:
		return faultf(remedy, "the token in %q has %d characters, fewer than %d", name, len(token), minAdminToken)
	}
	return nil
}

// adminHosts reads the names that browsers and programs call the admin server by.
func adminHosts(t table) []string {
	entries, _ := t.texts("admin_hosts", "pldns.contoso.com")
	var hosts []string
	for _, e := range entries {
		name, err := zones.ParseName(e.text)
		if err != nil || strings.ContainsAny(e.text, ":/*") {
			t.rep.add(e.place, faultf(`write a host name without scheme and port, such as "pldns.contoso.com"`,
				"%q is no host name", e.text))
			continue
		}
		if !slices.Contains(hosts, name.String()) {
			hosts = append(hosts, name.String())
		}
	}
	return hosts
}
