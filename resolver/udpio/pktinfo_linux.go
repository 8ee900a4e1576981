package udpio

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// LocalAddr reads the local address out of the control messages of a packet. It
// makes them those of the reply, in place and without allocating: the same
// structure serves both ways. The interface is cleared, so that the reply follows the
// routing table, except for link-local addresses, which mean nothing without it.
func LocalAddr(control []byte) (local netip.Addr, reply []byte) {
	for rest := control; len(rest) > 0; {
		header, data, next, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			break
		}
		size := len(rest) - len(next)
		switch {
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: interface, address to answer from, address in the header.
			clear(data[:4])
			return netip.AddrFrom4([4]byte(data[4:8])), rest[:size]
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			// struct in6_pktinfo: address, interface.
			local = netip.AddrFrom16([16]byte(data[:16]))
			if !local.IsLinkLocalUnicast() {
				clear(data[16:20])
			}
			return local, rest[:size]
		}
		rest = next
	}
	return netip.Addr{}, nil
}
