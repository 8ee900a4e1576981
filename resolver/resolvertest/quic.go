package resolvertest

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"pldns/resolver/wire"
)

// ServeQUIC makes the upstream answer over QUIC too (RFC 9250), with a certificate, and says
// where. It does so as long as it serves at all. Settings are those of its connections; nil
// are those of quic-go.
func (u *Upstream) ServeQUIC(tb testing.TB, certificate tls.Certificate, settings *quic.Config) netip.AddrPort {
	tb.Helper()
	return u.openSecure(tb, secureListener{transport: QUIC, quic: settings, config: &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"doq"},
	}})
}

// ServeHTTP3 makes the upstream answer over HTTP/3 too (RFC 9114), at [DoHPath]; as with
// [Upstream.ServeQUIC].
func (u *Upstream) ServeHTTP3(tb testing.TB, certificate tls.Certificate, settings *quic.Config) netip.AddrPort {
	tb.Helper()
	return u.openSecure(tb, secureListener{transport: HTTP3, quic: settings, config: &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h3"},
	}})
}

// quicListener is a socket over which QUIC is spoken.
type quicListener struct {
	socket    *net.UDPConn
	transport *quic.Transport
	listener  *quic.Listener
	web       func(*quic.Conn) *http3.Server // nil but for HTTP/3

	mu    sync.Mutex
	conns []*quic.Conn
	webs  []*http3.Server // one for each of them
}

// openQUIC serves QUIC at an address. The lock is held.
func (l *listening) openQUIC(tb testing.TB, u *Upstream, d secureListener) {
	tb.Helper()
	socket := take(tb, "udp", d.addr, sockets.ListenPacket).(*net.UDPConn)
	q := &quicListener{socket: socket, transport: &quic.Transport{Conn: socket}}
	var err error
	if q.listener, err = q.transport.Listen(d.config, d.quic); err != nil {
		tb.Fatalf("listen over QUIC: %v", err)
	}
	if d.transport == HTTP3 {
		q.web = func(conn *quic.Conn) *http3.Server {
			cut := func(netip.AddrPort) { _ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") }
			return &http3.Server{Logger: slog.New(slog.DiscardHandler), Handler: http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) { l.serveHTTP(u, HTTP3, w, r, cut) })}
		}
	}
	l.quic = append(l.quic, q)
	l.wg.Go(func() { l.acceptQUIC(u, q) })
}

// acceptQUIC accepts connections until the listener is closed.
func (l *listening) acceptQUIC(u *Upstream, q *quicListener) {
	for {
		conn, err := q.listener.Accept(context.Background())
		if err != nil {
			return
		}
		serve := func() { l.serveQUIC(u, conn) }
		q.mu.Lock()
		q.conns = append(q.conns, conn)
		if q.web != nil {
			web := q.web(conn)
			q.webs = append(q.webs, web)
			serve = func() { _ = web.ServeQUICConn(conn) }
		}
		q.mu.Unlock()
		l.wg.Go(serve)
	}
}

// serveQUIC reads a query from each stream of a connection.
func (l *listening) serveQUIC(u *Upstream, conn *quic.Conn) {
	for {
		stream, err := conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		l.wg.Go(func() {
			raw, err := wire.ReadFrame(stream)
			if err != nil {
				return
			}
			hangUp := func() { _ = conn.CloseWithError(wire.DoQNoError, "") }
			l.react(u, &Asked{
				Query:   Query{Transport: QUIC, From: addrPort(conn.RemoteAddr()), Raw: raw},
				Stopped: l.ended, Stream: stream, Conn: conn, hangUp: hangUp,
				send: func(packet []byte) {
					_, _ = stream.Write(wire.AppendFrame(nil, packet))
					_ = stream.Close()
				},
				breakOff: func(packet []byte) {
					_, _ = stream.Write(wire.AppendFrame(nil, packet)[:2+len(packet)/2])
					hangUp()
				},
			})
		})
	}
}

// Say does what it is told to every connection over QUIC.
func (u *Upstream) Say(do func(conn *quic.Conn)) {
	u.mu.Lock()
	l := u.listening
	u.mu.Unlock()
	l.mu.Lock()
	listeners := l.quic
	l.mu.Unlock()
	for _, q := range listeners {
		q.mu.Lock()
		conns := q.conns
		q.mu.Unlock()
		for _, conn := range conns {
			do(conn)
		}
	}
}

// close ends the connections and closes the socket.
func (q *quicListener) close() {
	_ = q.listener.Close()
	q.mu.Lock()
	conns := q.conns
	q.mu.Unlock()
	for _, conn := range conns {
		_ = conn.CloseWithError(wire.DoQNoError, "")
	}
	_ = q.transport.Close()
	_ = q.socket.Close()
}

// GoAway has the HTTP/3 servers take their leave: what is under way is answered, and new
// requests are to go over other connections.
func (u *Upstream) GoAway() {
	u.mu.Lock()
	l := u.listening
	u.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.quic {
		q.mu.Lock()
		for _, web := range q.webs {
			l.wg.Go(func() { _ = web.Shutdown(context.Background()) })
		}
		q.mu.Unlock()
	}
}

// AddrOf is the address in a URL.
func AddrOf(tb testing.TB, text string) netip.AddrPort {
	tb.Helper()
	parsed, err := url.Parse(text)
	if err != nil {
		tb.Fatalf("%q is no URL: %v", text, err)
	}
	return netip.MustParseAddrPort(parsed.Host)
}
