package resolver

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Designated are the encrypted ways to this server that clients are told of who ask for
// them (Discovery of Designated Resolvers, RFC 9462). The zero value tells nobody.
//
// A client is told only what leads it to the network that it is in: by the name, the path
// and the address that it would use then. So whoever upgrades is answered as before.
type Designated struct {
	// Listeners are those for encrypted DNS, in the order in which they are preferred.
	Listeners []EncryptedListener
	// Names are those that the certificates are for, without wildcards, in the order in
	// which they are preferred. Holds are the addresses that the certificate is for, too,
	// which is shown to a client that comes by a name: one of these, or of a network's.
	Names []zones.Name
	Holds map[zones.Name][]netip.Addr
	// Networks are those to which other names or addresses belong, by their name.
	Networks map[string]DesignatedTo
	// Addresses are where clients reach the listeners, for networks that say nothing
	// else: see [DesignatedTo].
	Addresses []netip.Addr
}

// DesignatedTo is what is particular to the clients of one network.
type DesignatedTo struct {
	Names []zones.Name // that only this network knows the server by; they come first
	Paths []string     // what may follow [zones.DoHPath]
	// Addresses are where its clients reach the listeners. Nil stands for the address
	// that was asked, if a listener was opened at it or the certificate holds it: it may
	// be that of a container, so that otherwise clients are told the name alone. Empty
	// stands for nowhere: clients are told nothing.
	Addresses []netip.Addr
}

// EncryptedListener is a listener for encrypted DNS.
type EncryptedListener struct {
	// Addr is what it was opened at. An unspecified address receives at every address of
	// the family, [::] at those of both.
	Addr netip.AddrPort
	// ALPN are the protocols that it speaks, as RFC 9461 calls them: dot, doq, h2, h3.
	ALPN []string
	// HTTP says that it has paths.
	HTTP bool
}

// The following are of RFC 9461 and 9462.
const (
	resolverArpa  = "resolver.arpa."
	attrleaf      = "_dns."
	designatedTTL = 300 // seconds: what is opened or closed is known soon
	// mostNames is how many names are tried for a client that asks in general.
	mostNames = 64
)

// concerns tells whether q asks for something that a designated resolver may have.
func (d *Designated) concerns(q *Query) bool {
	return (q.Type == dns.TypeSVCB || q.Type == dns.TypeANY) && len(d.Listeners) > 0 && strings.HasPrefix(q.Name.FQDN(), attrleaf)
}

// designated answers whoever asks for the encrypted ways to this server, in general or to
// the server of a name. What the operator wrote about the name goes before.
func (s *Snapshot) designated(q *Query, network *zones.Network) (Answer, bool) {
	if found := network.Lookup(q.Name, dns.TypeSVCB); found.Owned() && !found.Zone.Special && found.Kind != zones.Copied {
		return Answer{}, false
	}
	to := s.encrypted.Networks[network.Name()]
	addresses := to.Addresses
	if addresses == nil {
		addresses = s.encrypted.Addresses
	}
	if addresses != nil && len(addresses) == 0 {
		return Answer{}, false
	}
	wanted := q.Name.FQDN()[len(attrleaf):]
	general, tried := wanted == resolverArpa, 0
	for _, names := range [][]zones.Name{to.Names, s.encrypted.Names} {
		for _, name := range names {
			if !general && wanted != name.FQDN() {
				continue
			}
			if tried++; tried > mostNames {
				return Answer{}, false
			}
			if records := s.ways(q, network, name, to.Paths, addresses); len(records) > 0 {
				return Answer{Records: records, Authoritative: true, Source: FromLocal, Network: network.Name()}, true
			}
		}
	}
	return Answer{}, false
}

// ways are the records of the listeners that lead a client to its network by a name.
func (s *Snapshot) ways(q *Query, network *zones.Network, name zones.Name, paths []string, addresses []netip.Addr) (records []dns.RR) {
	for _, l := range s.encrypted.Listeners {
		at, hints, reached := s.encrypted.reach(l, name, q.Client, addresses)
		if !reached {
			continue
		}
		path, leads := s.pathTo(q.Client, network, name, at, l.HTTP, paths)
		if !leads {
			continue
		}
		record := &dns.SVCB{
			Hdr:      dns.RR_Header{Name: q.Spelling, Rrtype: dns.TypeSVCB, Class: dns.ClassINET, Ttl: designatedTTL},
			Priority: uint16(len(records) + 1), Target: name.FQDN(),
			Value: []dns.SVCBKeyValue{&dns.SVCBAlpn{Alpn: l.ALPN}, &dns.SVCBPort{Port: l.Addr.Port()}},
		}
		record.Value = append(record.Value, hinting(hints)...)
		if l.HTTP {
			record.Value = append(record.Value, &dns.SVCBDoHPath{Template: path + "{?dns}"})
		}
		records = append(records, record)
	}
	return records
}

// reach is the local address at which a client would come to a listener by a name, and
// which addresses it is told. Where nothing else is said, the listener has to receive at the
// address that was asked. Whoever came through a Private Link Service has asked another
// than this server knows.
func (d *Designated) reach(l EncryptedListener, name zones.Name, client zones.Client, addresses []netip.Addr) (
	at netip.AddrPort, told []netip.Addr, reached bool) {
	asked, opened := client.Listener.Addr(), l.Addr.Addr()
	receives := asked.IsValid() && (opened == asked || opened == netip.IPv6Unspecified() || opened.IsUnspecified() && asked.Is4())
	switch {
	case addresses == nil && (!receives || client.Shown != nil && client.Shown.Linked):
		return netip.AddrPort{}, nil, false
	case addresses == nil && (opened == asked || slices.Contains(d.Holds[name], asked)):
		addresses = []netip.Addr{asked}
	case !receives:
		asked = opened
	}
	return netip.AddrPortFrom(asked, l.Addr.Port()), addresses, true
}

// pathTo is the path of an HTTP listener by which a client that asks for the server by a
// name comes to its network, and whether there is one. Other listeners have none.
func (s *Snapshot) pathTo(client zones.Client, network *zones.Network, name zones.Name, at netip.AddrPort, http bool,
	paths []string) (path string, leads bool) {
	shown := zones.Shown{ServerName: name}
	if client.Shown != nil {
		shown.Link, shown.Linked = client.Shown.Link, client.Shown.Linked
	}
	client.Listener, client.Shown = at, &shown
	if to, _ := s.table.NetworkOf(client); to == network {
		return zones.DoHPath, true
	}
	for _, shown.Path = range paths {
		if to, _ := s.table.NetworkOf(client); http && to == network {
			return zones.DoHPath + "/" + shown.Path, true
		}
	}
	return "", false
}

// hinting are the address hints of a record, by family.
func hinting(addresses []netip.Addr) (values []dns.SVCBKeyValue) {
	var v4, v6 []net.IP
	for _, addr := range addresses {
		if addr.Is4() {
			v4 = append(v4, addr.AsSlice())
		} else {
			v6 = append(v6, addr.AsSlice())
		}
	}
	if len(v4) > 0 {
		values = append(values, &dns.SVCBIPv4Hint{Hint: v4})
	}
	if len(v6) > 0 {
		values = append(values, &dns.SVCBIPv6Hint{Hint: v6})
	}
	return values
}
