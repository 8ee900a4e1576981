//go:build !linux || portable

package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"pldns/resolver/udpio"
)

// takeOver makes conn the socket of u.
func (u *udpSocket) takeOver(conn *net.UDPConn) (err error) {
	u.conn, err = udpio.TakeOver(conn, nil)
	return err
}

// stop ends the reading.
func (u *udpSocket) stop() { _ = u.conn.SetReadDeadline(time.Unix(1, 0)) }

// worker is what reads in batches; there is none.
type worker struct{}

func (*worker) deliver(*query, []byte) bool { return false }

// spread is who decides which reader is sent packets; there is one socket for all.
type spread struct{}

func newSpread([]*udpSocket) *spread { return nil }

// watchReaders does nothing: they read one socket.
func (s *Server) watchReaders(context.Context) {}

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
func (s *Server) readPackets(ctx context.Context, socket *udpSocket) (again bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(udp, fault)
			again = true
		}
	}()
	packet, control := make([]byte, udpio.LargestPacket), make([]byte, udpio.ControlSize)
	q, x := s.query(), newScratch()
	for {
		size, controlLen, _, peer, err := socket.conn.ReadMsgUDPAddrPort(packet, control)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return false
			}
			s.troubled(ctx, "cannot read from a socket", socket.local, err)
			continue
		}
		q.began = time.Now()
		x.memory.open(s, q.began)
		out := s.receive(q, x, socket, packet[:size], peer, control[:controlLen])
		if out.reply != nil {
			s.sendUDP(q, socket, out.reply)
		}
		if out.taken {
			q = s.query()
		}
		x.tidy()
	}
}

// sendUDP sends a reply, and waits for room in the system.
func (s *Server) sendUDP(q *query, socket *udpSocket, reply []byte) {
	if err := socket.conn.Send(reply, q.control, q.peer); err != nil {
		s.refused(udp, Unsent, q.peer, "error", err)
	}
}
