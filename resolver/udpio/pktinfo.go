package udpio

import (
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// A socket on a wildcard address is told with every packet which local address
// it was sent to (IP_PKTINFO, IPV6_PKTINFO of RFC 3542), and says with every
// reply that it is to leave from there: a client takes no answer from an address
// it did not ask, and a network may be known by the address it asks.

// ControlSize is room for the control message of either family.
const ControlSize = 64

// EnablePacketInfo asks for the local address of every packet that conn reads. The error
// is the system's.
func EnablePacketInfo(conn *net.UDPConn, is6 bool) error {
	if is6 {
		return ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	}
	return ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
}
