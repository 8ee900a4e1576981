package listen_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

// asked opens a connection and asks on it, so that the server has it.
func asked(tb testing.TB, s server) net.Conn {
	tb.Helper()
	conn := dial(tb, "tcp", s.addr)
	write(tb, conn, pack(tb, query("b.example")))
	read(tb, conn)
	return conn
}

// TestConnectionLimit: over the limit, the connection that has been idle the
// longest makes room; the others go on.
func TestConnectionLimit(t *testing.T) {
	watch := newRecorder()
	s := start(t, listen.Config{Connections: 3, Observer: watch})
	// A connection is idle soon after its reply has come, and not before.
	idle := func(open int) {
		resolvertest.Until(t, fmt.Sprintf("%d idle connections", open), func() bool { return s.IdleConnections() >= open })
	}
	var conns []net.Conn
	for open := range 3 {
		conns = append(conns, asked(t, s))
		idle(open + 1)
	}
	again := func(conn net.Conn) {
		write(t, conn, pack(t, query("c.example")))
		read(t, conn)
		idle(3)
	}
	again(conns[0]) // now the second has been idle the longest
	conns = append(conns, asked(t, s))
	if why := watch.refused(t); why != listen.Evicted {
		t.Errorf("refused because of %s", why)
	}
	ended(t, conns[1])
	for _, i := range []int{0, 2, 3} {
		again(conns[i])
	}
	if most := watch.mostOpen(); most > 3 {
		t.Errorf("%d connections at one time", most)
	}
}

// TestConnectionLimitBusy: when every connection is at work, none gives way and
// the new one is closed.
func TestConnectionLimitBusy(t *testing.T) {
	watch, gate := newRecorder(), newGate()
	s := start(t, listen.Config{Connections: 2, Observer: watch, Handler: handler(gate.Resolve)})
	var busy []net.Conn
	for range 2 {
		conn := dial(t, "tcp", s.addr)
		write(t, conn, pack(t, query("slow.example")))
		<-gate.entered
		busy = append(busy, conn)
	}
	ended(t, dial(t, "tcp", s.addr))
	if why := watch.refused(t); why != listen.Crowded {
		t.Errorf("refused because of %s", why)
	}
	close(gate.opened)
	for _, conn := range busy {
		names(t, conn, 1)
	}
}

// TestClientLimit: one address cannot have all connections; another is served.
func TestClientLimit(t *testing.T) {
	watch := newRecorder()
	s := start(t, listen.Config{Addrs: addrs("0.0.0.0:0"), ClientConnections: 2, Observer: watch})
	from := func(local string) net.Conn {
		dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(local + ":0"))}
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.addr.Port())
		conn, err := dialer.Dial("tcp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	greedy := []net.Conn{from("127.0.0.2"), from("127.0.0.2")}
	for range greedy {
		watch.changed(t, 1)
	}
	ended(t, from("127.0.0.2"))
	if why := watch.refused(t); why != listen.Crowded {
		t.Errorf("refused because of %s", why)
	}
	other := from("127.0.0.3")
	write(t, other, pack(t, query("b.example")))
	if reply := unpack(t, read(t, other)); reply.Rcode != dns.RcodeSuccess {
		t.Error(reply)
	}
	// What is closed is not counted any more.
	greedy[0].Close()
	watch.changed(t, -1)
	third := from("127.0.0.2")
	write(t, third, pack(t, query("b.example")))
	read(t, third)
}
