package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen/replycache"
	"pldns/zones"
	"pldns/zones/policy"
)

// echo answers everything with nothing.
type echo struct{}

func (echo) Snapshot() *resolver.Snapshot { return nil }

func (echo) Begin(*resolver.Snapshot, resolver.Query, *zones.Network, func()) (resolver.Answer, resolver.Pending) {
	return resolver.Answer{}, nil
}

// counter passes on why something was refused.
type counter struct {
	nobody
	refusals chan Refusal
}

func (c counter) Refused(_ string, why Refusal) { c.refusals <- why }

func question(tb testing.TB) []byte {
	tb.Helper()
	wire, err := new(dns.Msg).SetQuestion("a.example.", dns.TypeA).Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return wire
}

// TestOwnAddress: a packet that comes from a listening address of this very
// server, as a forged one would, gets no answer. It is sent from there, and the
// next one from elsewhere shows that the server goes on.
func TestOwnAddress(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		t.Run(listen, func(t *testing.T) {
			watch := counter{refusals: make(chan Refusal, 10)}
			s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort(listen), netip.MustParseAddrPort("127.0.0.77:0")}, Handler: echo{}, Observer: watch})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Listen(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			go func() { result <- s.Run(ctx) }()

			to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addrs()[0].Port())
			for _, own := range s.sockets.udp {
				if err := own.conn.Send(question(t), nil, to); err != nil {
					t.Fatal(err)
				}
				if why := <-watch.refusals; why != Unreachable {
					t.Errorf("from %s: %s", own.local, why)
				}
			}
			reply, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion("a.example.", dns.TypeA), to.String())
			if err != nil || !reply.Response {
				t.Errorf("the reply is %v, %v", reply, err)
			}
			cancel()
			if err := <-result; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReachable: who may be answered.
func TestReachable(t *testing.T) {
	lan := netip.MustParseAddr("192.0.2.7")
	s := &Server{local: map[netip.Addr]struct{}{lan: {}}}
	bound := func(texts ...string) {
		s.sockets.addrs = nil
		for _, text := range texts {
			s.sockets.addrs = append(s.sockets.addrs, netip.MustParseAddrPort(text))
		}
	}
	for _, row := range []struct {
		bound []string
		peer  string
		want  bool
	}{
		{[]string{"127.0.0.1:53"}, "127.0.0.1:53", false},
		{[]string{"127.0.0.1:53"}, "127.0.0.1:5353", true},
		{[]string{"127.0.0.1:53"}, "192.0.2.7:53", true}, // a forwarder with a fixed port
		{[]string{"127.0.0.1:53"}, "127.0.0.1:0", false},
		{[]string{"0.0.0.0:53", "[::]:53"}, "192.0.2.7:53", false},
		{[]string{"0.0.0.0:53", "[::]:53"}, "127.1.2.3:53", false},
		{[]string{"0.0.0.0:53", "[::]:53"}, "[::1]:53", false},
		{[]string{"0.0.0.0:53", "[::]:53"}, "192.0.2.8:53", true},
		{[]string{"0.0.0.0:53"}, "[::1]:53", true},
	} {
		bound(row.bound...)
		if got := s.reachable(netip.MustParseAddrPort(row.peer)); got != row.want {
			t.Errorf("bound to %v, %s: %v", row.bound, row.peer, got)
		}
	}
}

// TestLogLimit: a flood of bad packets writes one line for each kind in a
// minute, and the next line tells how many were left out.
func TestLogLimit(t *testing.T) {
	var log strings.Builder
	s, err := New(Config{
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: echo{},
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		s.refused(udp, Malformed, netip.MustParseAddrPort("192.0.2.1:1234"))
		s.refused(tcp, Shed, netip.MustParseAddrPort("192.0.2.1:1234"))
	}
	if lines := strings.Count(log.String(), "\n"); lines != 2 {
		t.Errorf("%d lines:\n%s", lines, log.String())
	}
	for _, want := range []string{"level=INFO msg=refused why=formerr transport=udp client=192.0.2.1:1234", "level=WARN msg=refused why=shed transport=tcp"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
	now := s.complaints.since
	if missed, ok := s.complaints.due(Malformed, now.Add(2*complaintPause)); !ok || missed != 999 {
		t.Errorf("a minute later: %d, %v", missed, ok)
	}
}

// TestPanicsElsewhere: a panic outside the Handler is logged and the readers
// read on.
func TestPanicsElsewhere(t *testing.T) {
	for _, transport := range []string{udp, tcp} {
		watch := make(hostile, 1)
		s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: echo{}, Observer: watch, Readers: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- s.Run(ctx) }()
		for range 3 {
			conn, err := net.Dial(transport, s.Addrs()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write([]byte("\x00\x03bad")); err != nil {
				t.Fatal(err)
			}
			<-watch
			conn.Close()
		}
		client := dns.Client{Net: transport}
		if _, _, err := client.Exchange(new(dns.Msg).SetQuestion("a.example.", dns.TypeA), s.Addrs()[0].String()); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

// hostile is an Observer that panics in readers and acceptors.
type hostile chan struct{}

func (hostile) Tally(Kind) replycache.Tally                            { panic("a third fault") }
func (hostile) Confined(string) replycache.Tally                       { panic("a fifth fault") }
func (hostile) Policed(string, string, policy.Action) replycache.Tally { panic("a fourth fault") }
func (hostile) Connections(string, int)                                { panic("another fault in the books") }
func (hostile) SubnetIgnored(string)                                   {}
func (hostile) Limited(string, Limit, Refusal)                         {}
func (h hostile) Refused(string, Refusal) {
	h <- struct{}{}
	panic("a fault in the books")
}

// lines is a log whose lines can be waited for.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// TestTroubledSockets: a socket that fails for a while (here by a deadline, in
// life by a lack of file descriptors) is complained about and then used again.
func TestTroubledSockets(t *testing.T) {
	for _, transport := range []string{udp, tcp} {
		log := make(lines, 100)
		s, err := New(Config{
			Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: echo{}, Readers: 1,
			Log: slog.New(slog.NewTextHandler(log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		trouble := map[string]func(time.Time) error{udp: s.sockets.udp[0].conn.SetReadDeadline, tcp: s.sockets.tcp[0].SetDeadline}[transport]
		if err := trouble(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- s.Run(ctx) }()
		if line := <-log; !strings.Contains(line, "level=ERROR msg=\"cannot ") || !strings.Contains(line, "address="+s.Addrs()[0].String()) {
			t.Errorf("the log says %s", line)
		}
		if err := trouble(time.Time{}); err != nil {
			t.Fatal(err)
		}
		client := dns.Client{Net: transport, Timeout: time.Minute}
		if _, _, err := client.Exchange(new(dns.Msg).SetQuestion("a.example.", dns.TypeA), s.Addrs()[0].String()); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

// TestIdleTime: the idle time shrinks as the connections fill up.
func TestIdleTime(t *testing.T) {
	table := newConnections(Config{Connections: 10, Idle: 10 * time.Second}.withDefaults())
	var got []string
	for i := range 11 {
		got = append(got, table.idleTime().String())
		table.admit(&conn{from: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})})
	}
	want := "10s 10s 10s 10s 10s 10s 8.2s 6.4s 4.6s 2.8s 1s"
	if strings.Join(got, " ") != want {
		t.Errorf("\n got %v\nwant %s", got, want)
	}
}

// TestConnectionsOfAPrefix: an IPv4 address is one client, and so is all of a prefix of
// IPv6, in which one host can have any number of addresses.
func TestConnectionsOfAPrefix(t *testing.T) {
	for _, row := range []struct {
		name, one, next string
		bits            int
		same            bool
	}{
		{"one address", "192.0.2.1", "192.0.2.1", 0, true},
		{"two addresses", "192.0.2.1", "192.0.2.2", 0, false},
		{"one subnet of IPv6", "2001:db8::1", "2001:db8::2:3:4", 0, true},
		{"two subnets of one site", "2001:db8:0:aa00::1", "2001:db8:0:aaff::1", 0, true},
		{"two sites", "2001:db8:0:aa00::1", "2001:db8:0:ab00::1", 0, false},
		{"longer prefixes", "2001:db8:0:aa00::1", "2001:db8:0:aaff::1", 64, false},
	} {
		table := newConnections(Config{ClientConnections: 2, Limits: Limits{IPv6Bits: row.bits}}.withDefaults())
		first := &conn{from: netip.MustParseAddr(row.one)}
		for _, c := range []*conn{first, {from: first.from}} {
			if _, admitted := table.admit(c); !admitted {
				t.Errorf("%s: a connection within the limit is closed", row.name)
			}
		}
		next := &conn{from: netip.MustParseAddr(row.next)}
		if _, admitted := table.admit(next); admitted == row.same {
			t.Errorf("%s: the third is admitted: %v", row.name, admitted)
		}
		table.countBy(48) // what is open stays counted as it was
		table.remove(first)
		if len(table.clients) > 0 && table.clients[first.counted].count != 1 {
			t.Errorf("%s: the books say %v", row.name, table.clients)
		}
	}
}

// TestBindErrors: what is said where a test cannot bring the error about.
func TestBindErrors(t *testing.T) {
	at := netip.MustParseAddrPort("[::1]:53")
	for err, want := range map[syscall.Errno]string{
		syscall.EACCES:       "listen on [::1]:53 (udp): permission denied: ports below 1024, such as 53, need the capability CAP_NET_BIND_SERVICE",
		syscall.EPERM:        "with the network of the host `sysctl -w net.ipv4.ip_unprivileged_port_start=53` there",
		syscall.EAFNOSUPPORT: "this host has no IPv6",
		syscall.EMFILE:       "listen on [::1]:53 (udp): too many open files",
	} {
		got := bindError(udp, at, &net.OpError{Op: "listen", Addr: net.UDPAddrFromAddrPort(at), Err: err})
		if !strings.Contains(got.Error(), want) || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
	if !noIPv6(syscall.EAFNOSUPPORT) || !noIPv6(syscall.EADDRNOTAVAIL) || noIPv6(syscall.EADDRINUSE) || noIPv6(nil) {
		t.Error("a host without IPv6 is not told from a port in use")
	}
}

// IdleConnections is how many connections are idle.
func (s *Server) IdleConnections() int {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	return s.conns.idle.Len()
}
