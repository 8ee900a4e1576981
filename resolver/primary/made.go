package primary

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/content"
)

const (
	// host is what the SOA and NS records of a made zone name. It is the same at every instance,
	// and a name that cannot be (RFC 6761 section 6.4): nobody is to ask there, or send updates.
	host = "ns.invalid."
	// nsTTL is the TTL of the NS record, in seconds.
	nsTTL = 3600
)

// Make makes a zone of what a network has in it: the addresses of endpoints at their privatelink
// names, wildcards too, the public names of endpoints as aliases where the zone holds those, and the
// operator's records. Of an endpoint all addresses are written, whatever its pick and its probes
// say: health changes by the second, and a secondary keeps a record for as long as its TTL. Names
// of a longer zone of the network are not part of it. Where the network asks upstream about missing
// names, whoever answers from the zone denies them.
//
// The error says why that is no zone.
func Make(network *zones.Network, zone zones.Name, serial uint32) (*content.Zone, error) {
	made, err := content.New(zone, records(network, zone, serial))
	if err != nil {
		return nil, fmt.Errorf("make the zone of what network %s has: %w", network.Name(), err)
	}
	return made, nil
}

// maker yields the records of one zone.
type maker struct {
	zone   zones.Name
	longer []zones.Name // zones of the network within it
	yield  func(dns.RR) bool
}

func records(network *zones.Network, zone zones.Name, serial uint32) iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		m := maker{zone: zone, yield: yield}
		for _, other := range network.Zones() {
			if other.Name != zone && other.Name.Within(zone) {
				m.longer = append(m.longer, other.Name)
			}
		}
		soa := zones.SOA(zone)
		soa.Ns, soa.Serial = host, serial
		ns := &dns.NS{Hdr: header(zone, dns.TypeNS, nsTTL), Ns: host}
		if !yield(soa) || !yield(ns) {
			return
		}
		for rr := range network.Records() {
			if m.holds(zones.NameOf(rr.Header().Name)) && !yield(dns.Copy(rr)) { // who packs a record writes into it
				return
			}
		}
		for endpoint := range network.Endpoints() {
			if !m.endpoint(endpoint) {
				return
			}
		}
	}
}

// holds tells whether the zone is the longest that a name is in.
func (m *maker) holds(name zones.Name) bool {
	return name.Within(m.zone) && !slices.ContainsFunc(m.longer, name.Within)
}

// endpoint yields the records of an endpoint that the zone holds.
func (m *maker) endpoint(e zones.Mapping) bool {
	name, private := e.Name(), e.Private()
	if !private.IsZero() && private != name {
		if m.holds(private) && !m.addresses(private, e) {
			return false
		}
		// An alias cannot stand at the apex (RFC 1034 section 3.6.2), and what that of a wildcard
		// leads to depends on the name that is asked for.
		if m.holds(name) && name != m.zone && !name.IsWildcard() {
			return m.yield(&dns.CNAME{Hdr: header(name, dns.TypeCNAME, e.TTL()), Target: private.FQDN()})
		}
	}
	return !m.holds(name) || m.addresses(name, e)
}

func (m *maker) addresses(owner zones.Name, e zones.Mapping) bool {
	for _, addr := range e.Addresses() {
		if !m.yield(address(owner, addr, e.TTL())) {
			return false
		}
	}
	return true
}

func address(owner zones.Name, addr netip.Addr, ttl uint32) dns.RR {
	if addr.Is4() {
		return &dns.A{Hdr: header(owner, dns.TypeA, ttl), A: addr.AsSlice()}
	}
	return &dns.AAAA{Hdr: header(owner, dns.TypeAAAA, ttl), AAAA: addr.AsSlice()}
}

func header(owner zones.Name, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: owner.FQDN(), Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// Serial is that of a change at a time, to a zone that has had another before; 0 for none.
func Serial(before uint32, at time.Time) uint32 {
	now := uint32(at.Unix())
	if before != 0 && !content.IsNewer(now, before) {
		now = before + 1
	}
	return cmp.Or(now, 1) // 0 stands for none
}

// digest is that of all records but the SOA.
func digest(zone *content.Zone) string {
	sum := sha256.New()
	for rr := range zone.Records() {
		if rr.Header().Rrtype != dns.TypeSOA {
			fmt.Fprintln(sum, rr)
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
