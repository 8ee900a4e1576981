package udpio

import (
	"net"

	"golang.org/x/sys/unix"
)

// NeverFragment makes the system ignore what it was told about the path MTU: a
// forged ICMP message could otherwise have replies fragmented on their way out,
// and the second half of a fragmented reply is easily replaced (RFC 9715). No
// reply is large enough to need it. A system that cannot do so serves all the same.
func NeverFragment(conn *net.UDPConn, is6 bool) {
	level, option, value := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT
	if is6 {
		level, option, value = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), level, option, value) })
}
