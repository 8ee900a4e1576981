package listen

import (
	"context"
	"net"
	"net/netip"

	"pldns/resolver/udpio"
	"pldns/zones"
)

const udp = "udp"

// udpSocket is one bound UDP socket.
type udpSocket struct {
	conn     *udpio.Conn
	mail     *mailbox // of the worker that reads it; nil where there are none
	local    netip.AddrPort
	wildcard bool    // local holds an unspecified address
	readers  int     // how many goroutines read it
	spread   *spread // among the readers of the address; nil where the system decides that
}

// readUDP reads a socket until ctx ends. A panic costs the packet that caused it.
func (s *Server) readUDP(ctx context.Context, socket *udpSocket) {
	for s.readPackets(ctx, socket) {
	}
}

// receive deals with one packet: peer is who sent it, as the socket reports it, which is
// as it wants it back, and control are its control messages. A PROXY header, which says who
// asks, is taken off.
func (s *Server) receive(q *query, x *scratch, socket *udpSocket, packet []byte, peer netip.AddrPort, control []byte) outcome {
	local := socket.local
	q.control = nil
	if socket.wildcard {
		var addr netip.Addr
		addr, q.control = udpio.LocalAddr(control)
		local = netip.AddrPortFrom(addr, local.Port())
	}
	q.client = zones.NewClient(peer.Addr(), local)
	if q.to != sink(socket) { // as a rule, the query before came here, too
		q.origin = origin{transport: udp, to: socket, mail: socket.mail}
	}
	q.peer, q.cookieFor = peer, q.client.Addr
	switch {
	case !s.reachable(peer):
		return s.ignore(q, Unreachable)
	case s.proxy(peer):
		header, rest, err := parseProxy(packet)
		if err != nil {
			return s.ignore(q, Unproxied)
		}
		q.client, packet = header.client(peer.Addr(), local), rest
	case hasProxyHeader(packet):
		return s.ignore(q, Impostor)
	}
	return s.serve(q, x, packet)
}

// deliver sends the reply to a query that was pending. What the system has no room for at
// once is lost, as any packet may be: whoever asked asks again.
func (u *udpSocket) deliver(q *query, reply []byte) {
	if reply == nil {
		return
	}
	if err := u.conn.SendNow(reply, q.control, q.peer); err != nil {
		q.wait.server.refused(udp, Unsent, q.peer, "error", err)
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
