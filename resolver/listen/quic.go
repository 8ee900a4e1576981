package listen

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"pldns/resolver/wire"
	"pldns/zones"
)

const (
	// streamsPerSlot is how many streams of DNS over QUIC a client may have open for each place
	// of Config.Pipeline. A stream is in use until its client has acknowledged the reply, so a
	// forwarder far away needs many more of them than answers that have to be waited for.
	streamsPerSlot = 4
	// What a client may send before it is read, in octets: a message for a stream, and not
	// much more for all streams of a connection.
	streamWindow, connWindow, maxConnWindow = 16 << 10, 64 << 10, 128 << 10
	// packetSize is how many octets a packet has until the path is known to take more: what
	// passes through any tunnel that QUIC passes through (RFC 9000 section 14).
	packetSize = 1200
	// connIDLength is how many octets tell connections apart, whatever address they come from.
	connIDLength = 8
	// webStreams are the streams in one direction that HTTP/3 needs (RFC 9114 section 6.2),
	// and some that it has to ignore.
	webStreams = 8
	// unsentTime is what the last replies of a connection get to leave before it is closed,
	// which would throw them away.
	unsentTime = 100 * time.Millisecond
)

// quicSocket is a socket over which QUIC is spoken. One goroutine reads it; a connection
// stays with it when its client gets another address.
type quicSocket struct {
	conn      *net.UDPConn
	local     netip.AddrPort
	transport string // doq or h3, which are also the names of the protocols in TLS

	mu       sync.Mutex
	stopped  bool
	quic     *quic.Transport // nil until it is served
	listener *quic.EarlyListener
}

// stop ends the taking in of connections. Those that are there are served on.
func (u *quicSocket) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stopped = true; u.listener != nil {
		u.listener.Close()
	}
}

// close closes the socket and every connection over it.
func (u *quicSocket) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.quic != nil {
		u.quic.Close()
	}
	u.conn.Close()
}

// addQUIC opens the socket for QUIC beside what is bound to an address, if there is to be
// one, and gives the address with its port. A service manager that passes the one for TCP
// and none for UDP has the program do without HTTP/3, because it may lack the right.
func (b binder) addQUIC(bound *sockets, addr netip.AddrPort) (netip.AddrPort, error) {
	if b.quic == "" || b.quic == h3 && b.inherited.has(tcp, addr) && !b.inherited.has(udp, addr) {
		return addr, nil
	}
	opened, err := b.openQUIC(addr)
	if err != nil {
		if err = bindError("udp", addr, err); b.quic == h3 {
			err = fmt.Errorf("%w; or do without HTTP/3 (h3 = false)", err)
		}
		return addr, err
	}
	_ = opened.SetReadBuffer(socketBuffer) // a wish
	addr = netip.AddrPortFrom(addr.Addr(), opened.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	bound.quic = append(bound.quic, &quicSocket{conn: opened, local: addr, transport: b.quic})
	for i := range bound.tcp {
		bound.tcp[i].alternate = true
	}
	return addr, nil
}

// openQUIC opens a UDP socket of one family, unless it is there. Several that are passed
// for one address would part the packets of connections: the first is taken.
func (b binder) openQUIC(addr netip.AddrPort) (*net.UDPConn, error) {
	if files := b.inherited.take(udp, addr); len(files) > 0 {
		passed, err := net.FilePacketConn(files[0])
		if err != nil {
			return nil, err
		}
		return passed.(*net.UDPConn), nil
	}
	return net.ListenUDP("udp"+family(addr), net.UDPAddrFromAddrPort(addr))
}

// openQUIC makes a socket take connections in, unless it is stopped.
func (s *Server) openQUIC(socket *quicSocket) error {
	socket.mu.Lock()
	defer socket.mu.Unlock()
	if socket.stopped {
		return nil
	}
	if socket.quic != nil { // it could not be read
		socket.quic.Close()
	}
	secure := withProtocols(s.config.TLSConfig, []string{socket.transport})
	// It is copied for each connection, and has to have its keys of sessions before.
	_, _ = secure.DecryptTicket(nil, tls.ConnectionState{})
	socket.quic = &quic.Transport{
		Conn: socket.conn, ConnectionIDLength: connIDLength,
		VerifySourceAddress: s.doubts,
		ConnContext: func(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
			return s.greet(ctx, socket.transport, info)
		},
	}
	var err error
	if socket.quic.StatelessResetKey, err = s.config.resetKey(socket); err != nil {
		return err
	}
	socket.listener, err = socket.quic.ListenEarly(secure, s.config.quic(socket.transport))
	return err
}

// resetKey makes the tokens of stateless resets; nil if there is no secret for it. Each
// socket has its own, because a packet for one may be sent to another.
func (c Config) resetKey(socket *quicSocket) (*quic.StatelessResetKey, error) {
	if len(c.ResetSecret) == 0 {
		return nil, nil
	}
	about := fmt.Sprintf("stateless reset of %s at %s", socket.transport, socket.local)
	key, err := hkdf.Key(sha256.New, c.ResetSecret, nil, about, len(quic.StatelessResetKey{}))
	if err != nil {
		return nil, err
	}
	return (*quic.StatelessResetKey)(key), nil
}

// quic are the settings of connections over QUIC.
func (c Config) quic(transport string) *quic.Config {
	settings := &quic.Config{
		HandshakeIdleTimeout: c.FirstByte, MaxIdleTimeout: c.Idle, InitialPacketSize: packetSize, Allow0RTT: true,
		InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: connWindow,
		InitialConnectionReceiveWindow: connWindow, MaxConnectionReceiveWindow: maxConnWindow,
		MaxIncomingStreams: int64(streamsPerSlot * c.Pipeline), MaxIncomingUniStreams: -1,
	}
	if transport == h3 { // as many requests as over HTTP/2
		settings.MaxIncomingStreams, settings.MaxIncomingUniStreams = int64(c.Pipeline), webStreams
	}
	return settings
}

// acceptQUIC takes connections in until the socket is stopped.
func (s *Server) acceptQUIC(ctx context.Context, socket *quicSocket) {
	for {
		opened, err := socket.listener.Accept(context.Background())
		switch {
		case err == nil:
			s.work.Go(func() { s.takeInQUIC(opened, socket) })
		case ctx.Err() != nil:
			return
		default:
			// Reading the socket failed, which ends its connections. New ones are taken in.
			s.troubled(ctx, "cannot read packets of QUIC", socket.local, err)
			if err := s.openQUIC(socket); err != nil {
				s.troubled(ctx, "cannot accept connections over QUIC", socket.local, err)
			}
		}
	}
}

// takeInQUIC serves a connection from its handshake to its end. What a client sends before
// the handshake is complete (0-RTT) is only read then, unless its address is proven
// already, by a token of an earlier connection: what comes over QUIC is not limited as
// packets are that anybody may send.
func (s *Server) takeInQUIC(opened *quic.Conn, socket *quicSocket) {
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(socket.transport, fault)
			_ = opened.CloseWithError(quic.ApplicationErrorCode(wire.DoQInternalError), "")
		}
	}()
	greeting := opened.Context().Value(greetingKey{}).(*greeting)
	if !greeting.proven || !opened.ConnectionState().Used0RTT {
		select {
		case <-opened.HandshakeComplete():
		case <-opened.Context().Done():
			return
		case <-s.quicOpen.Done():
			_ = opened.CloseWithError(noError(socket.transport), "")
			return
		}
	}
	if !greeting.end() {
		return
	}
	c := s.newQUICConn(opened, socket)
	evicted, admitted := s.conns.admit(c)
	s.giveWay(evicted)
	if !admitted {
		s.refused(c.transport, Crowded, c.peer)
		_ = opened.CloseWithError(excessiveLoad(c.transport), "")
		return
	}
	s.config.Observer.Connections(c.transport, 1)
	defer c.finishQUIC()
	defer c.watchIdle()()
	if c.transport == h3 {
		c.serveHTTP3()
	} else {
		c.serveStreams()
	}
}

// newQUICConn is a connection with what its client has shown.
func (s *Server) newQUICConn(opened *quic.Conn, socket *quicSocket) *conn {
	peer, local := addrPort(opened.RemoteAddr()), addrPort(opened.LocalAddr())
	if !local.Addr().IsValid() || local.Addr().IsUnspecified() {
		local = socket.local
	}
	client := zones.NewClient(peer.Addr(), local)
	c := &conn{
		Conn: quicCloser{close: func() error { return opened.CloseWithError(noError(socket.transport), "") }},
		quic: opened, server: s, transport: socket.transport,
		peer: peer, from: client.Addr, client: client, pipeline: newPipeline(0),
	}
	c.webbing.Store(true)
	c.show(opened.ConnectionState().TLS)
	return c
}

// quicCloser is all that others need of a connection over QUIC: to close it.
type quicCloser struct {
	net.Conn
	close func() error
}

func (c quicCloser) Close() error { return c.close() }

// here is who is at the other end, and as which client that counts: a client may get
// another address while it is connected, and is then of the network of that address.
func (c *conn) here() (netip.AddrPort, zones.Client) {
	if c.quic == nil {
		return c.peer, c.client
	}
	peer, client := addrPort(c.quic.RemoteAddr()), c.client
	client.Addr = zones.NewClient(peer.Addr(), client.Listener).Addr
	return peer, client
}

// addrPort is an address of a UDP socket, not mapped into the other family.
func addrPort(addr net.Addr) netip.AddrPort {
	known, is := addr.(*net.UDPAddr)
	if !is {
		return netip.AddrPort{}
	}
	at := known.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// watchIdle closes c when it has been without a query for too long, whatever else its
// client sends to keep it open, until what it gives is called.
func (c *conn) watchIdle() (end func()) {
	var mu sync.Mutex
	var timer *time.Timer
	ended := false
	check := func() {
		now := time.Now()
		until := c.server.conns.patience(c, now)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ended:
		case until.After(now):
			timer.Reset(until.Sub(now))
		default:
			go c.Close() // which waits for the connection
		}
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(min(c.server.config.FirstByte, c.server.config.Idle), check)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
		timer.Stop()
	}
}

// finishQUIC waits for the answers that are under way, and closes c.
func (c *conn) finishQUIC() {
	s := c.server
	if s.conns.remove(c) {
		s.config.Observer.Connections(c.transport, -1)
	}
	c.requests.Wait()
	c.settle()
	c.Close()
}

// settle lets the last replies leave.
func (c *conn) settle() {
	timer := time.NewTimer(unsentTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.quic.Context().Done():
	}
}

// confirmed waits until c's handshake is complete, unless a message may be replayed: what
// comes before (0-RTT) may be a copy that somebody else sends (RFC 9250 section 4.5). It is
// false if c ends first.
func (c *conn) confirmed(message []byte) bool {
	if c.quic == nil || len(message) < wire.HeaderSize || wire.Flags(message)&wire.Opcodes == dns.OpcodeQuery {
		return true
	}
	select {
	case <-c.quic.HandshakeComplete():
		return true
	case <-c.quic.Context().Done():
	case <-c.server.quicOpen.Done():
	}
	return false
}
