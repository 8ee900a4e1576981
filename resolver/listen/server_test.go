package listen_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

// TestDrain: a query that is under way when Run is to end is answered, over UDP
// and TCP; nothing is read any more; then Run returns and every socket is closed.
func TestDrain(t *testing.T) {
	gate := newGate()
	s := start(t, listen.Config{Handler: handler(gate.Resolve), Drain: time.Hour})
	udp, tcp, idle := dial(t, "udp", s.addr), dial(t, "tcp", s.addr), asked(t, s)
	for _, conn := range []net.Conn{udp, tcp} {
		write(t, conn, pack(t, query("slow.example")))
		<-gate.entered
	}
	stopped := make(chan error)
	go func() { stopped <- s.stop() }()
	ended(t, idle)
	if conn, err := net.Dial("tcp", s.addr.String()); err == nil {
		conn.Close()
		t.Error("connections are still accepted")
	}
	write(t, udp, pack(t, query("late.example")))
	write(t, tcp, pack(t, query("late.example")))
	close(gate.opened)
	for _, conn := range []net.Conn{udp, tcp} {
		if got := names(t, conn, 1)[0]; got != "slow.example." {
			t.Errorf("%s: answered %s", conn.LocalAddr().Network(), got)
		}
	}
	ended(t, tcp)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	again, err := net.ListenPacket("udp", s.addr.String())
	if err != nil {
		t.Fatal("the socket is still open:", err)
	}
	again.Close()
}

// TestDrainKeepalive: RFC 7828: the last answer of a connection says to close it.
func TestDrainKeepalive(t *testing.T) {
	gate := newGate()
	s := start(t, listen.Config{Handler: handler(gate.Resolve)})
	conn, idle := dial(t, "tcp", s.addr), asked(t, s)
	write(t, conn, pack(t, query("slow.example", edns(1232, &dns.EDNS0_LOCAL{Code: dns.EDNS0TCPKEEPALIVE}))))
	<-gate.entered
	stopped := make(chan error)
	go func() { stopped <- s.stop() }()
	ended(t, idle) // the server has begun to stop
	close(gate.opened)
	if wire := read(t, conn); !strings.HasSuffix(string(wire), "\x00\x0b\x00\x02\x00\x00") {
		t.Errorf("the OPT record is %x", wire[len(wire)-17:])
	}
	conn.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestDrainEnds: what is not answered within Config.Drain is told to stop.
func TestDrainEnds(t *testing.T) {
	gate := newGate() // never opened
	s := start(t, listen.Config{Handler: handler(gate.Resolve), Drain: time.Millisecond})
	udp, tcp := dial(t, "udp", s.addr), dial(t, "tcp", s.addr)
	for _, conn := range []net.Conn{udp, tcp} {
		write(t, conn, pack(t, query("slow.example")))
		<-gate.entered
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for _, conn := range []net.Conn{udp, tcp} {
		if reply := unpack(t, read(t, conn)); reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s: %v", conn.LocalAddr().Network(), reply)
		}
	}
}

// TestDrainStuck: an outside that never says anything, and does not keep the time it is
// given, does not hold up the end.
func TestDrainStuck(t *testing.T) {
	release := make(chan struct{})
	s := start(t, listen.Config{Drain: time.Millisecond, Handler: handler(func(ctx context.Context, q resolver.Query) resolver.Answer {
		<-release
		return known(ctx, q)
	})})
	conn := dial(t, "udp", s.addr)
	write(t, conn, pack(t, query("a.example")))
	resolvertest.Until(t, "a pending question", func() bool {
		datagrams, _ := s.InFlight()
		return datagrams > 0
	})
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if reply := unpack(t, read(t, conn)); reply.Rcode != dns.RcodeServerFailure {
		t.Errorf("the reply is %v", reply)
	}
	close(release)
}

// TestRunEnded: Run closes what Listen opened, whatever state ctx is in.
func TestRunEnded(t *testing.T) {
	s, err := listen.New(listen.Config{Addrs: addrs("127.0.0.1:0"), Handler: handler(known)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("Run without Listen succeeds")
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err == nil {
		t.Error("Listen succeeds twice")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	again, err := net.Listen("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal("the socket is still open:", err)
	}
	again.Close()
}

// TestAddrs: which sockets there are. Port 0 becomes one port for all of them.
func TestAddrs(t *testing.T) {
	needIPv6(t)
	free := netip.MustParseAddrPort(freePort(t))
	port := func(text string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(text), free.Port()) }
	for _, row := range []struct {
		name   string
		listen []netip.AddrPort
		want   string // addresses without ports
	}{
		{"one", addrs("127.0.0.1:0"), "127.0.0.1"},
		{"two", addrs("127.0.0.1:0", "[::1]:0"), "127.0.0.1 ::1"},
		{"every IPv4", addrs("0.0.0.0:0"), "0.0.0.0"},
		{"every address of both families", addrs("[::]:0"), "0.0.0.0 ::"},
		{"what is there twice", []netip.AddrPort{port("127.0.0.1"), port("127.0.0.1")}, "127.0.0.1"},
		{"what a wildcard covers", []netip.AddrPort{port("127.0.0.1"), port("::1"), port("0.0.0.0"), port("::")}, "0.0.0.0 ::"},
		{"what a wildcard of the other family does not cover", []netip.AddrPort{port("::1"), port("0.0.0.0")}, "0.0.0.0 ::1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := start(t, listen.Config{Addrs: row.listen})
			var got []string
			for _, a := range s.Addrs() {
				got = append(got, a.Addr().String())
				if a.Port() == 0 || strings.HasPrefix(row.name, "every") && a.Port() != s.addr.Port() {
					t.Errorf("bound to %s", a)
				}
				loopback := netip.MustParseAddr("127.0.0.1")
				if a.Addr().Is6() {
					loopback = netip.IPv6Loopback()
				}
				exchange(t, "udp", netip.AddrPortFrom(loopback, a.Port()), query("a.example"))
				exchange(t, "tcp", netip.AddrPortFrom(loopback, a.Port()), query("a.example"))
			}
			if strings.Join(got, " ") != row.want {
				t.Errorf("bound to %v, want %s", got, row.want)
			}
		})
	}
}

// freePort is an address whose port nobody has at the moment.
func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestListenErrors: an error names the address and what to do, and leaves nothing bound.
func TestListenErrors(t *testing.T) {
	taken := start(t, listen.Config{}).addr
	tcpOnly, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcpOnly.Close()
	for _, row := range []struct {
		name, addr string
		is         error
		want       []string
	}{
		{"in use", taken.String(), syscall.EADDRINUSE, []string{"listen on " + taken.String() + " (udp)", "systemd-resolved", "dnsmasq", "or listen on another address"}},
		{"in use over TCP", tcpOnly.Addr().String(), syscall.EADDRINUSE, []string{"listen on " + tcpOnly.Addr().String() + " (tcp)"}},
		{"not ours", "192.0.2.1:0", syscall.EADDRNOTAVAIL, []string{"192.0.2.1:0", "no interface of this host has the address"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, err := listen.New(listen.Config{Addrs: addrs("127.0.0.1:0", row.addr), Handler: handler(known)})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Listen()
			if !errors.Is(err, row.is) {
				t.Fatalf("the error is %v", err)
			}
			for _, part := range row.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if len(s.Addrs()) > 0 {
				t.Errorf("still bound: %v", s.Addrs())
			}
		})
	}
}

// TestNewErrors: what cannot be served is said before anything is bound.
func TestNewErrors(t *testing.T) {
	good := listen.Config{Addrs: addrs("127.0.0.1:0"), Handler: handler(known)}
	for want, spoil := range map[string]func(*listen.Config){
		"no address":             func(c *listen.Config) { c.Addrs = nil },
		"no handler":             func(c *listen.Config) { c.Handler = nil },
		"invalid AddrPort is no": func(c *listen.Config) { c.Addrs = []netip.AddrPort{{}} },
		"[::ffff:127.0.0.1]:53":  func(c *listen.Config) { c.Addrs = addrs("[::ffff:127.0.0.1]:53") },
		"224.0.0.251:5353 is no": func(c *listen.Config) { c.Addrs = addrs("224.0.0.251:5353") },
		"a limit is negative":    func(c *listen.Config) { c.Pipeline = -1 },
		"a duration is negative": func(c *listen.Config) { c.Idle = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := listen.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
	if _, err := listen.New(good); err != nil {
		t.Error(err)
	}
}

// TestLibraryClient: a stock client of the DNS library gets along, and comes
// back over TCP when an answer is truncated.
func TestLibraryClient(t *testing.T) {
	s := serving(t, chain(1, 150))
	for transport, truncated := range map[string]bool{"udp": true, "tcp": false} {
		client := dns.Client{Net: transport, Timeout: patience}
		reply, _, err := client.Exchange(query("a.example"), s.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if reply.Truncated != truncated || !truncated && len(reply.Answer) != 153 {
			t.Errorf("over %s: %d records, TC %v", transport, len(reply.Answer), reply.Truncated)
		}
	}
}

// TestStockResolver: so does the resolver of Go's standard library.
func TestStockResolver(t *testing.T) {
	s := start(t, listen.Config{})
	stock := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.addr.String())
	}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found, err := stock.LookupNetIP(ctx, "ip4", "mydb.database.windows.net")
	if err != nil || len(found) != 1 || found[0].Unmap().String() != "10.0.1.4" {
		t.Errorf("found %v, %v", found, err)
	}
}
