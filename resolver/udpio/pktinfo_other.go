//go:build !linux

package udpio

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// LocalAddr reads the local address out of the control messages of a packet and
// makes those of the reply.
func LocalAddr(control []byte) (local netip.Addr, reply []byte) {
	var v4 ipv4.ControlMessage
	if v4.Parse(control) == nil && v4.Dst != nil {
		return address(v4.Dst), (&ipv4.ControlMessage{Src: v4.Dst}).Marshal()
	}
	var v6 ipv6.ControlMessage
	if v6.Parse(control) != nil || v6.Dst == nil {
		return netip.Addr{}, nil
	}
	source := &ipv6.ControlMessage{Src: v6.Dst}
	if v6.Dst.IsLinkLocalUnicast() {
		source.IfIndex = v6.IfIndex // such an address means nothing without it
	}
	return address(v6.Dst), source.Marshal()
}

// address is ip as netip has it.
func address(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
