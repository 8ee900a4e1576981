package ask

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"pldns/resolver"
	"pldns/resolver/wire"
)

// openQUIC makes a connection over a socket of its own, which is connected: so the system
// says if nothing listens there.
func (w Way) openQUIC(ctx context.Context) (Conn, error) {
	dialer := net.Dialer{}
	if w.From.IsValid() {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(w.From, 0))
	}
	opened, err := dialer.DialContext(ctx, "udp", w.To.String())
	if err != nil {
		return nil, &OpenError{Err: err}
	}
	socket := &connected{conn: opened.(*net.UDPConn)}
	transport := &quic.Transport{Conn: socket}
	local := socket.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if w.Own == nil {
		w.Own = func(netip.AddrPort, bool) {}
	}
	w.Own(local, true)
	end := func() {
		transport.Close()
		w.Own(local, false)
		socket.conn.Close()
	}
	// Until ctx ends, and no sooner.
	conn, err := transport.Dial(ctx, socket.conn.RemoteAddr(), w.secure(), &quic.Config{HandshakeIdleTimeout: time.Hour})
	if err != nil {
		end()
		return nil, &OpenError{Met: socket.heard.Load(), Err: because(ctx, err)}
	}
	if w.Transport == resolver.OverHTTP3 {
		return w.newHTTP3(conn, func() {
			_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
			end()
		}), nil
	}
	return &quicConn{conn, func() {
		_ = conn.CloseWithError(wire.DoQNoError, "")
		end()
	}}, nil
}

// quicConn asks over DNS over QUIC (RFC 9250).
type quicConn struct {
	conn *quic.Conn
	end  func()
}

func (q *quicConn) Ask(ctx context.Context, query []byte) ([]byte, error) {
	stream, err := q.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, because(ctx, err)
	}
	defer stream.CancelRead(wire.DoQNoError)
	defer within(ctx, stream)()
	message := framed(query)
	message[2], message[3] = 0, 0 // the id (RFC 9250 section 4.2.1)
	if _, err := stream.Write(message); err != nil {
		return nil, because(ctx, err)
	}
	if err := stream.Close(); err != nil {
		return nil, because(ctx, err)
	}
	reply, err := readFramed(stream)
	if err == nil && len(reply) >= 2 {
		reply[0], reply[1] = query[0], query[1]
	}
	return reply, because(ctx, err)
}

func (q *quicConn) Close() { q.end() }

// connected is a connected socket as one that packets are sent from to an address.
type connected struct {
	conn  *net.UDPConn
	heard atomic.Bool // a packet has come
}

func (c *connected) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := c.conn.Read(p)
	if err == nil {
		c.heard.Store(true)
	}
	return n, c.conn.RemoteAddr(), err
}

func (c *connected) WriteTo(p []byte, _ net.Addr) (int, error) { return c.conn.Write(p) }
func (c *connected) Close() error                              { return c.conn.Close() }
func (c *connected) LocalAddr() net.Addr                       { return c.conn.LocalAddr() }
func (c *connected) SetDeadline(t time.Time) error             { return c.conn.SetDeadline(t) }
func (c *connected) SetReadDeadline(t time.Time) error         { return c.conn.SetReadDeadline(t) }
func (c *connected) SetWriteDeadline(t time.Time) error        { return c.conn.SetWriteDeadline(t) }
func (c *connected) SetReadBuffer(octets int) error            { return c.conn.SetReadBuffer(octets) }
func (c *connected) SetWriteBuffer(octets int) error           { return c.conn.SetWriteBuffer(octets) }
