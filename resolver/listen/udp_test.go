package listen_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/listen/replycache"
	"pldns/zones"
)

// TestClient: the Handler is told who asks and which concrete address was
// asked, also behind a wildcard, and the reply leaves from that address. A
// connected UDP socket takes replies from the address it asked and no other.
func TestClient(t *testing.T) {
	for _, row := range []struct {
		name, listen string
		ask          []string // local addresses to ask
	}{
		{"one address", "127.0.0.5:0", []string{"127.0.0.5"}},
		{"every IPv4 address", "0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2", "127.9.8.7", "127.255.255.254"}},
		{"every address", "[::]:0", []string{"127.0.0.1", "127.0.0.3", "::1"}},
		{"one IPv6 address", "[::1]:0", []string{"::1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if netip.MustParseAddrPort(row.listen).Addr().Is6() {
				needIPv6(t)
			}
			seen := make(chan resolver.Query, 1)
			s := start(t, listen.Config{
				Addrs: addrs(row.listen),
				Handler: handler(func(ctx context.Context, q resolver.Query) resolver.Answer {
					seen <- q
					return known(ctx, q)
				}),
			})
			for _, to := range row.ask {
				asked := netip.AddrPortFrom(netip.MustParseAddr(to), s.addr.Port())
				for _, transport := range []string{"udp", "tcp"} {
					conn := dial(t, transport, asked)
					write(t, conn, pack(t, query("a.example")))
					unpack(t, read(t, conn))
					from := netip.MustParseAddrPort(conn.LocalAddr().String()).Addr()
					want := zones.Client{Addr: from, Listener: asked}
					if got := (<-seen).Client; got != want {
						t.Errorf("%s to %s: the client is %v, want %v", transport, to, got, want)
					}
				}
			}
		})
	}
}

// needIPv6 skips where the machine has no IPv6 loopback.
func needIPv6(t *testing.T) {
	t.Helper()
	conn, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6:", err)
	}
	conn.Close()
}

// TestQuery: what the Handler gets is what was asked.
func TestQuery(t *testing.T) {
	seen := make(chan resolver.Query, 1)
	s := start(t, listen.Config{Handler: handler(func(ctx context.Context, q resolver.Query) resolver.Answer {
		seen <- q
		return known(ctx, q)
	})})
	m := query("MyDB.Database.Windows.NET", edns(4096))
	m.Question[0].Qtype, m.Question[0].Qclass = 65280, dns.ClassCHAOS
	m.RecursionDesired, m.AuthenticatedData, m.CheckingDisabled = true, true, true
	m.IsEdns0().SetDo()
	for _, transport := range []string{"udp", "tcp"} {
		exchange(t, transport, s.addr, m)
		got := <-seen
		got.Client, got.Worker = zones.Client{}, nil
		want := resolver.Query{
			Question: resolver.Question{
				Name: zones.MustName("mydb.database.windows.net"), Type: 65280, DNSSEC: true, CheckingDisabled: true,
			},
			Spelling: "MyDB.Database.Windows.NET.", Class: dns.ClassCHAOS, RecursionDesired: true, WantsAD: true,
			Stream: transport == "tcp",
		}
		if got != want {
			t.Errorf("over %s\n got %+v\nwant %+v", transport, got, want)
		}
	}
}

// TestManyAtOnce: a thousand queries under way at one time over each transport
// get a reply each, and each its own.
func TestManyAtOnce(t *testing.T) {
	const total = 1000
	var arrived sync.WaitGroup
	arrived.Add(total)
	s := start(t, listen.Config{
		ClientConnections: total,
		Handler: handler(func(ctx context.Context, q resolver.Query) resolver.Answer {
			arrived.Done()
			arrived.Wait() // all are under way, none is answered
			return known(ctx, q)
		}),
	})
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Cleanup(func() { arrived.Add(total) })
			conns := make([]net.Conn, total)
			for i := range conns {
				conns[i] = dial(t, transport, s.addr)
				m := query(fmt.Sprintf("n%d.example", i))
				m.Id = uint16(i)
				write(t, conns[i], pack(t, m))
			}
			for i, conn := range conns {
				reply := unpack(t, read(t, conn))
				if want := fmt.Sprintf("n%d.example.", i); int(reply.Id) != i || reply.Answer[0].Header().Name != want {
					t.Fatalf("query %d got the reply %v", i, reply)
				}
				conn.Close()
			}
		})
	}
}

// TestShed: where more queries wait than Config.InFlight, one gives way and is answered
// SERVFAIL, at once and with the reason; UDP does not starve TCP, nor TCP UDP.
func TestShed(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			watch, other := newRecorder(), map[string]string{"udp": "tcp", "tcp": "udp"}[transport]
			gate := newGate()
			s := start(t, listen.Config{InFlight: 1, Observer: watch, Handler: handler(gate.Resolve)})
			conn := dial(t, transport, s.addr)
			write(t, conn, pack(t, query("slow1.example")))
			<-gate.entered
			write(t, conn, pack(t, query("slow2.example")))
			if got := summary(read(t, conn)); !strings.HasPrefix(got, "SERVFAIL ra rd q=slow") {
				t.Errorf("the one that gave way got %s", got)
			}
			if why := watch.refused(t); why != listen.Shed {
				t.Errorf("refused because of %s", why)
			}
			if reply := exchange(t, other, s.addr, query("a.example")); reply.Rcode != dns.RcodeSuccess {
				t.Errorf("over %s: %s", other, dns.RcodeToString[reply.Rcode])
			}
			close(gate.opened)
			if reply := unpack(t, read(t, conn)); reply.Rcode != dns.RcodeSuccess {
				t.Errorf("the other: %s", dns.RcodeToString[reply.Rcode])
			}
			watch.await(t, func(e event) bool { return e.served && e.transport == transport })
		})
	}
}

// TestPanic: a query that makes the Handler panic is answered SERVFAIL, and the
// next one is answered as ever.
func TestPanic(t *testing.T) {
	watch := newRecorder()
	s := start(t, listen.Config{Observer: watch, Handler: handler(func(ctx context.Context, q resolver.Query) resolver.Answer {
		if q.Name == zones.MustName("hostile.example") {
			panic("this must not stop the process")
		}
		return known(ctx, q)
	})})
	for _, transport := range []string{"udp", "tcp"} {
		conn := dial(t, transport, s.addr)
		write(t, conn, pack(t, query("hostile.example", edns(1232))))
		want := "SERVFAIL ra rd q=hostile.example. opt=v0,1232,ede0:internal error"
		if got := summary(read(t, conn)); got != want {
			t.Errorf("over %s: got %s, want %s", transport, got, want)
		}
		if why := watch.refused(t); why != listen.Panicked {
			t.Errorf("refused because of %s", why)
		}
		write(t, conn, pack(t, query("a.example")))
		if reply := unpack(t, read(t, conn)); reply.Rcode != dns.RcodeSuccess {
			t.Errorf("over %s, the next: %s", transport, dns.RcodeToString[reply.Rcode])
		}
	}
}

// hostileObserver panics where a fault of the books would.
type hostileObserver struct{ *recorder }

func (hostileObserver) Tally(listen.Kind) replycache.Tally {
	panic("this must not stop the process either")
}

// hostileTap is a Tap that panics.
type hostileTap struct{}

func (hostileTap) Wants() listen.Wants { return listen.Wants{Anew: 1} }

func (hostileTap) Exchanged(*listen.Exchange) { panic("nor must this") }

// TestObserverPanic: nor does a panic of those who are told of the answer, who has asked
// gets it.
func TestObserverPanic(t *testing.T) {
	s := start(t, listen.Config{Observer: hostileObserver{newRecorder()}})
	s.SetTap(hostileTap{})
	for range 3 {
		for _, transport := range []string{"udp", "tcp"} {
			if reply := exchange(t, transport, s.addr, query("a.example")); reply.Rcode != dns.RcodeSuccess {
				t.Errorf("over %s: %v", transport, reply)
			}
		}
	}
}

// TestUnpackable: an answer without a wire form becomes SERVFAIL, not silence.
func TestUnpackable(t *testing.T) {
	for name, answer := range map[string]resolver.Answer{
		"a label too long":         {Records: []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeCNAME, Class: 1}, Target: strings.Repeat("a", 64) + "."}}},
		"an rcode that needs EDNS": {Rcode: dns.RcodeBadCookie},
		"no rcode":                 {Rcode: 1 << 12},
		"no record":                {Records: []dns.RR{nil}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, listen.Config{Handler: handler(func(context.Context, resolver.Query) resolver.Answer { return answer })})
			for _, transport := range []string{"udp", "tcp"} {
				if reply := exchange(t, transport, s.addr, query("A.example")); reply.Rcode != dns.RcodeServerFailure || len(reply.Question) != 1 {
					t.Errorf("over %s: %v", transport, reply)
				}
			}
		})
	}
}
