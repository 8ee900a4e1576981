package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"pldns/zones"
)

const (
	udp = "udp"
	// largestPacket is room for any UDP packet: a query that was cut off on
	// reading would look malformed.
	largestPacket = 65535
)

// udpSocket is one bound UDP socket.
type udpSocket struct {
	conn     *net.UDPConn
	local    netip.AddrPort
	wildcard bool // local holds an unspecified address
}

// datagram is one query over UDP.
type datagram struct {
	exchange
	socket  *udpSocket
	peer    netip.AddrPort // as the socket reports it, which is as it wants it back
	local   netip.AddrPort // the address that was asked
	began   time.Time
	control [controlSize]byte
	reply   []byte // control message of the reply, part of control
}

// client is who asks, and where.
func (d *datagram) client() zones.Client { return zones.NewClient(d.peer.Addr(), d.local) }

// send sends one packet to whoever asked, from the address that was asked.
func (d *datagram) send(packet []byte) error {
	_, _, err := d.socket.conn.WriteMsgUDPAddrPort(packet, d.reply, d.peer)
	return err
}

// readUDP reads a socket until ctx ends. A panic costs the packet that caused it.
func (s *Server) readUDP(ctx, answering context.Context, socket *udpSocket) {
	for s.readPackets(ctx, answering, socket) {
	}
}

// readPackets reads packets until ctx ends; it is true if a panic ended it.
func (s *Server) readPackets(ctx, answering context.Context, socket *udpSocket) (again bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(udp, fault)
			again = true
		}
	}()
	packet := make([]byte, largestPacket)
	d := s.datagram(socket)
	for {
		size, controlLen, _, peer, err := socket.conn.ReadMsgUDPAddrPort(packet, d.control[:])
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return false
			}
			s.troubled(ctx, "cannot read from a socket", socket.local, err)
			continue
		}
		d.began, d.peer, d.local, d.reply = time.Now(), peer, socket.local, nil
		if socket.wildcard {
			addr, reply := localAddr(d.control[:controlLen])
			d.local, d.reply = netip.AddrPortFrom(addr, socket.local.Port()), reply
		}
		if s.receive(answering, packet[:size], d) {
			d = s.datagram(socket)
		}
	}
}

// datagram is a datagram to read into.
func (s *Server) datagram(socket *udpSocket) *datagram {
	d := s.datagrams.Get().(*datagram)
	d.socket = socket
	return d
}

// receive deals with one packet, and tells whether d is in use further on.
func (s *Server) receive(answering context.Context, packet []byte, d *datagram) bool {
	if !s.reachable(d.peer) {
		s.refused(udp, Unreachable, d.peer)
		return false
	}
	r, why := accept(packet)
	if why == Accepted && !s.udpRoom.enter() {
		why = Shed
	}
	switch {
	case why == Accepted:
		d.hold(r)
		s.work.Add(1)
		go s.serveUDP(answering, d)
		return true
	case !why.silent():
		s.sendUDP(d, d.refusal(&r, why, r.udpLimit()))
	}
	s.refused(udp, why, d.peer)
	return false
}

// serveUDP answers the query of d.
func (s *Server) serveUDP(ctx context.Context, d *datagram) {
	defer s.work.Done()
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(udp, fault)
		}
	}()
	served := s.answer(ctx, &d.exchange, d.client(), fitting{limit: d.request.udpLimit()})
	s.sendUDP(d, served.frame)
	s.udpRoom.leave()
	if served.why == Accepted {
		s.config.Observer.Served(udp, served.query, served.answer, time.Since(d.began))
	} else {
		s.refused(udp, served.why, d.peer, served.details...)
	}
	d.tidy()
	s.datagrams.Put(d)
}

// sendUDP sends a framed reply.
func (s *Server) sendUDP(d *datagram, frame []byte) {
	if err := d.send(frame[lengthSize:]); err != nil {
		s.refused(udp, Unsent, d.peer, "error", err)
	}
}

// reachable tells whether a reply to peer may be sent. Nobody can be reached at
// port 0, and what comes from a listening address of this server would make it
// talk to itself.
func (s *Server) reachable(peer netip.AddrPort) bool {
	if peer.Port() == 0 {
		return false
	}
	for _, bound := range s.sockets.addrs {
		if bound.Port() != peer.Port() {
			continue
		}
		addr := peer.Addr().Unmap()
		if bound.Addr() == addr || bound.Addr() == unspecified(addr) && s.isLocal(addr) {
			return false
		}
	}
	return true
}

// isLocal tells whether addr belongs to this host, as far as was known when the
// sockets were bound. It is a second line: the reply to an address that came
// later reaches this server as a response, which ends the matter.
func (s *Server) isLocal(addr netip.Addr) bool {
	_, local := s.local[addr.WithZone("")]
	return local || addr.IsLoopback()
}

// localAddrs are the addresses of all interfaces.
func localAddrs() map[netip.Addr]struct{} {
	local := make(map[netip.Addr]struct{})
	addrs, _ := net.InterfaceAddrs() // without them, isLocal knows loopback only
	for _, a := range addrs {
		if network, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(network.IP); ok {
				local[addr.Unmap()] = struct{}{}
			}
		}
	}
	return local
}
