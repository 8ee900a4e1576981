package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/netip"
)

// The PROXY protocol, version 2, as HAProxy defines it: a header of a signature,
// command, family and length, then addresses, then type-length-value fields.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyHead      = 16 // octets up to the length, and with it

	proxyLocal = 0x20 // the proxy itself asks, as in a health check
	proxyProxy = 0x21 // somebody asks through it

	tlvChecksum = 0x03
	// tlvAzure holds what Azure adds; azureLink is the link id of the Private Link
	// Service connection, four octets with the lowest first.
	tlvAzure  = 0xEE
	azureLink = 0x01
)

// errProxy is a header that is absent, or not one of the PROXY protocol version 2.
var errProxy = errors.New("there is no proper PROXY protocol header")

// proxied is what a PROXY header says.
type proxied struct {
	source netip.Addr // who asks; not valid if the header names nobody
	link   uint32
	linked bool
}

// hasProxyHeader tells whether octets begin as a PROXY header does. No query
// begins so: it would have 2641 questions.
func hasProxyHeader(octets []byte) bool {
	return len(octets) >= len(proxySignature) && string(octets[:len(proxySignature)]) == proxySignature
}

// parseProxy reads the header at the beginning of a packet, and gives what stands
// behind it.
func parseProxy(packet []byte) (header proxied, rest []byte, err error) {
	if !hasProxyHeader(packet) || len(packet) < proxyHead {
		return proxied{}, nil, errProxy
	}
	size := proxyHead + int(binary.BigEndian.Uint16(packet[14:]))
	if len(packet) < size {
		return proxied{}, nil, errProxy
	}
	header, err = parseProxyHeader(packet[:size])
	return header, packet[size:], err
}

// readProxy reads the header at the beginning of a stream, and not one octet more.
func readProxy(stream io.Reader) (proxied, error) {
	head := make([]byte, proxyHead)
	if _, err := io.ReadFull(stream, head); err != nil {
		return proxied{}, err
	}
	if !hasProxyHeader(head) {
		return proxied{}, errProxy
	}
	var rest bytes.Buffer // grows with what arrives
	if _, err := io.CopyN(&rest, stream, int64(binary.BigEndian.Uint16(head[14:]))); err != nil {
		return proxied{}, err
	}
	return parseProxyHeader(append(head, rest.Bytes()...))
}

// parseProxyHeader reads a whole header. What it says of a connection that the
// proxy made by itself does not matter.
func parseProxyHeader(header []byte) (p proxied, err error) {
	command, family, body := header[12], header[13], header[proxyHead:]
	switch {
	case command == proxyLocal:
		return proxied{}, nil
	case command != proxyProxy:
		return proxied{}, errProxy
	}
	size := 0 // of an address
	switch family >> 4 {
	case 0: // unspecified
	case 1:
		size = 4
	case 2:
		size = 16
	default:
		return proxied{}, errProxy
	}
	if transport := family & 0xF; transport > 2 || (transport == 0) != (size == 0) {
		return proxied{}, errProxy
	}
	if size > 0 {
		if len(body) < 2*size+4 {
			return proxied{}, errProxy
		}
		addr, _ := netip.AddrFromSlice(body[:size])
		p.source = addr.Unmap()
		body = body[2*size+4:]
	}
	return p, p.readFields(header, body)
}

// readFields reads the fields behind the addresses of a header.
func (p *proxied) readFields(header, fields []byte) error {
	for len(fields) > 0 {
		at := len(header) - len(fields)
		if len(fields) < 3 {
			return errProxy
		}
		size := int(binary.BigEndian.Uint16(fields[1:]))
		if len(fields) < 3+size {
			return errProxy
		}
		value := fields[3 : 3+size]
		switch {
		case fields[0] == tlvChecksum && !checksumFits(header, at+3, size):
			return errProxy
		case fields[0] == tlvAzure && size > 0 && value[0] == azureLink:
			if p.linked || size != 5 {
				return errProxy // who may it be then?
			}
			p.link, p.linked = binary.LittleEndian.Uint32(value[1:]), true
		}
		fields = fields[3+size:]
	}
	return nil
}

// checksumFits tells whether a header has the CRC32c that stands in it at an
// offset, which is made with zeros in its own place.
func checksumFits(header []byte, at, size int) bool {
	if size != 4 {
		return false
	}
	blank := bytes.Clone(header)
	clear(blank[at : at+size])
	return crc32.Checksum(blank, crc32.MakeTable(crc32.Castagnoli)) == binary.BigEndian.Uint32(header[at:])
}
