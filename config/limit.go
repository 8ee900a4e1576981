package config

import "net/netip"

// Limit says how many queries a second each client is answered over UDP.
type Limit struct {
	Unlisted int // each client of no network; 0 is no limit
	Listed   int // each client of a network that says nothing of its own; 0 is no limit
	// Responses is how many replies of one kind a client gets in a second; 0 is no
	// limit.
	Responses int
	// Slip is which of the queries over a limit are answered with the TC bit; 0 for
	// none. ListedSlip is that of clients of networks.
	Slip, ListedSlip int
	// IPv4Prefix and IPv6Prefix are the lengths of the prefixes whose clients count
	// as one.
	IPv4Prefix, IPv6Prefix int
	Exempt                 []netip.Prefix // clients that are never limited
}

// limit reads the limits that hold for all networks, and for who has none.
func (l *loader) limit(root table) {
	t, _ := root.sub("limit")
	t.only("unlisted", "listed", "responses", "slip", "listed_slip", "ipv4_prefix", "ipv6_prefix", "exempt")
	l.config.Limit = Limit{
		Unlisted:   t.integer("unlisted", defaultUnlisted, 0, maxLimit),
		Listed:     t.integer("listed", defaultListed, 0, maxLimit),
		Responses:  t.integer("responses", defaultResponses, 0, maxLimit),
		Slip:       t.integer("slip", defaultSlip, 0, maxSlip),
		ListedSlip: t.integer("listed_slip", defaultListedSlip, 0, maxSlip),
		IPv4Prefix: t.integer("ipv4_prefix", defaultIPv4Prefix, minIPv4Prefix, 32),
		IPv6Prefix: t.integer("ipv6_prefix", defaultIPv6Prefix, minIPv6Prefix, 128),
		Exempt:     []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
	if t.has("exempt") {
		l.config.Limit.Exempt = l.prefixes(t, "exempt", "127.0.0.0/8", nil)
	}
}

// prefixes reads a list of prefixes, each of which may stand in it once and is
// refused where refuse says so.
func (l *loader) prefixes(t table, key, example string, refuse func(netip.Prefix, string) *fault) (list []netip.Prefix) {
	entries, _ := t.texts(key, example)
	list, _ = distinct(l.rep, entries, func(text string) (netip.Prefix, *fault) {
		prefix, f := parsePrefix(text)
		if f == nil && refuse != nil {
			f = refuse(prefix, text)
		}
		return prefix, f
	})
	return list
}
