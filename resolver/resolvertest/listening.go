package resolvertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

// listening is one life of an upstream, from its start to its stop: the sockets,
// the connections and the goroutines that serve them.
type listening struct {
	udp    *net.UDPConn
	tcp    []net.Listener
	quic   []*quicListener
	ended  chan struct{}
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// listen binds UDP and TCP to a [ClosedAddr].
func listen(tb testing.TB, addr netip.AddrPort) *listening {
	tb.Helper()
	return &listening{
		udp: take(tb, "udp", addr, sockets.ListenPacket).(*net.UDPConn), tcp: []net.Listener{take(tb, "tcp", addr, sockets.Listen)},
		ended: make(chan struct{}), conns: make(map[net.Conn]bool),
	}
}

// sockets opens those that may be where a [ClosedAddr] was.
var sockets = net.ListenConfig{Control: beside}

// take binds until it succeeds, which is at once unless somebody else took the port.
func take[S any](tb testing.TB, network string, addr netip.AddrPort,
	bind func(ctx context.Context, network, address string) (S, error)) (socket S) {
	tb.Helper()
	var err error
	defer func() {
		if err != nil {
			tb.Log(err)
		}
	}()
	Until(tb, fmt.Sprintf("%s at %v", network, addr), func() bool {
		socket, err = bind(context.Background(), network, addr.String())
		return err == nil
	})
	return socket
}

// Pair opens a UDP and a TCP socket with one port at a host, of one family.
func Pair(tb testing.TB, host netip.Addr) (*net.UDPConn, *net.TCPListener) {
	tb.Helper()
	family := "6"
	if host.Is4() {
		family = "4"
	}
	for {
		udp, err := net.ListenUDP("udp"+family, &net.UDPAddr{IP: host.AsSlice()})
		if err != nil {
			tb.Fatal(err)
		}
		tcp, err := net.ListenTCP("tcp"+family, net.TCPAddrFromAddrPort(addrPort(udp.LocalAddr())))
		if err == nil {
			return udp, tcp
		}
		_ = udp.Close()
		if !errors.Is(err, syscall.EADDRINUSE) {
			tb.Fatal(err)
		}
	}
}

// FreeAddr is a loopback address that nobody has, for a program that has to be told where
// to listen. Somebody else may be quicker.
func FreeAddr(tb testing.TB) netip.AddrPort {
	tb.Helper()
	udp, tcp := Pair(tb, loopback)
	_, _ = udp.Close(), tcp.Close()
	return addrPort(udp.LocalAddr())
}

// SilentAddr is a loopback address that takes connections and datagrams and never
// says a word, as a host does that hangs.
func SilentAddr(tb testing.TB) netip.AddrPort {
	tb.Helper()
	udp, tcp := Pair(tb, loopback)
	tb.Cleanup(func() { _, _ = udp.Close(), tcp.Close() })
	return addrPort(udp.LocalAddr())
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// serve starts to serve the script of u.
func (l *listening) serve(u *Upstream) {
	l.wg.Go(func() { l.serveUDP(u) })
	first := l.tcp[0]
	l.wg.Go(func() { l.serveStreams(u, first, TCP) })
}

// close ends everything and waits for it.
func (l *listening) close() {
	l.mu.Lock()
	l.closed = true
	close(l.ended)
	_ = l.udp.Close()
	for _, ln := range l.tcp {
		_ = ln.Close()
	}
	for c := range l.conns {
		_ = c.Close()
	}
	listeners := l.quic
	l.mu.Unlock()
	for _, ln := range listeners {
		ln.close()
	}
	l.wg.Wait()
}

// serveUDP reads datagrams until the socket is closed.
func (l *listening) serveUDP(u *Upstream) {
	buffer := make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := l.udp.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		raw := append([]byte(nil), buffer[:n]...)
		l.react(u, &Asked{
			Query:   Query{Transport: UDP, From: from, Raw: raw},
			Stopped: l.ended,
			send: func(packet []byte) {
				_, _ = l.udp.WriteToUDPAddrPort(packet, from)
			},
		})
	}
}

// serveStreams accepts connections until the listener is closed.
func (l *listening) serveStreams(u *Upstream, ln net.Listener, t Transport) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		if !l.adopt(conn) {
			return
		}
		l.wg.Go(func() {
			defer l.drop(conn)
			l.serveStream(u, conn, t)
		})
	}
}

// adopt remembers a connection, so that close ends it; false after close.
func (l *listening) adopt(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return false
	}
	l.conns[conn] = true
	return true
}

// drop closes a connection and forgets it.
func (l *listening) drop(conn net.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
}

// serveStream reads length-prefixed messages (RFC 7766 section 8). Each is
// reacted to on its own, so that answers leave in any order.
func (l *listening) serveStream(u *Upstream, conn net.Conn, t Transport) {
	from := addrPort(conn.RemoteAddr())
	var writing sync.Mutex
	for {
		raw, err := wire.ReadFrame(conn)
		if err != nil {
			return
		}
		l.react(u, &Asked{
			Query:   Query{Transport: t, From: from, Raw: raw},
			Stopped: l.ended,
			send: func(packet []byte) {
				writing.Lock()
				defer writing.Unlock()
				_, _ = conn.Write(wire.AppendFrame(nil, packet))
			},
			breakOff: func(packet []byte) {
				writing.Lock()
				defer writing.Unlock()
				_, _ = conn.Write(wire.AppendFrame(nil, packet)[:2+len(packet)/2])
				_ = conn.Close()
			},
			hangUp: func() { _ = conn.Close() },
		})
	}
}

// react notes a query and lets the script deal with it, on a goroutine of its
// own: a behaviour may wait.
func (l *listening) react(u *Upstream, a *Asked) {
	msg := new(dns.Msg)
	if msg.Unpack(a.Raw) == nil && len(msg.Question) == 1 {
		a.Msg, a.upstream = msg, u
	}
	u.note(a.Query)
	if a.Msg == nil {
		return
	}
	l.wg.Go(func() { u.behaviour(msg.Question[0].Name)(a) })
}
