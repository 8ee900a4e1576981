package listen

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

// subnet is the EDNS client subnet of a query (RFC 7871 section 6). Only that of a
// trusted forwarder is ever looked at, and none is passed on.
type subnet struct {
	data   []byte       // as it came, part of the packet
	given  bool         // there is one that counts, read into what follows
	family uint16       // of the option
	prefix netip.Prefix // not valid if it names nobody
}

const (
	subnetHead = 4 // octets before the address
	familyIPv4 = 1
	familyIPv6 = 2
)

// read reads the option. It is strict: taking a broken one for none would make the
// forwarder the client (RFC 7871 section 7.1.2).
func (s *subnet) read() bool {
	if len(s.data) < subnetHead {
		return false
	}
	s.given, s.family = true, binary.BigEndian.Uint16(s.data)
	bits, scope, octets := int(s.data[2]), s.data[3], s.data[subnetHead:]
	if scope != 0 || len(octets) != (bits+7)/8 {
		return false
	}
	var addr netip.Addr
	switch {
	case s.family == familyIPv4 && bits <= 32:
		var full [4]byte
		copy(full[:], octets)
		addr = netip.AddrFrom4(full)
	case s.family == familyIPv6 && bits <= 128:
		var full [16]byte
		copy(full[:], octets)
		addr = netip.AddrFrom16(full)
	default:
		return s.family == 0 && bits == 0
	}
	prefix := netip.PrefixFrom(addr, bits)
	if bits == 0 {
		return true // nothing is to be known of the client
	}
	s.prefix = prefix
	return prefix == prefix.Masked() && !addr.Is4In6()
}

// size is the number of octets that the option takes in a reply, if it is given.
func (s *subnet) size() int {
	return wire.OptionHead + subnetHead + (max(s.prefix.Bits(), 0)+7)/8
}

// append appends the option to a message that ends in the OPT record at opt. The answer
// holds for the whole of the prefix and is not known to hold for more: its length
// is the scope (RFC 7871 section 7.2.1).
func (s *subnet) append(message []byte, opt int) []byte {
	bits := max(s.prefix.Bits(), 0)
	var data [subnetHead + 16]byte
	binary.BigEndian.PutUint16(data[:], s.family)
	data[2], data[3] = byte(bits), byte(bits)
	octets := subnetHead + (bits+7)/8
	if bits > 0 && s.prefix.Addr().Is4() {
		addr := s.prefix.Addr().As4()
		copy(data[subnetHead:], addr[:])
	} else if bits > 0 {
		addr := s.prefix.Addr().As16()
		copy(data[subnetHead:], addr[:])
	}
	return wire.AppendOption(message, opt, dns.EDNS0SUBNET, data[:octets])
}

// paddingBlock is what the length of padded replies is a multiple of (RFC 8467 section
// 4.1).
const paddingBlock = 468

// pad appends to a message that ends in the OPT record at opt the padding that makes its
// length a multiple of the block (RFC 7830, RFC 8467), if there is room for it.
func pad(message []byte, opt int) []byte {
	size := len(message) + wire.OptionHead
	fill := (paddingBlock - size%paddingBlock) % paddingBlock
	if size+fill > wire.MaxMessage {
		return message
	}
	message, _ = wire.GrowOption(message, opt, dns.EDNS0PADDING, fill)
	return message
}
