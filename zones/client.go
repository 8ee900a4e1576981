package zones

import (
	"iter"
	"net/netip"
)

// Client is what is known of the asker before any name is looked at: the
// address it asks from and the ingress it came through. It is comparable.
type Client struct {
	// Addr is the address it asks from, without an IPv6 zone, IPv4 never mapped
	// into IPv6: see [NewClient].
	Addr netip.Addr
	// Bits is how many leading bits of Addr are known, where a forwarder told no
	// more (RFC 7871); the zero value says that all of them are.
	Bits uint8
	// Listener is the local address that the query reached, never unspecified.
	// The zero value says that it is unknown, as in an explanation that names none.
	Listener netip.AddrPort
	// Shown is what it showed besides; nil for nothing, as over plain DNS.
	Shown *Shown
}

// Shown is what a client shows of itself at an ingress that asks for more than an
// address. It is not changed once a query carries it.
type Shown struct {
	// Link is the link id of the Azure Private Link Service that it came through;
	// it means nothing unless Linked.
	Link   uint32
	Linked bool
	// Certificates are the DNS names of its certificate, which has been verified.
	Certificates []Name
	// Path is what follows the common path of DNS over HTTPS in the URL it asked;
	// empty for nothing.
	Path string
	// ServerName is the name that it asked for the server by: TLS server name or
	// HTTP host. The zero Name for none.
	ServerName Name
}

// NewClient brings addresses as sockets report them into the form of a Client.
func NewClient(addr netip.Addr, listener netip.AddrPort) Client {
	if listener.IsValid() {
		listener = netip.AddrPortFrom(plain(listener.Addr()), listener.Port())
	}
	return Client{Addr: plain(addr), Listener: listener}
}

// Prefix is what is known of the address: all of it as a rule. It is not valid
// without an address.
func (c Client) Prefix() netip.Prefix {
	bits := int(c.Bits)
	if bits == 0 {
		bits = c.Addr.BitLen()
	}
	return netip.PrefixFrom(c.Addr, bits)
}

// String is the address, or the prefix where no more is known.
func (c Client) String() string {
	if c.Bits == 0 || int(c.Bits) == c.Addr.BitLen() {
		return c.Addr.String()
	}
	return c.Prefix().String()
}

// plain drops what two spellings of one address may differ in.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// Cover reports whether prefixes, in the order of their addresses, together hold all
// of another.
func Cover(whole netip.Prefix, parts iter.Seq[netip.Prefix]) bool {
	next, end := whole.Masked().Addr(), lastOf(whole) // next is the first that no part seen so far holds
	for part := range parts {
		last := lastOf(part)
		switch {
		case last.Less(next):
			continue // inside one that was seen
		case next.Less(part.Masked().Addr()):
			return false
		case !last.Less(end):
			return true
		}
		next = last.Next()
	}
	return false
}

// lastOf is the last address of a prefix.
func lastOf(prefix netip.Prefix) netip.Addr {
	octets := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < 8*len(octets); bit++ {
		octets[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(octets)
	return addr
}
