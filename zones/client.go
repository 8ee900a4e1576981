package zones

import "net/netip"

// Client is what is known of the asker before any name is looked at: the
// address it asks from and the door it came through.
type Client struct {
	// Addr is the address it asks from, without an IPv6 zone, IPv4 never mapped
	// into IPv6: see [NewClient].
	Addr netip.Addr
	// Listener is the local address that the query reached, never unspecified.
	// The zero value says that it is unknown, as in an explanation that names none.
	Listener netip.AddrPort
}

// NewClient brings addresses as sockets report them into the form of a Client.
func NewClient(addr netip.Addr, listener netip.AddrPort) Client {
	if listener.IsValid() {
		listener = netip.AddrPortFrom(plain(listener.Addr()), listener.Port())
	}
	return Client{Addr: plain(addr), Listener: listener}
}

// plain drops what two spellings of one address may differ in.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
