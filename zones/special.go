package zones

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// IsSpecial reports whether the name is the apex of a zone that is answered here
// so that no question about it reaches the public: the reverse zones of private
// and reserved addresses (RFC 6303 section 4, RFC 7793) and special-use names
// (RFC 6761, RFC 7686, RFC 8375, RFC 9462 section 6.4).
func IsSpecial(name Name) bool {
	if !strings.HasSuffix(name.text, ".arpa.") { // nearly all names
		return name.text == "localhost." || name.text == "invalid." || name.text == "onion."
	}
	switch name.text {
	case "home.arpa.", "resolver.arpa.",
		"0.in-addr.arpa.", "10.in-addr.arpa.", "127.in-addr.arpa.", "254.169.in-addr.arpa.",
		"168.192.in-addr.arpa.", "2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa.",
		"113.0.203.in-addr.arpa.", "255.255.255.255.in-addr.arpa.",
		"d.f.ip6.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.",
		"8.b.d.0.1.0.0.2.ip6.arpa.",
		"0." + ip6Zeros + "ip6.arpa.", "1." + ip6Zeros + "ip6.arpa.":
		return true
	}
	return isSecondOctet(name.text, ".172.in-addr.arpa.", 16, 31) ||
		isSecondOctet(name.text, ".100.in-addr.arpa.", 64, 127)
}

// ip6Zeros are the 31 zero nibbles that the addresses :: and ::1 share.
const ip6Zeros = "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."

// isSecondOctet reports whether text is one octet of the range followed by suffix.
func isSecondOctet(text, suffix string, first, last int) bool {
	octet, found := strings.CutSuffix(text, suffix)
	if !found {
		return false
	}
	value, err := strconv.Atoi(octet)
	return err == nil && value >= first && value <= last && octet == strconv.Itoa(value)
}

// lookupSpecial answers the names whose records follow from a rule: the loopback
// names, the resolver's own name, and the reverse of mapped addresses.
func (n *Network) lookupSpecial(name Name, qtype uint16) (Result, bool) {
	if strings.HasSuffix(name.text, ".arpa.") {
		if prefix, is := reversePrefix(name); is {
			return n.lookupReverse(name, prefix, qtype)
		}
		if zone, in := n.zoneAt(name); in && zone.Special && name.text == "_dns.resolver.arpa." {
			// RFC 9462 section 6.4: no designated resolver is NODATA, not NXDOMAIN.
			return Result{Kind: NoData, SOA: SOA(zone.Name), Zone: zone, Owner: name}, true
		}
		return Result{}, false
	}
	if zone, in := n.zoneAt(name); in && zone.Special && zone.Name.text == "localhost." {
		return lookupLoopback(name, zone, qtype), true
	}
	return Result{}, false
}

// lookupLoopback answers localhost and the names below it (RFC 6761 section 6.3).
func lookupLoopback(name Name, zone Zone, qtype uint16) Result {
	loopback := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	if qtype == dns.TypeANY {
		qtype = dns.TypeA
	}
	if records := addressRecords(loopback, DefaultTTL, name, qtype); len(records) > 0 {
		return Result{Kind: Records, Records: records, Zone: zone, Owner: name}
	}
	return Result{Kind: NoData, SOA: SOA(zone.Name), Zone: zone, Owner: name}
}

// maxPTR bounds the names given for one address, so that a reverse answer fits
// a UDP message however many names share the address.
const maxPTR = 16

// LookupReverse answers the reverse name of an address that endpoints have, which a copy of
// its zone may lack; false for any other name.
func (n *Network) LookupReverse(name Name, qtype uint16) (Result, bool) {
	if prefix, is := reversePrefix(name); is && prefix.IsSingleIP() {
		return n.lookupReverse(name, prefix, qtype)
	}
	return Result{}, false
}

// lookupReverse answers the reverse name of a prefix: of a mapped address with
// the names that have it here, of a shorter prefix that holds mapped addresses
// with nothing, because it exists. It does not decide the rest.
func (n *Network) lookupReverse(name Name, prefix netip.Prefix, qtype uint16) (Result, bool) {
	zone, inZone := n.zoneAt(name)
	if !prefix.IsSingleIP() {
		if !inZone || zone.Missing == Forward || name == zone.Name || !n.mapsWithin(prefix) {
			return Result{}, false
		}
		return Result{Kind: NoData, SOA: SOA(zone.Name), Zone: zone, Owner: name}, true
	}
	mapped := n.mappedTo(prefix.Addr())
	if len(mapped) == 0 {
		return Result{}, false
	}
	result := Result{Kind: NoData, Zone: zone, Owner: name, Endpoint: n.mapped.ofAddress(mapped[0])}
	if qtype != dns.TypePTR && qtype != dns.TypeANY {
		result.SOA = SOA(n.authorityOf(result, name))
		return result, true
	}
	result.Kind = Records
	for _, place := range mapped[:min(len(mapped), maxPTR)] {
		endpoint := n.mapped.ofAddress(place)
		result.Records = append(result.Records, &dns.PTR{
			Hdr: header(name, dns.TypePTR, endpoint.TTL()), Ptr: endpoint.Name().FQDN(),
		})
	}
	return result, true
}

// reversePrefix reads a name of in-addr.arpa or ip6.arpa as the prefix it stands
// for (RFC 1035 section 3.5, RFC 3596 section 2.5).
func reversePrefix(name Name) (netip.Prefix, bool) {
	if digits, is := strings.CutSuffix(name.text, ".in-addr.arpa."); is {
		return reverse4(strings.Split(digits, "."))
	}
	if digits, is := strings.CutSuffix(name.text, ".ip6.arpa."); is {
		return reverse6(strings.Split(digits, "."))
	}
	return netip.Prefix{}, false
}

func reverse4(labels []string) (netip.Prefix, bool) {
	var octets [4]byte
	if len(labels) > len(octets) {
		return netip.Prefix{}, false
	}
	for i, label := range labels {
		value, err := strconv.ParseUint(label, 10, 8)
		if err != nil || label != strconv.FormatUint(value, 10) {
			return netip.Prefix{}, false
		}
		octets[len(labels)-1-i] = byte(value)
	}
	return netip.PrefixFrom(netip.AddrFrom4(octets), 8*len(labels)), true
}

func reverse6(labels []string) (netip.Prefix, bool) {
	var nibbles [16]byte
	if len(labels) > 2*len(nibbles) {
		return netip.Prefix{}, false
	}
	for i, label := range labels {
		value, err := strconv.ParseUint(label, 16, 4)
		if err != nil || len(label) != 1 {
			return netip.Prefix{}, false
		}
		at := len(labels) - 1 - i
		nibbles[at/2] |= byte(value) << (4 * (1 - at%2))
	}
	return netip.PrefixFrom(netip.AddrFrom16(nibbles), 4*len(labels)), true
}
