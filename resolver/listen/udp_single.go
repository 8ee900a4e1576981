//go:build !linux || portable

package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"pldns/resolver"
)

// packetConn is a UDP socket as package net has it.
type packetConn struct{ *net.UDPConn }

func newPacketConn(conn *net.UDPConn) (*packetConn, error) { return &packetConn{conn}, nil }

// send sends one packet with a control message, which may be empty.
func (c *packetConn) send(packet, control []byte, to netip.AddrPort) error {
	_, _, err := c.WriteMsgUDPAddrPort(packet, control, to)
	return err
}

// spare does nothing: no reader here waits outside the poller.
func (s *Server) spare() (back func()) { return func() {} }

// bindShared opens the socket of a UDP address, for all its readers.
func bindShared(addr netip.AddrPort, readers int) ([]*udpSocket, error) {
	u, err := bindUDP(addr, net.ListenConfig{})
	if err != nil {
		return nil, err
	}
	u.readers = readers
	return []*udpSocket{u}, nil
}

// readPackets reads packets one by one until ctx ends; it is true if a panic
// ended it.
func (s *Server) readPackets(ctx, answering context.Context, socket *udpSocket) (again bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(udp, fault)
			again = true
		}
	}()
	packet, out, control := make([]byte, largestPacket), make([]byte, resolver.UDPSize), make([]byte, controlSize)
	d := s.datagram(socket)
	for {
		size, controlLen, _, peer, err := socket.conn.ReadMsgUDPAddrPort(packet, control)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return false
			}
			s.troubled(ctx, "cannot read from a socket", socket.local, err)
			continue
		}
		d.began = time.Now()
		d.memory.open(s.remembered, d.began)
		d.arrive(peer, control[:controlLen])
		became := s.receive(answering, packet[:size], d, out)
		if became.taken {
			d = s.datagram(socket)
		}
		if became.reply != nil {
			s.sendPacket(d, became.reply)
			became.tally.Add(1, time.Since(d.began))
		}
	}
}
