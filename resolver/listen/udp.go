package listen

import (
	"context"
	"net"
	"net/netip"
	"time"

	"pldns/resolver/memo"
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
	conn     *packetConn
	local    netip.AddrPort
	wildcard bool // local holds an unspecified address
	readers  int  // how many goroutines read it
}

// datagram is one query over UDP.
type datagram struct {
	exchange
	socket  *udpSocket
	peer    netip.AddrPort // as the socket reports it, which is as it wants it back
	local   netip.AddrPort // the address that was asked
	asker   zones.Client
	began   time.Time
	memory  memory
	usage   usage
	sample  sample
	control [controlSize]byte
	reply   []byte // control message of the reply
}

// arrive notes where the packet that d is about to be read from comes from, and
// reads from its control messages which address it was sent to. It makes them
// those of the reply.
func (d *datagram) arrive(peer netip.AddrPort, control []byte) {
	d.peer, d.local, d.reply = peer, d.socket.local, nil
	if d.socket.wildcard {
		addr, reply := localAddr(control)
		d.local, d.reply = netip.AddrPortFrom(addr, d.socket.local.Port()), reply
	}
}

// keep makes d independent of the packet that r was read from, and of its control
// messages.
func (d *datagram) keep(r request) {
	d.hold(r)
	if d.reply != nil {
		d.reply = append(d.control[:0], d.reply...)
	}
}

// client is who sent the packet, and where to: as a rule it is who asks.
func (d *datagram) client() zones.Client { return zones.NewClient(d.peer.Addr(), d.local) }

// send sends one packet to whoever asked, from the address that was asked.
func (d *datagram) send(packet []byte) error {
	return d.socket.conn.send(packet, d.reply, d.peer)
}

// readUDP reads a socket until ctx ends. A panic costs the packet that caused it.
func (s *Server) readUDP(ctx, answering context.Context, socket *udpSocket) {
	for s.readPackets(ctx, answering, socket) {
	}
}

// datagram is a datagram to read into.
func (s *Server) datagram(socket *udpSocket) *datagram {
	d := s.datagrams.Get().(*datagram)
	d.socket = socket
	return d
}

// received is what became of a packet.
type received struct {
	reply []byte     // from memory, to be sent now; nil when there is none
	tally memo.Tally // is to be told when reply has been sent
	taken bool       // the datagram is in use further on
}

// receive deals with one packet. A reply from memory is written to out, which has
// room for the largest; all else is sent from here, or by whoever has taken d.
func (s *Server) receive(answering context.Context, packet []byte, d *datagram, out []byte) received {
	if !s.reachable(d.peer) {
		s.refused(udp, Unreachable, d.peer)
		return received{}
	}
	var r request
	packet, why := s.unwrap(packet, d)
	d.memory.afresh = d.sample.begin(s.tap.Load(), packet, d.peer, d.asker)
	if why == Accepted {
		r, why = glance(packet)
	}
	if why == Accepted && !s.subnetOf(udp, &r, &d.asker) {
		why = Malformed
	}
	if !why.silent() {
		d.memory.locate(d.asker)
		why = s.limited(d, &r, why)
	}
	if why == Accepted {
		limit := r.udpLimit() - r.cookieRoom() - r.subnet.size()
		known := d.memory.recall(&r, 0, limit)
		if known != nil {
			why = s.overdone(d, &r, account(known.Account()))
		}
		if known != nil && why == Accepted {
			reply := r.subnet.append(known.Write(out, r.id, r.question, d.memory.now))
			if r.hasCookie {
				reply = s.cookies.add(reply, &r, d.client().Addr, d.began)
			}
			return received{reply: reply, tally: known.Tally()}
		}
		if why == Accepted {
			why = r.readName()
		}
		if why == Accepted {
			d.keep(r)
			if reply, decided := s.decideInside(d, out); decided {
				return received{reply: reply, tally: uncounted{}}
			}
		}
	}
	if why == Accepted && !s.udpRoom.enter() {
		why = Shed
	}
	switch {
	case why == Accepted:
		s.handOver(answering, d)
		return received{taken: true}
	case !why.silent():
		frame := d.refusal(&r, why, r.udpLimit())
		s.sendUDP(d, frame)
		d.sample.refused(udp, d.asker, d.began, &r, why, frame[lengthSize:])
	}
	s.refused(udp, why, d.peer)
	return received{}
}

// unwrap finds out who asks, and takes off the PROXY header that may say so.
func (s *Server) unwrap(packet []byte, d *datagram) ([]byte, Refusal) {
	d.asker = d.client()
	if !s.proxy(d.peer) {
		if hasProxyHeader(packet) {
			return nil, Impostor
		}
		return packet, Accepted
	}
	header, packet, err := parseProxy(packet)
	if err != nil {
		return nil, Unproxied
	}
	d.asker = header.client(d.peer.Addr(), d.local)
	return packet, Accepted
}

// handOver has the query of d answered: by a goroutine that waits for one, or by
// a new one.
func (s *Server) handOver(answering context.Context, d *datagram) {
	select {
	case s.waiting <- d:
	default:
		s.work.Add(1)
		go s.serveUDP(answering, d)
	}
}

// serveUDP answers the query of d, and then others. A goroutine that has answered
// one has a stack that is deep enough for the next, and growing a stack costs
// about as much as deciding an answer from the network's table. A few wait for
// more; what a burst has brought up besides ends with it.
func (s *Server) serveUDP(ctx context.Context, d *datagram) {
	defer s.work.Done()
	for d != nil {
		s.serveDatagram(ctx, d)
		d = s.awaitDatagram()
	}
}

// awaitDatagram waits for the next query, nil if there are enough that do or if
// nothing is read any more.
func (s *Server) awaitDatagram() *datagram {
	if !s.idlers.enter() {
		return nil
	}
	defer s.idlers.leave()
	select {
	case d := <-s.waiting:
		return d
	case <-s.stopped:
		return nil
	}
}

// serveDatagram answers the query of d.
func (s *Server) serveDatagram(ctx context.Context, d *datagram) {
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(udp, fault)
		}
	}()
	served := s.decide(ctx, d)
	frame := s.finish(d, &served)
	sent := len(frame) > lengthSize
	if sent {
		s.sendUDP(d, frame)
	}
	s.udpRoom.leave()
	if served.why == Accepted {
		s.config.Observer.Served(udp, served.query, served.answer, time.Since(d.began))
	} else {
		s.refused(udp, served.why, d.peer, served.details...)
	}
	if sent {
		d.sample.end(udp, d.began, &served, frame[lengthSize:])
	}
	d.tidy()
	d.memory.close()
	s.datagrams.Put(d)
}

// decideInside answers the query of d at once if that takes no waiting, which is
// cheaper than to hand it to a goroutine. The reply is written to out, nil if there
// is none, or none to be sent. Who is told of single queries is told when the reply has
// been sent, so those go the other way.
func (s *Server) decideInside(d *datagram, out []byte) (reply []byte, decided bool) {
	if d.memory.snapshot == nil || d.sample.tap != nil {
		return nil, false
	}
	served, decided := s.answerInside(&d.exchange, d.asker, d.fitting())
	if !decided {
		return nil, false
	}
	s.remember(d, &served)
	if frame := s.finish(d, &served); len(frame) > lengthSize {
		reply = out[:copy(out, frame[lengthSize:])]
	}
	d.tidy()
	defer func() { // a fault in the books is not to cost the reply
		if fault := recover(); fault != nil {
			s.panicked(udp, fault)
		}
	}()
	if served.why == Accepted {
		s.config.Observer.Served(udp, served.query, served.answer, time.Since(d.began))
	} else {
		s.refused(udp, served.why, d.peer, served.details...)
	}
	return reply, true
}

// uncounted is the tally of what has been counted already.
type uncounted struct{}

func (uncounted) Add(int, time.Duration) {}

// fitting is what the reply to d has to be.
func (d *datagram) fitting() fitting {
	return fitting{limit: d.request.udpLimit() - d.request.cookieRoom()}
}

// decide asks the Handler about the query of d and remembers the reply.
func (s *Server) decide(ctx context.Context, d *datagram) served {
	out := s.answer(ctx, &d.exchange, d.asker, d.fitting())
	s.remember(d, &out)
	return out
}

// remember remembers a reply to d, and then adds the cookie, which nobody else gets.
func (s *Server) remember(d *datagram, out *served) {
	out.about = s.accountOf(&out.query, &out.answer)
	d.memory.remember(out, func() memo.Tally {
		return s.config.Observer.Tally(udp, out.answer.Network, out.answer.Rcode, out.answer.Source)
	})
	s.addCookie(out, &d.exchange, d.client().Addr)
}

// addCookie adds the cookie to a reply that has been packed.
func (s *Server) addCookie(out *served, x *exchange, client netip.Addr) {
	if x.request.hasCookie {
		out.frame = x.enclose(s.cookies.add(out.frame[lengthSize:], &x.request, client, time.Now()))
	}
}

// sendUDP sends a framed reply.
func (s *Server) sendUDP(d *datagram, frame []byte) { s.sendPacket(d, frame[lengthSize:]) }

// sendPacket sends a reply.
func (s *Server) sendPacket(d *datagram, packet []byte) {
	if err := d.send(packet); err != nil {
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
