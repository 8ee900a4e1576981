//go:build !linux || portable

package udpio

import (
	"net"
	"net/netip"
)

// Conn is a UDP socket as package net has it.
type Conn struct {
	*net.UDPConn
	Worker *Worker // nil
}

// TakeOver makes a socket a Conn. The error is always nil.
func TakeOver(conn *net.UDPConn, posted func() bool) (*Conn, error) { return &Conn{UDPConn: conn}, nil }

// Send sends one packet with a control message, which may be empty. The error is the
// system's, or [net.ErrClosed].
func (c *Conn) Send(packet, control []byte, to netip.AddrPort) error {
	_, _, err := c.WriteMsgUDPAddrPort(packet, control, to)
	return err
}

// SendNow is Send: here a socket has room for a packet as a rule. The errors are those of
// Send.
func (c *Conn) SendNow(packet, control []byte, to netip.AddrPort) error {
	return c.Send(packet, control, to)
}
