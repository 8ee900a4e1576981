package listen

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/listen/replycache"
	"pldns/resolver/resolvertest"
)

// tallied counts what became of queries over UDP.
type tallied struct {
	nobody
	served, refused, dropped, slipped atomic.Int64
}

func (c *tallied) Tally(Kind) replycache.Tally      { return c }
func (c *tallied) Add(queries int, _ time.Duration) { c.served.Add(int64(queries)) }

func (c *tallied) Refused(_ string, why Refusal) {
	if why != Limited && why != Slipped {
		c.refused.Add(1)
	}
}

func (c *tallied) Limited(_ string, _ Limit, why Refusal) {
	if why == Slipped {
		c.slipped.Add(1)
	} else {
		c.dropped.Add(1)
	}
}

func (c *tallied) total() int64 {
	return c.served.Load() + c.refused.Load() + c.dropped.Load() + c.slipped.Load()
}

// limiting is a server of an estate that limits clients. What comes from 127.0.0.1
// names its client in a PROXY header.
type limiting struct {
	*Server
	counted *tallied
}

func startLimiting(t *testing.T, l Limits) limiting {
	t.Helper()
	counted := new(tallied)
	s, err := New(Config{
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: newEstate(t), Observer: counted, Limits: l,
		Trust: Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() { result <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
	return limiting{s, counted}
}

// proxyFor is a header of the PROXY protocol version 2 for a datagram or stream.
func proxyFor(client string, transport string) []byte {
	addr, kind := netip.MustParseAddr(client).AsSlice(), byte(0x10)
	if len(addr) == 16 {
		kind = 0x20
	}
	if transport == udp {
		kind |= 2
	} else {
		kind |= 1
	}
	head := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, kind)
	head = binary.BigEndian.AppendUint16(head, uint16(2*len(addr)+4))
	head = append(append(head, addr...), addr...)
	return append(head, 0x30, 0x39, 0, 53)
}

// flood is what came of many packets of one client.
type flood struct {
	replies   []*dns.Msg
	sent, got int // octets, without those of PROXY headers
}

// count counts the replies with an rcode, with or without the TC bit.
func (f flood) count(rcode int, truncated bool) (n int) {
	for _, reply := range f.replies {
		if reply.Rcode == rcode && reply.Truncated == truncated {
			n++
		}
	}
	return n
}

// flood sends a packet many times from a local address, which names a client if it
// is a proxy, and reads all that comes back.
func (l limiting) flood(t *testing.T, from, client string, packet []byte, times int) flood {
	t.Helper()
	conn, err := net.DialUDP(udp, &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(l.Addrs()[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	wire := packet
	if client != "" {
		wire = append(proxyFor(client, udp), packet...)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	f := flood{sent: times * len(packet)}
	for ; times > 0; times -= burstSize {
		l.burst(t, conn, wire, min(times, burstSize), &f)
	}
	return f
}

// burst is a part of a flood: no more than the buffers of sockets have room for.
func (l limiting) burst(t *testing.T, conn *net.UDPConn, wire []byte, times int, f *flood) {
	t.Helper()
	before, silent := l.counted.total(), l.counted.dropped.Load()
	for range times {
		if _, err := conn.Write(wire); err != nil {
			t.Fatal(err)
		}
	}
	resolvertest.Until(t, fmt.Sprintf("what becomes of %d packets", times), func() bool { return l.counted.total() >= before+int64(times) })
	buf := make([]byte, 4096)
	for range times - int(l.counted.dropped.Load()-silent) {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal("no reply:", err)
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(buf[:n]); err != nil {
			t.Fatal(err)
		}
		f.replies, f.got = append(f.replies, reply), f.got+n
	}
}

func packed(tb testing.TB, m *dns.Msg) []byte {
	tb.Helper()
	packet, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return packet
}

func mydb() *dns.Msg {
	return new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA).SetEdns0(1232, false)
}

// overTCP asks over TCP on behalf of a client, or for itself.
func (l limiting) overTCP(t *testing.T, from, client string) *dns.Msg {
	t.Helper()
	conn, err := net.DialTCP(tcp, &net.TCPAddr{IP: net.ParseIP(from)}, net.TCPAddrFromAddrPort(l.Addrs()[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if client != "" {
		if _, err := conn.Write(proxyFor(client, tcp)); err != nil {
			t.Fatal(err)
		}
	}
	library := dns.Conn{Conn: conn}
	if err := library.WriteMsg(mydb()); err != nil {
		t.Fatal(err)
	}
	reply, err := library.ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// At one query a second, this many in a flood are answered on the slowest of
// machines.
const (
	floodSize = 400
	burstSize = 100
	trickle   = 100
)

// TestUnlistedClients: who belongs to no network is refused a few times and then met
// with silence and TC, as one address; over TCP it is told as ever, its neighbours
// are, and networks notice nothing.
func TestUnlistedClients(t *testing.T) {
	l := startLimiting(t, Limits{Unlisted: 1, Slip: 2})
	packet := packed(t, mydb())
	for _, client := range []string{"203.0.113.7", "2001:db8::7"} {
		f := l.flood(t, "127.0.0.1", client, packet, floodSize)
		refused, slipped := f.count(dns.RcodeRefused, false), f.count(dns.RcodeSuccess, true)
		if refused == 0 || refused > trickle || slipped < (floodSize-trickle)/2 || refused+2*slipped < floodSize-1 || refused+slipped != len(f.replies) {
			t.Errorf("%s: %d refused, %d told to use TCP, of %d", client, refused, slipped, len(f.replies))
		}
		for _, reply := range f.replies {
			if reply.Truncated && (len(reply.Answer)+len(reply.Ns) != 0 || reply.Question[0].Name != "mydb.database.windows.net." || !reply.Response) {
				t.Fatalf("the reply is %v", reply)
			}
		}
		if f.got > f.sent {
			t.Errorf("%s: %d octets were answered with %d", client, f.sent, f.got)
		}
		if reply := l.overTCP(t, "127.0.0.1", client); reply.Rcode != dns.RcodeRefused {
			t.Errorf("%s over TCP: %v", client, reply)
		}
	}
	for _, neighbour := range []string{"203.0.113.8", "2001:db8:0:100::7"} {
		if f := l.flood(t, "127.0.0.1", neighbour, packet, 1); f.count(dns.RcodeRefused, false) != 1 {
			t.Errorf("%s was limited with its neighbour", neighbour)
		}
	}
	if f := l.flood(t, "127.0.0.2", "", packet, floodSize); f.count(dns.RcodeSuccess, false) != floodSize {
		t.Errorf("a listed client was answered %d of %d times", len(f.replies), floodSize)
	}
}

// TestLimitOfANetwork: each client of a network may have a limit, which holds for
// what is remembered too.
func TestLimitOfANetwork(t *testing.T) {
	l := startLimiting(t, Limits{Networks: map[string]int{"asia": 1, "closed": 0}, Slip: 2, ListedSlip: 1})
	packet := packed(t, mydb())
	f := l.flood(t, "127.200.0.1", "", packet, floodSize)
	if answered, slipped := f.count(dns.RcodeSuccess, false), f.count(dns.RcodeSuccess, true); answered == 0 || answered > trickle || answered+slipped != floodSize {
		t.Errorf("%d answered, %d told to use TCP", answered, slipped)
	}
	if reply := l.overTCP(t, "127.200.0.1", ""); reply.Rcode != dns.RcodeSuccess || len(reply.Answer) == 0 {
		t.Errorf("over TCP: %v", reply)
	}
	for _, row := range []struct {
		from, client string
		times, rcode int
	}{{"127.200.0.2", "", 1, dns.RcodeSuccess}, {"127.0.0.2", "", floodSize, dns.RcodeSuccess}, {"127.0.0.1", "203.0.113.7", floodSize, dns.RcodeRefused}} {
		if f := l.flood(t, row.from, row.client, packet, row.times); f.count(row.rcode, false) != row.times {
			t.Errorf("%s%s was answered %d of %d times", row.from, row.client, f.count(row.rcode, false), row.times)
		}
	}
}

// TestReflector: RFC 5358: whatever is sent in the name of somebody who belongs to
// no network, in great number it hits its victim with fewer octets than were sent.
func TestReflector(t *testing.T) {
	l := startLimiting(t, Limits{Unlisted: 20, Slip: 2})
	cookie := mydb()
	cookie.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}}
	version := mydb()
	version.IsEdns0().SetVersion(1)
	signed := mydb().SetTsig("key.", dns.HmacSHA256, 300, 1_800_000_000)
	signed.Extra[1].(*dns.TSIG).MACSize, signed.Extra[1].(*dns.TSIG).MAC = 32, fmt.Sprintf("%064x", 7)
	two := mydb()
	two.Question = append(two.Question, two.Question[0])
	for i, m := range []*dns.Msg{
		mydb(), new(dns.Msg).SetQuestion(".", dns.TypeANY), cookie, version, signed, two, new(dns.Msg).SetNotify("example."),
		{MsgHdr: dns.MsgHdr{Opcode: dns.OpcodeStatus}},
	} {
		client := fmt.Sprintf("203.0.113.%d", i)
		f := l.flood(t, "127.0.0.1", client, packed(t, m), 4*floodSize)
		if f.got > f.sent {
			t.Errorf("%d octets were answered with %d: %v", f.sent, f.got, m)
		}
	}
}

// judged is a server that is asked about packets alone.
func judged(t *testing.T, l Limits) func(client string, bits int, why Refusal) Refusal {
	t.Helper()
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: newEstate(t), Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	return func(client string, bits int, why Refusal) Refusal {
		q, m := &query{began: time.Now()}, new(memory)
		q.client.Addr, q.client.Bits = netip.MustParseAddr(client), uint8(bits)
		m.open(s, q.began)
		m.locate(q.client)
		return s.limited(q, m, new(request), why)
	}
}

// TestLimitOverTime: a bucket of one second, filled evenly, on the clock.
func TestLimitOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judge := judged(t, Limits{Unlisted: 4, Slip: 3})
		var got []Refusal
		ask := func(times int) {
			for range times {
				got = append(got, judge("192.0.2.1", 0, Accepted))
			}
		}
		ask(8)
		time.Sleep(250 * time.Millisecond)
		ask(2)
		time.Sleep(time.Hour) // saves up one second and no more
		ask(5)
		want := []Refusal{0, 0, 0, 0, Limited, Limited, Slipped, Limited, 0, Limited, 0, 0, 0, 0, Slipped}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("\n got %v\nwant %v", got, want)
		}
		if why := judge("192.0.2.1", 0, Malformed); why != Limited {
			t.Errorf("what is no query is %s", why)
		}
	})
}

// TestWhoIsLimited: which clients count as one, and which never count.
func TestWhoIsLimited(t *testing.T) {
	exempt := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	for _, row := range []struct {
		name      string
		limits    Limits
		one, next string
		bits      int
		same      bool
	}{
		{"an address", Limits{}, "192.0.2.1", "192.0.2.1", 0, true},
		{"two addresses", Limits{}, "192.0.2.1", "192.0.2.2", 0, false},
		{"two of a prefix", Limits{IPv4Bits: 24}, "192.0.2.1", "192.0.2.254", 0, true},
		{"two prefixes", Limits{IPv4Bits: 24}, "192.0.2.1", "192.0.3.1", 0, false},
		{"IPv6 of one site", Limits{}, "2001:db8:0:aa00::1", "2001:db8:0:aaff:1::9", 0, true},
		{"IPv6 of two sites", Limits{}, "2001:db8:0:aa00::1", "2001:db8:0:ab00::1", 0, false},
		{"IPv6 of a longer prefix", Limits{IPv6Bits: 64}, "2001:db8::1", "2001:db8:0:1::1", 0, false},
		{"a subnet that a forwarder tells", Limits{}, "192.0.2.0", "192.0.2.0", 24, true},
		{"exempt", Limits{Exempt: exempt}, "198.51.100.1", "198.51.100.1", 0, false},
		{"not limited", Limits{Unlisted: -1}, "192.0.2.1", "192.0.2.1", 0, false},
		{"listed", Limits{}, "10.0.0.1", "10.0.0.1", 0, false},
		{"of a limited network", Limits{Networks: map[string]int{"closed": 1}}, "10.0.0.1", "10.0.0.1", 0, true},
		{"listed, with a limit for all", Limits{Listed: 1}, "10.0.0.1", "10.0.0.1", 0, true},
		{"of a network without that limit", Limits{Listed: 1, Networks: map[string]int{"closed": 0}}, "10.0.0.1", "10.0.0.1", 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.limits.Unlisted++ // 1, but for one row
			synctest.Test(t, func(t *testing.T) {
				judge := judged(t, row.limits)
				if why := judge(row.one, row.bits, Accepted); why != Accepted {
					t.Fatalf("the first is %s", why)
				}
				if limited := judge(row.next, row.bits, Accepted) == Limited; limited != row.same {
					t.Errorf("limited with the first: %v", limited)
				}
			})
		})
	}
}

// TestSetLimits: a change of the limits counts at once, and forgets nothing.
func TestSetLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: newEstate(t)})
		if err != nil {
			t.Fatal(err)
		}
		passed := func() (n int) {
			for range 100 {
				q, m := &query{began: time.Now()}, new(memory)
				q.client.Addr = netip.MustParseAddr("192.0.2.1")
				m.open(s, q.began)
				m.locate(q.client)
				if s.limited(q, m, new(request), Accepted) == Accepted {
					n++
				}
			}
			return n
		}
		var got []int
		for _, unlisted := range []int{0, 10, 10, 20, 0, 1} {
			s.SetLimits(Limits{Unlisted: unlisted})
			got = append(got, passed())
		}
		time.Sleep(time.Second)
		s.SetLimits(Limits{Unlisted: 5})
		got = append(got, passed())
		if want := []int{100, 10, 0, 0, 100, 0, 5}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("passed %v, want %v", got, want)
		}
	})
}

// TestBucketsAreBounded: a million addresses take no memory, cannot make a client
// that floods forgotten, and each of them has what is its own.
func TestBucketsAreBounded(t *testing.T) {
	b, now := newBuckets(), time.Now()
	const interval = time.Second / 20
	flooding := b.owner(0, netip.MustParsePrefix("192.0.2.1/32"))
	for b.take(flooding, interval, now) == 0 {
	}
	i, refused, again := uint32(0), 0, 0
	once := func() {
		i++
		var addr [4]byte
		binary.BigEndian.PutUint32(addr[:], i<<8)
		if b.take(b.owner(0, netip.PrefixFrom(netip.AddrFrom4(addr), 32)), interval, now) > 0 {
			refused++
		}
		if b.take(flooding, interval, now) == 0 {
			again++
		}
	}
	if allocs := testing.AllocsPerRun(1_000_000, once); allocs != 0 {
		t.Errorf("%v allocations for each", allocs)
	}
	if refused > 0 || again > 0 {
		t.Errorf("%d of a million were refused, and the one that floods was answered %d times", refused, again)
	}
	if len(b.sets) != bucketSets {
		t.Errorf("there are %d sets", len(b.sets))
	}
}

// TestBucketsAtOnce: however many readers take at one time, nobody gets more.
func TestBucketsAtOnce(t *testing.T) {
	b, now := newBuckets(), time.Now()
	owner := b.owner(7, netip.MustParsePrefix("2001:db8::/56"))
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if b.take(owner, time.Second/100, now) == 0 {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d queries passed, want 100", passed.Load())
	}
}

// BenchmarkLimited is what a limit costs a packet: of a client without one, of one
// within its own, and of ever new addresses.
func BenchmarkLimited(b *testing.B) {
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: newEstate(b)})
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range []struct{ name, client string }{{"listed", "10.0.0.1"}, {"limited", "127.200.0.1"}, {"unlisted", "192.0.2.1"}, {"new", ""}} {
		b.Run(row.name, func(b *testing.B) {
			q, m, r := &query{began: time.Now()}, new(memory), new(request)
			q.client.Addr = netip.MustParseAddr("192.0.2.1")
			if row.client != "" {
				q.client.Addr = netip.MustParseAddr(row.client)
			}
			m.open(s, q.began)
			m.locate(q.client)
			limits := Limits{Unlisted: 20, Slip: 2}
			if row.name == "limited" {
				limits.Networks = map[string]int{"asia": 1000}
			}
			s.SetLimits(limits)
			b.ReportAllocs()
			for i := uint32(0); b.Loop(); i++ {
				if row.client == "" {
					var addr [4]byte
					binary.BigEndian.PutUint32(addr[:], i)
					q.client.Addr = netip.AddrFrom4(addr)
				}
				s.limited(q, m, r, Accepted)
			}
		})
	}
}
