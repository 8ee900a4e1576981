package listen

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// BenchmarkAccept reads one query. The name is what it allocates.
func BenchmarkAccept(b *testing.B) {
	ask := func() *dns.Msg {
		return new(dns.Msg).SetQuestion("mydb.privatelink.database.windows.net.", dns.TypeA)
	}
	flood := ask().SetEdns0(1232, false)
	for range 12000 {
		flood.IsEdns0().Option = append(flood.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: 65001})
	}
	notify := new(dns.Msg).SetNotify("example.")
	for _, row := range []struct {
		name  string
		query *dns.Msg
	}{{"plain", ask()}, {"edns", ask().SetEdns0(1232, true)}, {"refused", notify}, {"12000-options", flood}} {
		packet, err := row.query.Pack()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(packet)))
			for b.Loop() {
				accept(packet)
			}
		})
	}
}

// local answers as a private endpoint does.
type local struct{ answer resolver.Answer }

func newLocal() local {
	head := dns.RR_Header{Name: "mydb.database.windows.net.", Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 10}
	private := "mydb.privatelink.database.windows.net."
	return local{resolver.Answer{Authoritative: true, Records: []dns.RR{
		&dns.CNAME{Hdr: head, Target: private},
		&dns.A{Hdr: dns.RR_Header{Name: private, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 10}, A: net.IPv4(10, 0, 1, 4)},
	}}}
}

func (local) Snapshot() *resolver.Snapshot { return nil }

func (l local) Begin(*resolver.Snapshot, resolver.Query, *zones.Network, func()) (resolver.Answer, resolver.Pending) {
	return l.answer, nil
}

// BenchmarkReply packs the answer of a private endpoint.
func BenchmarkReply(b *testing.B) {
	packet, err := new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA).SetEdns0(1232, false).Pack()
	if err != nil {
		b.Fatal(err)
	}
	r, _ := accept(packet)
	q, x, answer := new(query), newScratch(), newLocal().answer
	b.ReportAllocs()
	for b.Loop() {
		q.asked = r.query(q.client)
		if _, _, err := q.pack(x, &r, answer); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRoundTrip asks over loopback and waits for the reply, one at a time,
// on one address and on a wildcard, over UDP and TCP.
func BenchmarkRoundTrip(b *testing.B) {
	packet, err := new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA).SetEdns0(1232, false).Pack()
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range []struct{ name, transport, addr string }{
		{"udp", udp, "127.0.0.1:0"}, {"udp-wildcard", udp, "0.0.0.0:0"}, {"tcp", tcp, "127.0.0.1:0"},
	} {
		b.Run(row.name, func(b *testing.B) {
			conn := benchServer(b, row.transport, row.addr)
			out, buf := packet, make([]byte, 2048)
			if row.transport == tcp {
				out = append([]byte{0, byte(len(packet))}, packet...)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(out); err != nil {
					b.Fatal(err)
				}
				if _, err := conn.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
			if !bytes.Contains(buf, []byte{10, 0, 1, 4}) {
				b.Error("the reply has no address")
			}
		})
	}
}

func benchServer(b *testing.B, transport, addr string) net.Conn {
	b.Helper()
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort(addr)}, Handler: newLocal()})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() { result <- s.Run(ctx) }()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addrs()[0].Port())
	conn, err := net.Dial(transport, to.String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		conn.Close()
		cancel()
		if err := <-result; err != nil {
			b.Error(err)
		}
	})
	return conn
}

// BenchmarkReceive answers queries from memory, as far as the system is not needed for
// it: without limits, of a client that is far from any, and of one that asks so much that each
// reply is counted by what it says.
func BenchmarkReceive(b *testing.B) {
	const names = 1000
	packets := make([][]byte, names)
	for i := range packets {
		packets[i] = packed(b, new(dns.Msg).SetQuestion(fmt.Sprintf("a%d.env.azurecontainerapps.io.", i), dns.TypeA).SetEdns0(1232, false))
	}
	for _, row := range []struct {
		name   string
		limits Limits
	}{
		{"unlimited", Limits{}},
		{"quiet", Limits{Unlisted: 20, Listed: 1e9, Responses: 1e9, Slip: 2, ListedSlip: 1}},
		{"lively", Limits{Unlisted: 20, Listed: 1e9, Responses: 1e6, Slip: 2, ListedSlip: 1}},
	} {
		b.Run(row.name, func(b *testing.B) {
			s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: newEstate(b), Limits: row.limits})
			if err != nil {
				b.Fatal(err)
			}
			a := newAsker()
			a.peer = netip.MustParseAddrPort("10.0.0.1:4000")
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a.began = time.Now()
				a.x.memory.open(s, a.began)
				if out := s.receive(a.query, a.x, a.socket, packets[i%names], a.peer, nil); out.reply == nil {
					b.Fatal("no reply")
				}
			}
		})
	}
}
