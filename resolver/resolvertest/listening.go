package resolvertest

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

// listening is one life of an upstream, from its start to its stop: the sockets,
// the connections and the goroutines that serve them.
type listening struct {
	addr   netip.AddrPort
	udp    *net.UDPConn
	tcp    []net.Listener
	ended  chan struct{}
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// listen binds UDP and TCP to one port. Where the port is 0 it tries until one
// is free for both.
func listen(addr netip.AddrPort) (*listening, error) {
	var err error
	for range 100 {
		var udp *net.UDPConn
		if udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr)); err != nil {
			return nil, err
		}
		bound := addrPort(udp.LocalAddr())
		var tcp *net.TCPListener
		if tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(bound)); err == nil {
			return &listening{
				addr: bound, udp: udp, tcp: []net.Listener{tcp},
				ended: make(chan struct{}), conns: make(map[net.Conn]bool),
			}, nil
		}
		_ = udp.Close()
		if addr.Port() != 0 {
			break
		}
	}
	return nil, fmt.Errorf("bind UDP and TCP to one port: %w", err)
}

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
	l.mu.Unlock()
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
