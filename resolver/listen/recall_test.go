package listen

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/listen/replycache"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// running is a server of an estate.
type running struct {
	*Server
	told chan string // one line for each query
	conn net.Conn
}

// books is a Tap that wants no more than to know where replies come from. It has one line
// for each query.
type books chan string

func (books) Wants() Wants { return Wants{Remembered: 1} }

func (b books) Exchanged(e *Exchange) {
	how := "decided"
	if e.Remembered {
		how = "remembered"
	}
	b <- fmt.Sprintln(how, e.Transport, e.Answer.Network, e.Answer.Rcode, e.Answer.Source)
}

func run(tb testing.TB, h Handler, told bool) running {
	tb.Helper()
	r := running{told: make(chan string, 1<<10)}
	here := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	certificate := resolvertest.NewAuthority(tb).Certificate(tb, "127.0.0.1")
	config := Config{Addrs: here, TLS: here, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}, Handler: h}
	var err error
	if r.Server, err = New(config); err != nil {
		tb.Fatal(err)
	}
	if told {
		r.SetTap(books(r.told))
	}
	if err := r.Listen(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() { result <- r.Run(ctx) }()
	if r.conn, err = net.Dial(udp, r.Addrs()[0].String()); err != nil {
		tb.Fatal(err)
	}
	_ = r.conn.SetDeadline(time.Now().Add(time.Minute))
	tb.Cleanup(func() {
		r.conn.Close()
		cancel()
		if err := <-result; err != nil {
			tb.Error(err)
		}
	})
	return r
}

// ask asks over UDP and gives the reply.
func (r running) ask(tb testing.TB, name string) *dns.Msg {
	tb.Helper()
	packet, err := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, false).Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return r.send(tb, packet)
}

func (r running) send(tb testing.TB, packet []byte) *dns.Msg {
	tb.Helper()
	if _, err := r.conn.Write(packet); err != nil {
		tb.Fatal(err)
	}
	buf := make([]byte, 2048)
	n, err := r.conn.Read(buf)
	if err != nil {
		tb.Fatal("no reply:", err)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(buf[:n]); err != nil {
		tb.Fatal(err)
	}
	if id := uint16(packet[0])<<8 | uint16(packet[1]); reply.Id != id {
		tb.Fatalf("the reply has the id %d, asked was %d", reply.Id, id)
	}
	return reply
}

// TestRemembered: the second time an answer comes from memory, to the asker's own
// question, and is counted like the first.
func TestRemembered(t *testing.T) {
	r := run(t, newEstate(t), true)
	for i, name := range []string{"mydb.database.windows.net.", "MyDB.Database.Windows.NET."} {
		reply := r.ask(t, name)
		if reply.Question[0].Name != name || len(reply.Answer) != 2 || reply.Answer[0].Header().Name != name || !reply.Authoritative {
			t.Errorf("the reply is %v", reply)
		}
		want := []string{"decided", "remembered"}[i] + " udp europe 0 local\n"
		if got := <-r.told; got != want {
			t.Errorf("the books say %q, want %q", got, want)
		}
	}
}

// TestRememberedStreams: RFC 7766, 7858: pipelined queries are all answered, from
// memory or not, each to its own question, and counted once; what depends on the
// connection (RFC 7828) is decided every time.
func TestRememberedStreams(t *testing.T) {
	r := run(t, newEstate(t), true)
	for _, transport := range []string{tcp, dot} {
		t.Run(transport, func(t *testing.T) {
			var conn net.Conn
			var err error
			if transport == tcp {
				conn, err = net.Dial(tcp, r.Addrs()[0].String())
			} else {
				conn, err = tls.Dial(tcp, r.TLSAddrs()[0].String(), &tls.Config{InsecureSkipVerify: true}) // who it is does not matter here
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			r.askPipelined(t, conn, transport)
		})
	}
}

// askPipelined asks 300 questions at once, three times.
func (r running) askPipelined(t *testing.T, conn net.Conn, transport string) {
	t.Helper()
	const total = 300
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	names := []string{"mydb.database.windows.net.", "API.contoso.com.", "probed.database.windows.net.", "www.example."}
	fromMemory := 0
	for range 3 {
		var stream []byte
		for id := range total {
			m := new(dns.Msg).SetQuestion(names[id%len(names)], dns.TypeA)
			m.Id = uint16(id)
			if id%10 == 0 {
				m.SetEdns0(1232, false).IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: dns.EDNS0TCPKEEPALIVE}}
			}
			packet, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			stream = append(binary.BigEndian.AppendUint16(stream, uint16(len(packet))), packet...)
		}
		if _, err := conn.Write(stream); err != nil {
			t.Fatal(err)
		}
		seen := make(map[uint16]bool)
		library := dns.Conn{Conn: conn}
		for range total {
			reply, err := library.ReadMsg()
			if err != nil {
				t.Fatal(err)
			}
			if id := int(reply.Id); seen[reply.Id] || reply.Question[0].Name != names[id%len(names)] || len(reply.Answer) == 0 ||
				(reply.IsEdns0() != nil) != (id%10 == 0) || id%10 == 0 && len(reply.IsEdns0().Option) != 1 {
				t.Fatalf("the reply is %v", reply)
			}
			seen[reply.Id] = true
		}
		for range total {
			if line := <-r.told; strings.HasPrefix(line, "remembered "+transport+" europe 0 ") {
				fromMemory++
			} else if !strings.HasPrefix(line, "decided "+transport+" europe 0 ") {
				t.Fatalf("the books say %q", line)
			}
		}
	}
	if fromMemory < total/2 {
		t.Errorf("only %d replies came from memory", fromMemory)
	}
}

// TestRememberedHTTPS: over HTTPS too, octet for octet what was decided, and padded for
// who pads.
func TestRememberedHTTPS(t *testing.T) {
	told := make(books, 10)
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}, Handler: newEstate(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.SetTap(told)
	client := zones.NewClient(netip.MustParseAddr("127.0.0.9"), netip.AddrPort{})
	client.Shown = new(zones.Shown)
	w := &web{conn: &conn{server: s, transport: doh, client: client}}
	ask := func(name string, options ...dns.EDNS0) (*dns.Msg, http.Header) {
		query := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, false)
		query.Id, query.IsEdns0().Option = 0, options
		packet, err := query.Pack()
		if err != nil {
			t.Fatal(err)
		}
		out, reply := httptest.NewRecorder(), new(dns.Msg)
		w.answer(t.Context(), out, packet, client, w.origin(w.peer), time.Now())
		if err := reply.Unpack(out.Body.Bytes()); err != nil {
			t.Fatal(err)
		}
		return reply, out.Header()
	}
	decided, head := ask("MyDB.database.windows.net.")
	again, headAgain := ask("MyDB.database.windows.net.")
	if decided.String() != again.String() || !maps.EqualFunc(head, headAgain, slices.Equal) || len(again.Answer) != 2 {
		t.Errorf("from memory\n%v%v, decided\n%v%v", headAgain, again, head, decided)
	}
	_, head = ask("mydb.database.windows.net.", &dns.EDNS0_PADDING{Padding: make([]byte, 9)})
	if got := head.Get("Content-Length"); got != strconv.Itoa(paddingBlock) {
		t.Errorf("a padded reply has %s octets", got)
	}
	for _, want := range []string{"decided", "remembered", "remembered"} {
		if got := <-told; got != want+" https europe 0 local\n" {
			t.Errorf("the books say %q, want %s", got, want)
		}
	}
}

// TestNotRemembered: what may be different the next time is decided every time.
func TestNotRemembered(t *testing.T) {
	e := newEstate(t)
	r := run(t, e, false)
	for _, row := range []struct{ why, name string }{
		{"an error of the outside", "broken.example."},
		{"SERVFAIL of the outside", "servfail.example."},
		{"RFC 2308: a denial without a proof", "unproven.example."},
		{"RFC 1035: a TTL of zero", "fleeting.example."},
		{"an endpoint whose health is probed", "probed.database.windows.net."},
		{"an answer that does not fit", "large.example."},
	} {
		for range 3 {
			r.ask(t, row.name)
		}
		if n := r.replies.of(e.Snapshot()).Len(); n != 0 {
			t.Fatalf("%s: %s is remembered", row.why, row.name)
		}
	}
	e.ill.Store(true)
	if got := r.ask(t, "probed.database.windows.net.").Answer[1].(*dns.A).A.String(); got != "10.0.1.9" {
		t.Errorf("an address that is ill is answered: %s", got)
	}
}

// TestForgotten: a new snapshot and a flush are obeyed by the very next query.
func TestForgotten(t *testing.T) {
	e := newEstate(t)
	r := run(t, e, true)
	address := func() string {
		return r.ask(t, "mydb.database.windows.net.").Answer[1].(*dns.A).A.String()
	}
	for range 2 {
		address()
		<-r.told
	}
	r.ForgetReplies()
	if got := address(); got != "10.0.1.4" || <-r.told != "decided udp europe 0 local\n" {
		t.Errorf("after a flush, %s from memory", got)
	}
	e.Swap(e.snapshot(t, "10.0.1.5"))
	if got := address(); got != "10.0.1.5" {
		t.Errorf("after a swap, still %s", got)
	}
}

// TestFreshness: what was forwarded is given for an eighth of its TTL and fifteen
// seconds at most, with TTLs that count down, so that the cache keeps seeing who
// asks. What is local stays.
func TestFreshness(t *testing.T) {
	e := newEstate(t)
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}, Handler: e})
	if err != nil {
		t.Fatal(err)
	}
	a := newAsker()
	for _, row := range []struct {
		name string
		last time.Duration // it is known this long after, and not an instant later
		ttl  uint32        // at that moment
	}{
		{"www.example.", 15*time.Second - 1, 286},
		{"short.example.", time.Second/8 - 1, 1},
		{"vanity.example.", 10*time.Second/8 - 1, 76}, // an alias from outside, TTL 77, of an endpoint of ours, TTL 10
	} {
		packet, err := new(dns.Msg).SetQuestion(row.name, dns.TypeA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		fast(s, packet, a)
		if _, known := fast(s, packet, a); known {
			t.Errorf("%s: what was asked just now is remembered before the cache has it", row.name)
		}
		r, _ := accept(packet)
		at := func(after time.Duration) *replycache.Reply {
			later := a.x.memory
			later.locate(a.client)
			later.now += replycache.Moment(after)
			return later.recall(&r, a.query)
		}
		known := at(row.last)
		if known == nil || at(row.last+1) != nil {
			t.Errorf("%s is not remembered for %s", row.name, row.last)
			continue
		}
		var reply dns.Msg
		if err := reply.Unpack(known.Write(make([]byte, 512), 1, r.question, a.x.memory.now+replycache.Moment(row.last))); err != nil {
			t.Fatal(err)
		}
		if got := reply.Answer[0].Header().Ttl; got != row.ttl {
			t.Errorf("%s: the TTL is %d, want %d", row.name, got, row.ttl)
		}
	}
}

// audience is a Tap that counts what it is told, and wants to be told of everything.
type audience struct{ queries, anonymous atomic.Int64 }

func (*audience) Wants() Wants { return Wants{Remembered: 1} }

func (c *audience) Exchanged(e *Exchange) {
	c.queries.Add(1)
	if e.Answer.Network == "" || len(e.Question) == 0 {
		c.anonymous.Add(1)
	}
}

// TestAllocations: a query that is answered from memory costs no garbage, from
// packet to packet, and neither does to observe it.
func TestAllocations(t *testing.T) {
	t.Run("nobody is told", func(t *testing.T) { run(t, newEstate(t), false).allocateNothing(t) })
	t.Run("a tap", func(t *testing.T) {
		r, told := run(t, newEstate(t), false), new(audience)
		r.SetTap(told)
		r.allocateNothing(t)
		if told.queries.Load() < 2000 || told.anonymous.Load() > 0 {
			t.Errorf("told of %d queries, of %d of which little", told.queries.Load(), told.anonymous.Load())
		}
	})
}

// allocateNothing asks for what is remembered.
func (r running) allocateNothing(t *testing.T) {
	t.Helper()
	for _, row := range []struct {
		name   string
		opt    bool
		cookie []dns.EDNS0
	}{
		{name: "MyDB.database.windows.net."}, {name: "mydb.database.windows.net.", opt: true}, {name: "nothing.example.", opt: true},
		{"mydb.database.windows.net.", true, []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}}},
		{"mydb.database.windows.net.", true, []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}},
	} {
		query := new(dns.Msg).SetQuestion(row.name, dns.TypeA)
		if row.opt {
			query.SetEdns0(1232, true).IsEdns0().Option = row.cookie
		}
		packet, err := query.Pack()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			r.send(t, packet)
		}
		buf := make([]byte, 2048)
		allocated := testing.AllocsPerRun(500, func() {
			if _, err := r.conn.Write(packet); err != nil {
				t.Error(err)
			}
			if _, err := r.conn.Read(buf); err != nil {
				t.Error(err)
			}
		})
		if allocated != 0 {
			t.Errorf("%s: %v allocations", row.name, allocated)
		}
	}
}

// BenchmarkMemory answers packets of one client from memory, without sockets.
func BenchmarkMemory(b *testing.B) {
	e := newEstate(b)
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}, Handler: e})
	if err != nil {
		b.Fatal(err)
	}
	packet, err := new(dns.Msg).SetQuestion("MyDB.database.windows.net.", dns.TypeA).SetEdns0(1232, false).Pack()
	if err != nil {
		b.Fatal(err)
	}
	a := newAsker()
	fast(s, packet, a)
	a.x.memory.open(s, time.Now())
	b.ReportAllocs()
	for b.Loop() {
		if !s.receive(a.query, a.x, a.socket, packet, a.peer, nil).inScratch {
			b.Fatal("not from memory")
		}
	}
}
