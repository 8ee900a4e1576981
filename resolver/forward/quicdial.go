package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

const (
	// What a server may send before it is read, in octets: the longest message on each
	// stream, and some of those on all of a connection.
	replyWindow, linkWindow, maxLinkWindow = 80 << 10, 256 << 10, 1 << 20
	// packetSize is how many octets a packet to a server has at most: what passes through any
	// tunnel that QUIC passes through (RFC 9000 section 14). Queries fit into it, so that no
	// other size is tried.
	packetSize = 1200
	// webStreams are the streams in one direction that HTTP/3 needs (RFC 9114 section 6.2),
	// and some that it has to ignore.
	webStreams = 8
)

// errNoFiles says that no file is left for a socket.
var errNoFiles = errors.New("there are as many sockets to servers as the process may have: raise its limit of open files")

// quicDialer opens connections over QUIC to one server, each from a socket of its own, so
// that a new one takes a new path through what is between.
type quicDialer struct {
	secure   *tls.Config
	settings *quic.Config
	limit    *SocketLimit
	open     atomic.Int64 // sockets
	speak    func(*quic.Conn) application
}

// overQUIC makes what opens links to a server over QUIC: for DNS (RFC 9250), or for HTTP/3.
func (c Config) overQUIC(s Server) func(context.Context) (link, error) {
	protocol, addrs := "doq", []netip.AddrPort{s.Addr}
	d := &quicDialer{limit: c.Sockets, speak: speakDoQ, settings: &quic.Config{
		HandshakeIdleTimeout: dialTime, MaxIdleTimeout: 2 * idleTime, InitialPacketSize: packetSize, DisablePathMTUDiscovery: true,
		InitialStreamReceiveWindow: replyWindow, MaxStreamReceiveWindow: replyWindow,
		InitialConnectionReceiveWindow: linkWindow, MaxConnectionReceiveWindow: maxLinkWindow,
		MaxIncomingStreams: -1, MaxIncomingUniStreams: -1,
		TokenStore: quic.NewLRUTokenStore(1, maxConns),
	}}
	if s.Transport == HTTP3 {
		protocol, addrs = "h3", s.bootstrap()
		d.speak, d.settings.MaxIncomingUniStreams = speakHTTP3(s), webStreams
	}
	d.secure = c.tlsConfig(s, protocol)
	return func(ctx context.Context) (link, error) { return dialAny(ctx, addrs, d.dial) }
}

// dial opens a connection.
func (d *quicDialer) dial(ctx context.Context, addr netip.AddrPort) (link, error) {
	if !d.limit.take(d.open.Add(1) - 1) {
		d.open.Add(-1)
		return nil, errNoFiles
	}
	free := func() {
		d.open.Add(-1)
		d.limit.give()
	}
	socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		free()
		return nil, err
	}
	transport := &quic.Transport{Conn: connected{socket}}
	end := func() {
		_ = transport.Close()
		_ = socket.Close()
		free()
	}
	conn, err := transport.Dial(ctx, socket.RemoteAddr(), d.secure, d.settings)
	if err != nil {
		end()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("nobody answers over QUIC at %s: is UDP let through to port %d?", addr, addr.Port())
		}
		return nil, plainly(err)
	}
	return &quicLink{application: d.speak(conn), conn: conn, free: end}, nil
}

// connected is a socket that is connected to a server, so that the system says where nobody
// listens there.
type connected struct{ *net.UDPConn }

// WriteTo sends a packet to the server.
func (c connected) WriteTo(packet []byte, _ net.Addr) (int, error) { return c.Write(packet) }

// WriteMsgUDP sends packets to the server.
func (c connected) WriteMsgUDP(packets, control []byte, _ *net.UDPAddr) (n, controls int, err error) {
	return c.UDPConn.WriteMsgUDP(packets, control, nil)
}

// plainly takes off an error what quic-go says around its cause.
func plainly(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op
	}
	if verified := (*tls.CertificateVerificationError)(nil); errors.As(err, &verified) {
		return verified
	}
	return err
}
