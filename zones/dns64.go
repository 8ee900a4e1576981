package zones

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// DNS64 is how a network reaches IPv4 from hosts that have IPv6 alone: a NAT64 translates
// the addresses below a prefix, and DNS puts IPv4 addresses into it (RFC 6147).
type DNS64 struct {
	prefix netip.Prefix
	// exclude are IPv6 addresses that count as none, and IPv4 addresses that no
	// IPv6 address is made of.
	exclude []netip.Prefix
}

// wellKnown64 is the prefix that stands for the IPv4 Internet, whoever translates it. No
// address that is not used there may be put into it (RFC 6052 section 3.1).
var wellKnown64 = netip.MustParsePrefix("64:ff9b::/96")

// mapped4 are the addresses that stand for IPv4 within a host. They are no way to reach it,
// so they always count as none (RFC 6147 section 5.1.4).
var mapped4 = netip.MustParsePrefix("::ffff:0:0/96")

// lengths64 are the lengths that a prefix may have (RFC 6052 section 2.2).
var lengths64 = []int{32, 40, 48, 56, 64, 96}

// NewDNS64 puts IPv4 addresses into the prefix of a NAT64. Of those to be excluded, the
// IPv6 prefixes hold addresses that are answered as if they were not there, and the IPv4
// prefixes hold addresses that are never put into one. The error says what is wrong with the
// prefix.
func NewDNS64(prefix netip.Prefix, exclude ...netip.Prefix) (*DNS64, error) {
	octets := prefix.Addr().As16()
	switch {
	case !prefix.Addr().Is6() || prefix.Addr().Is4In6() || !slices.Contains(lengths64, prefix.Bits()):
		return nil, fmt.Errorf("%s is no IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)", prefix)
	case prefix != prefix.Masked():
		return nil, fmt.Errorf("%s has bits after its length: the prefix is %s", prefix, prefix.Masked())
	case octets[8] != 0:
		return nil, fmt.Errorf("%s has bits from 64 to 71 that are not 0 (RFC 6052)", prefix)
	}
	return &DNS64{prefix: prefix, exclude: append(exclude, mapped4)}, nil
}

// Prefix is the prefix of the NAT64.
func (d *DNS64) Prefix() netip.Prefix { return d.prefix }

// Excludes tells whether an IPv6 address counts as none, or an IPv4 address has none made
// of it. Of the well-known prefix these are also private ones, but not those of
// ipv4only.arpa, by which hosts find the prefix (RFC 7050).
func (d *DNS64) Excludes(addr netip.Addr) bool {
	unfit := addr.IsUnspecified() || addr.IsMulticast() || IsPrivate(addr)
	return addr.Is4() && d.prefix == wellKnown64 && unfit ||
		slices.ContainsFunc(d.exclude, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Embed is the IPv6 address that the NAT64 translates to an IPv4 address (RFC 6052 section
// 2.2); false for one that is excluded. Octet 8 of an address is not used.
func (d *DNS64) Embed(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is4() || d.Excludes(addr) {
		return netip.Addr{}, false
	}
	octets, at := d.prefix.Addr().As16(), d.prefix.Bits()/8
	for _, octet := range addr.As4() {
		if at == 8 {
			at++
		}
		octets[at] = octet
		at++
	}
	return netip.AddrFrom16(octets), true
}

// extract is the IPv4 address in an address below the prefix.
func (d *DNS64) extract(addr netip.Addr) netip.Addr {
	octets, at := addr.As16(), d.prefix.Bits()/8
	var inner [4]byte
	for i := range inner {
		if at == 8 {
			at++
		}
		inner[i] = octets[at]
		at++
	}
	return netip.AddrFrom4(inner)
}

// Reverse is the name below in-addr.arpa that a name below ip6.arpa is an alias of,
// because it stands for an address that the NAT64 translates (RFC 6147 section 5.3.1).
func (d *DNS64) Reverse(name Name) (Name, bool) {
	digits, is := strings.CutSuffix(name.text, ".ip6.arpa.")
	if nibbles := strings.Split(digits, "."); is && len(nibbles) == 32 {
		slices.Reverse(nibbles)
		octets, err := hex.DecodeString(strings.Join(nibbles, ""))
		if addr, fits := netip.AddrFromSlice(octets); err == nil && fits && d.prefix.Contains(addr) {
			inner := d.extract(addr)
			if again, embedded := d.Embed(inner); embedded && again == addr {
				o := inner.As4()
				return NameOf(fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", o[3], o[2], o[1], o[0])), true
			}
		}
	}
	return Name{}, false
}
