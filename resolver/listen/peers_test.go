package listen_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/listen"
	"pldns/resolver/primary"
	"pldns/resolver/resolvertest"
	"pldns/resolver/tsig"
	"pldns/zones"
)

// siteKey is one that the server knows.
var siteKey = &tsig.Key{Name: zones.MustName("site.copy"), Algorithm: "hmac-sha256", Secret: []byte("0123456789abcdef0123456789abcdef")}

// zoneTaken is what the servers of tests give, to clients of network one.
var zoneTaken = zones.MustName("corp.example")

// giver gives a zone of so many records, and is told of changes.
type giver struct {
	records int
	verdict primary.Verdict // zero for Given
	mu      sync.Mutex
	told    []string // of NOTIFY
	asked   []primary.Request
}

func (g *giver) Notify(zone zones.Name, from netip.Addr, key zones.Name) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, fmt.Sprint(zone, " ", from, " ", key))
	return zone == zoneTaken && from.String() == "127.0.1.1"
}

func (g *giver) Transfer(q primary.Request) primary.Outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, q)
	if q.Network != "one" {
		return primary.Outcome{}
	}
	if verdict := cmp.Or(g.verdict, primary.Given); verdict != primary.Given {
		return primary.Outcome{Verdict: verdict, Why: "no"}
	}
	soa, _ := dns.NewRR("corp.example. 60 IN SOA ns.example. hostmaster.example. 77 1 1 1 1")
	return primary.Outcome{Verdict: primary.Given, SOA: soa.(*dns.SOA), Records: g.all(soa), Whole: true}
}

func (g *giver) all(soa dns.RR) iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		if !yield(soa) {
			return
		}
		for i := range g.records {
			name := fmt.Sprintf("host-%d.corp.example.", i)
			if !yield(&dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{strings.Repeat("x", 100)}}) {
				return
			}
		}
		yield(soa)
	}
}

func (*giver) Took(primary.Request, bool) {}

// startGiver starts a server with listeners of every kind that knows siteKey.
func startGiver(tb testing.TB, g *giver) everywhere {
	tb.Helper()
	return startHub(tb, listen.Config{Peers: listen.Peers{Keys: tsig.Ring{siteKey.Name: siteKey}, Notified: g, Transfers: g}}, 0)
}

// signed signs a message.
func signed(tb testing.TB, key *tsig.Key, m *dns.Msg, at time.Time) ([]byte, *tsig.Replies) {
	tb.Helper()
	return key.Sign(pack(tb, m), at)
}

// What is signed with a known key is answered like any query, from anywhere, and the reply is
// signed; neither has anything to do with replies that are remembered.
func TestSignedQueries(t *testing.T) {
	e := startGiver(t, &giver{})
	for _, name := range []string{"mydb.database.windows.net", "forwarded.example", "mydb.database.windows.net"} {
		for _, transport := range []string{"udp", "tcp", "tls"} {
			for _, size := range []uint16{0, 1232} {
				conn := e.dial(t, transport, "127.0.1.1")
				m := query(name)
				if size > 0 {
					edns(size, &dns.EDNS0_COOKIE{Cookie: "0011223344556677"})(m)
				}
				packed, replies := signed(t, siteKey, m, time.Now())
				write(t, conn, packed)
				reply, err := replies.Verify(read(t, conn), time.Now())
				if err != nil {
					t.Fatalf("%s over %s: %v", name, transport, err)
				}
				if got := unpack(t, reply); len(got.Answer) != 1 || got.Rcode != dns.RcodeSuccess || (got.IsEdns0() != nil) != (size > 0) {
					t.Errorf("%s over %s: %v", name, transport, got)
				}
				write(t, conn, pack(t, query(name)))
				if got := unpack(t, read(t, conn)); got.IsTsig() != nil || len(got.Answer) != 1 {
					t.Errorf("%s over %s, unsigned: %v", name, transport, got)
				}
			}
		}
		for _, transport := range []string{"https", "doq", "h3"} {
			packed, _ := signed(t, siteKey, query(name, func(m *dns.Msg) { m.Id = 0 }), time.Now())
			got := e.ask(t, transport, "127.0.1.1", unpack(t, packed))
			if tsig := got.IsTsig(); tsig == nil || tsig.MACSize != 32 || len(got.Answer) != 1 {
				t.Errorf("%s over %s: %v", name, transport, got)
			}
		}
	}
}

// What is wrong with a signature is told, signed where that proves something (RFC 8945 section 5.2).
func TestWrongSignatures(t *testing.T) {
	e, now := startGiver(t, &giver{}), time.Now()
	unknown, wrong := *siteKey, *siteKey
	unknown.Name, wrong.Secret = zones.MustName("another.key"), []byte("another secret")
	for _, row := range []struct {
		name   string
		key    *tsig.Key
		at     time.Time
		notify bool
		code   uint16
		why    listen.Refusal
	}{
		{"an unknown key", &unknown, now, false, dns.RcodeBadKey, listen.BadKey},
		{"another secret", &wrong, now, false, dns.RcodeBadSig, listen.BadSig},
		{"an hour ago", siteKey, now.Add(-time.Hour), false, dns.RcodeBadTime, listen.BadTime},
		{"in an hour", siteKey, now.Add(time.Hour), false, dns.RcodeBadTime, listen.BadTime},
		{"NOTIFY with another secret", &wrong, now, true, dns.RcodeBadSig, listen.BadSig},
	} {
		for _, transport := range []string{"udp", "tcp", "tls"} {
			conn := e.dial(t, transport, "127.0.1.1")
			m := query("mydb.database.windows.net", edns(1232))
			if row.notify {
				m = new(dns.Msg).SetNotify("corp.example.")
			}
			packed, replies := signed(t, row.key, m, row.at)
			write(t, conn, packed)
			reply := read(t, conn)
			if got := unpack(t, bytes.Clone(reply)); got.Rcode != dns.RcodeNotAuth || len(got.Answer) != 0 || len(got.Question) != 1 {
				t.Errorf("%s over %s: %v", row.name, transport, got)
			}
			_, err := replies.Verify(reply, time.Now())
			var fault *tsig.Fault
			if !errors.As(err, &fault) || fault.Code != row.code || !fault.Told {
				t.Errorf("%s over %s: %v", row.name, transport, err)
			}
			if why := e.watch.refused(t); why != row.why {
				t.Errorf("%s over %s was counted as %s", row.name, transport, why)
			}
		}
	}
	// The MAC of a message is that of its octets.
	conn := e.dial(t, "udp", "127.0.1.1")
	packed, _ := signed(t, siteKey, query("mydb.database.windows.net"), now)
	packed[13] ^= 1
	write(t, conn, packed)
	if got := summary(read(t, conn)); !strings.Contains(got, "error16") {
		t.Errorf("a changed name: %s", got)
	}
}

// NOTIFY is handed on, and what it is told decides. Others are refused, as UPDATE is from everybody.
func TestNotified(t *testing.T) {
	g := &giver{}
	e := startGiver(t, g)
	notify := func(zone string) *dns.Msg { return new(dns.Msg).SetNotify(zone) }
	for _, transport := range []string{"udp", "tcp", "tls"} {
		for _, row := range []struct {
			from string
			m    *dns.Msg
			want string
		}{
			{"127.0.1.1", notify("corp.example."), "opcode4 NOERROR aa q=corp.example."},
			{"127.0.9.1", notify("corp.example."), "opcode4 REFUSED q=corp.example."},
			{"127.0.1.1", notify("other.example."), "opcode4 REFUSED q=other.example."},
			{"127.0.1.1", new(dns.Msg).SetUpdate("corp.example."), "opcode5 REFUSED q=corp.example."},
		} {
			conn := e.dial(t, transport, row.from)
			write(t, conn, pack(t, row.m))
			if got := summary(read(t, conn)); got != row.want {
				t.Errorf("%s from %s: %s, want %s", transport, row.from, got, row.want)
			}
		}
		conn := e.dial(t, transport, "127.0.1.1")
		packed, replies := signed(t, siteKey, notify("corp.example.").SetEdns0(1232, false), time.Now())
		write(t, conn, packed)
		reply, err := replies.Verify(read(t, conn), time.Now())
		if err != nil || summary(reply) != "opcode4 NOERROR aa q=corp.example. opt=v0,1232" {
			t.Errorf("signed over %s: %v, %s", transport, err, summary(reply))
		}
		for _, odd := range []*dns.Msg{
			{MsgHdr: dns.MsgHdr{Opcode: dns.OpcodeNotify}, Question: []dns.Question{{Name: "corp.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}}},
			{MsgHdr: dns.MsgHdr{Opcode: dns.OpcodeNotify}, Question: []dns.Question{{Name: "corp.example.", Qtype: dns.TypeSOA, Qclass: dns.ClassCHAOS}}},
		} {
			write(t, conn, pack(t, odd))
			if got := summary(read(t, conn)); !strings.HasPrefix(got, "opcode4 REFUSED") {
				t.Errorf("%v over %s: %s", odd, transport, got)
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if want := []string{"corp.example 127.0.1.1 ", "corp.example 127.0.9.1 ", "other.example 127.0.1.1 ", "corp.example 127.0.1.1 site.copy"}; !slices.Equal(
		g.told[:4], want) {
		t.Errorf("told %q", g.told[:4])
	}
}

// axfr asks for a zone.
func axfr(options ...func(*dns.Msg)) *dns.Msg {
	m := new(dns.Msg).SetAxfr(zoneTaken.FQDN())
	for _, o := range options {
		o(m)
	}
	return m
}

// taken reads a transfer to its end, and gives the records. Between its messages others may stand,
// which other gets.
func taken(tb testing.TB, conn net.Conn, id uint16, replies *tsig.Replies, other func(*dns.Msg)) (records []dns.RR, messages int) {
	tb.Helper()
	for soas := 0; soas < 2; {
		raw := read(tb, conn)
		if got := unpack(tb, bytes.Clone(raw)); got.Id != id && other != nil {
			other(got)
			continue
		}
		if replies != nil {
			plain, err := replies.Verify(raw, time.Now())
			if err != nil {
				tb.Fatalf("message %d: %v", messages, err)
			}
			raw = plain
		}
		m := unpack(tb, raw)
		if m.Id != id || m.Rcode != dns.RcodeSuccess || !m.Authoritative || (len(m.Question) == 1) != (messages == 0) || len(raw) > 20<<10 {
			tb.Fatalf("message %d of %d octets: %v", messages, len(raw), m)
		}
		for _, rr := range m.Answer {
			if rr.Header().Rrtype == dns.TypeSOA {
				soas++
			}
		}
		records, messages = append(records, m.Answer...), messages+1
	}
	if replies != nil && replies.End() != nil {
		tb.Fatal(replies.End())
	}
	return records, messages
}

// A zone is sent over TCP and TLS, in messages that are all signed where the request is, and other
// queries of the connection are answered between them.
func TestZoneIsTaken(t *testing.T) {
	g := &giver{records: 5000}
	e := startGiver(t, g)
	for _, transport := range []string{"tcp", "tls"} {
		for _, with := range []func(*dns.Msg){func(*dns.Msg) {}, edns(1232, &dns.EDNS0_COOKIE{Cookie: "0011223344556677"})} {
			for _, key := range []*tsig.Key{nil, siteKey} {
				conn, m := e.dial(t, transport, "127.0.1.1"), axfr(with)
				packed, replies := pack(t, m), (*tsig.Replies)(nil)
				if key != nil {
					packed, replies = signed(t, key, m, time.Now())
				}
				between := query("mydb.database.windows.net", func(q *dns.Msg) { q.Id = m.Id + 1 })
				write(t, conn, packed, pack(t, between))
				others := 0
				records, messages := taken(t, conn, m.Id, replies, func(*dns.Msg) { others++ })
				if len(records) != g.records+2 || messages < 10 {
					t.Errorf("over %s: %d records in %d messages", transport, len(records), messages)
				}
				if others == 0 {
					if got := unpack(t, read(t, conn)); got.Id != between.Id || len(got.Answer) != 1 {
						t.Errorf("another query over %s: %v", transport, got)
					}
				}
				write(t, conn, pack(t, between)) // the connection goes on
				read(t, conn)
			}
		}
	}
}

// Who may not take a zone is refused, and what is not held is said to be so; a zone goes over TCP
// and TLS alone.
func TestZoneIsNotTaken(t *testing.T) {
	ixfr := new(dns.Msg).SetIxfr(zoneTaken.FQDN(), 76, "ns.example.", "hostmaster.example.")
	bare := new(dns.Msg).SetQuestion(zoneTaken.FQDN(), dns.TypeIXFR)
	soa := new(dns.Msg).SetQuestion(zoneTaken.FQDN(), dns.TypeSOA)
	for _, row := range []struct {
		transport, from string
		verdict         primary.Verdict
		m               *dns.Msg
		want            string
	}{
		{"tcp", "127.0.2.1", primary.Given, axfr(), "REFUSED ede21"},
		{"tcp", "127.0.9.1", primary.Given, axfr(), "REFUSED ede18"},
		{"tcp", "127.0.1.1", primary.Denied, axfr(), "REFUSED ede18"},
		{"tls", "127.0.1.1", primary.NotHeld, axfr(), "NOTAUTH ede20"},
		{"tcp", "127.0.1.1", primary.NotReady, axfr(), "SERVFAIL ede14"},
		{"tcp", "127.0.1.1", primary.Expired, ixfr, "SERVFAIL ede24"},
		{"udp", "127.0.1.1", primary.Expired, soa, "SERVFAIL ede24"},
		{"udp", "127.0.1.1", primary.Given, axfr(), "REFUSED ede21"},
		{"udp", "127.0.1.1", primary.Given, ixfr, "NOERROR 77"},
		{"udp", "127.0.1.1", primary.Given, soa, "NOERROR 77"},
		{"tcp", "127.0.1.1", primary.Given, bare, "FORMERR"},
		{"https", "127.0.1.1", primary.Given, axfr(), "REFUSED ede21"},
		{"doq", "127.0.1.1", primary.Given, axfr(func(m *dns.Msg) { m.Id = 0 }), "REFUSED ede21"},
		{"doq", "127.0.1.1", primary.Given, ixfr, "REFUSED ede21"},
		{"h3", "127.0.1.1", primary.Given, axfr(), "REFUSED ede21"},
	} {
		e := startGiver(t, &giver{verdict: row.verdict})
		m := row.m.Copy()
		if m.IsEdns0() == nil {
			m.SetEdns0(1232, false)
		}
		if row.transport == "doq" {
			m.Id = 0
		}
		reply := e.ask(t, row.transport, row.from, m)
		got := dns.RcodeToString[reply.Rcode]
		for _, rr := range reply.Answer {
			if soa, is := rr.(*dns.SOA); is && len(reply.Answer) == 1 && reply.Authoritative {
				got += fmt.Sprint(" ", soa.Serial)
			}
		}
		for _, o := range reply.IsEdns0().Option {
			if ede, is := o.(*dns.EDNS0_EDE); is {
				got += fmt.Sprint(" ede", ede.InfoCode)
			}
		}
		if got != row.want {
			t.Errorf("%s from %s, verdict %d, %s: %s, want %s", row.transport, row.from, row.verdict,
				dns.TypeToString[m.Question[0].Qtype], got, row.want)
		}
		if err := e.stop(); err != nil {
			t.Error(err)
		}
	}
}

// A reader that takes nothing holds up nobody else: others are answered and given zones, as many as
// there is room for, and it loses its connection.
func TestSlowReaders(t *testing.T) {
	g := &giver{records: 200_000} // more than the buffers of a connection hold
	e := startGiver(t, g)
	stuck := make([]net.Conn, 16)
	for i := range stuck {
		stuck[i] = e.dial(t, []string{"tcp", "tls"}[i%2], "127.0.1.1")
		write(t, stuck[i], pack(t, axfr()))
		read(t, stuck[i]) // the first message
	}
	one := e.dial(t, "tcp", "127.0.1.1")
	write(t, one, pack(t, axfr()))
	if got := summary(read(t, one)); !strings.HasPrefix(got, "SERVFAIL") {
		t.Errorf("one more than there may be: %s", got)
	}
	other, m := e.dial(t, "tcp", "127.0.1.2"), axfr()
	write(t, other, pack(t, m))
	if records, _ := taken(t, other, m.Id, nil, nil); len(records) != g.records+2 {
		t.Errorf("another client got %d records", len(records))
	}
	for _, from := range []string{"127.0.1.1", "127.0.2.1"} {
		for _, transport := range []string{"udp", "tcp", "tls"} {
			if got := e.ask(t, transport, from, query("mydb.database.windows.net")); len(got.Answer) != 1 {
				t.Errorf("%s from %s: %v", transport, from, got)
			}
		}
	}
	stuck[0].Close()
	resolvertest.Until(t, "there is room again", func() bool {
		m := axfr()
		write(t, one, pack(t, m))
		reply := unpack(t, read(t, one))
		return reply.Rcode == dns.RcodeSuccess
	})
}

// A reader that takes nothing of a zone for too long loses its connection, and the end of the server
// does not wait for one that takes its time.
func TestStuckReader(t *testing.T) {
	g := &giver{records: 200_000}
	watch := newRecorder()
	s := start(t, listen.Config{
		Peers: listen.Peers{Transfers: g}, Handler: hub(t, new(outside), 0), Observer: watch,
		SendZone: 50 * time.Millisecond, Send: 50 * time.Millisecond,
	})
	conn := (everywhere{server: s}).dial(t, "tcp", "127.0.1.1")
	write(t, conn, pack(t, axfr()))
	if why := watch.refused(t); why != listen.Stalled {
		t.Errorf("refused because of %s", why)
	}
	watch.changed(t, -1)
}

// The end of the server does not wait for who takes nothing of a zone.
func TestStopBesideASlowReader(t *testing.T) {
	g := &giver{records: 200_000}
	e := startHub(t, listen.Config{Peers: listen.Peers{Transfers: g}, Drain: 2 * time.Second, Send: time.Second}, 0)
	conn := e.dial(t, "tcp", "127.0.1.1")
	write(t, conn, pack(t, axfr()))
	read(t, conn)
	if err := e.stop(); err != nil {
		t.Error(err)
	}
	if why := e.watch.refused(t); why != listen.Stalled {
		t.Errorf("the transfer ended because of %s", why)
	}
}

// A thousand requests for zones that are refused, forged signatures among them, are no matter to
// clients who ask beside them.
func TestRefusedTransfersBesideClients(t *testing.T) {
	e := startGiver(t, &giver{verdict: primary.Denied})
	forged := *siteKey
	forged.Secret = []byte("another secret")
	var group sync.WaitGroup
	for i := range 4 {
		conn := e.dial(t, []string{"tcp", "tls"}[i%2], []string{"127.0.1.1", "127.0.9.1"}[i/2])
		group.Go(func() {
			for range 25 {
				for range 10 {
					packed, _ := signed(t, &forged, axfr(), time.Now())
					write(t, conn, packed)
				}
				for range 10 {
					if got := unpack(t, read(t, conn)); got.Rcode != dns.RcodeNotAuth {
						t.Errorf("a forged request: %v", got)
					}
				}
				write(t, conn, pack(t, axfr()))
				if got := unpack(t, read(t, conn)); got.Rcode != dns.RcodeRefused {
					t.Errorf("a request: %v", got)
				}
			}
		})
	}
	client := e.dial(t, "udp", "127.0.2.1")
	for range 1000 {
		write(t, client, pack(t, query("mydb.database.windows.net")))
		if got := unpack(t, read(t, client)); len(got.Answer) != 1 {
			t.Fatalf("a client: %v", got)
		}
	}
	group.Wait()
}
