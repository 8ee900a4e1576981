package listen

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
)

// tapper is a Tap that passes on copies.
type tapper struct {
	told  chan Exchange
	wants Wants
}

func newTapper(w Wants) tapper { return tapper{make(chan Exchange, 1<<13), w} }

func (t tapper) Wants() Wants { return t.wants }

func (t tapper) Exchanged(e *Exchange) {
	kept := *e
	kept.Question, kept.Request, kept.Reply = bytes.Clone(e.Question), bytes.Clone(e.Request), bytes.Clone(e.Reply)
	t.told <- kept
}

// TestTapAll: a tap that wants all is told of every query, over every transport, with the
// octets that came and went: once as it is decided, or as it comes from the reply cache.
func TestTapAll(t *testing.T) {
	for name, wants := range map[string]Wants{"anew": {Anew: 1}, "remembered": {Remembered: 1}, "both": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			r, tap := run(t, newEstate(t), false), newTapper(wants)
			r.SetTap(tap)
			stream, err := net.Dial(tcp, r.Addrs()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			for transport, conn := range map[string]net.Conn{udp: r.conn, tcp: stream} {
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				for i, name := range []string{"mydb.database.windows.net.", "MYDB.database.windows.net.", "www.example.", "www.example.", "www.example."} {
					r.tapOne(t, tap, conn, transport, name, i)
				}
			}
			r.SetTap(nil)
			r.ask(t, "mydb.database.windows.net.")
			if len(tap.told) > 0 {
				t.Errorf("told of %+v", <-tap.told)
			}
		})
	}
}

// tapOne asks for a name, the number of the query being i, and holds what a tap is told
// against what came and went.
func (r running) tapOne(t *testing.T, tap tapper, conn net.Conn, transport, name string, i int) {
	t.Helper()
	query, err := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, false).Pack()
	if err != nil {
		t.Fatal(err)
	}
	reply := exchangeRaw(t, conn, transport, query)
	e := <-tap.told
	if !bytes.Equal(e.Request, query) || !bytes.Equal(e.Reply, reply) || !bytes.Equal(e.Question, query[wire.HeaderSize:len(query)-11]) {
		t.Errorf("%s %d: told of\n%x\n%x, not\n%x\n%x", transport, i, e.Request, e.Reply, query, reply)
	}
	local := conn.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort()
	if e.Transport != transport || e.From != local || e.Query.Client.Listener != r.Addrs()[0] || e.Why != Accepted ||
		e.Name().FQDN() != dns.CanonicalName(name) || e.Query.Type != dns.TypeA || e.Answer.Network != "europe" ||
		e.Answer.Rcode != dns.RcodeSuccess || e.Began.IsZero() || e.Took <= 0 || !e.Drawn(1) || e.Drawn(0) {
		t.Errorf("%s %d: told of %+v", transport, i, e)
	}
	sources := []resolver.Source{resolver.FromLocal, resolver.FromLocal, e.Answer.Source, resolver.FromCache, resolver.FromCache}
	if again := i == 1 || i == 4; i != 3 && e.Remembered != (again && tap.wants.Anew == 0) || e.Answer.Source != sources[i] {
		t.Errorf("%s %d: remembered %v, source %s", transport, i, e.Remembered, e.Answer.Source)
	}
}

// exchangeRaw sends octets and reads those of the reply.
func exchangeRaw(t *testing.T, conn net.Conn, transport string, query []byte) []byte {
	t.Helper()
	library := &dns.Conn{Conn: conn, UDPSize: 4096}
	if _, err := library.Write(query); err != nil {
		t.Fatal(err)
	}
	reply, err := library.ReadMsgHeader(nil)
	if err != nil {
		t.Fatalf("%s: %v", transport, err)
	}
	return reply
}

// TestTapSample: of what is in the reply cache, one query in so many is drawn, to be
// decided anew or to be told of as it is; those drawn for a smaller sample are among those
// of a larger one.
func TestTapSample(t *testing.T) {
	const asked, oneIn = 4000, 8
	for name, wants := range map[string]Wants{"anew": {Anew: oneIn}, "remembered": {Remembered: oneIn}} {
		t.Run(name, func(t *testing.T) {
			r, tap := run(t, newEstate(t), false), newTapper(wants)
			r.ask(t, "mydb.database.windows.net.")
			r.SetTap(tap)
			for range asked {
				r.ask(t, "mydb.database.windows.net.")
			}
			r.SetTap(nil)
			all, fewer := len(tap.told), 0
			for range all {
				e := <-tap.told
				if !e.Drawn(oneIn) || e.Request == nil || e.Remembered != (wants.Anew == 0) {
					t.Errorf("told of %+v", e)
				}
				if e.Drawn(4 * oneIn) {
					fewer++
				}
			}
			// Ten times the standard deviation on either side.
			if all < 290 || all > 710 || fewer < 15 || fewer > 240 {
				t.Errorf("%d of %d queries were drawn, %d for the smaller sample", all, asked, fewer)
			}
		})
	}
}

// TestTapRefused: what is refused with a reply is told of too, with the network of who
// asks, what is met with silence is not, and what is in the reply cache only if it is wanted.
func TestTapRefused(t *testing.T) {
	r, tap := run(t, newEstate(t), false), newTapper(Wants{})
	r.SetTap(tap)
	good, err := new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, packet := range [][]byte{
		good[:7], append(bytes.Clone(good[:2]), 0x81), append(bytes.Clone(good), 0),
	} {
		if _, err := r.conn.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	if e := <-tap.told; e.Why != Malformed || e.Answer.Rcode != dns.RcodeFormatError || e.Answer.Network != "europe" || e.Request != nil ||
		len(e.Reply) < wire.HeaderSize || e.Query.Client.Addr.String() != "127.0.0.1" {
		t.Errorf("told of %+v", e)
	}
	if _, err := r.conn.Read(make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	r.send(t, good)
	if e := <-tap.told; e.Why != Accepted || e.Query.Name.String() != "mydb.database.windows.net" {
		t.Errorf("told of %+v", e)
	}
	r.send(t, good)
	if len(tap.told) > 0 {
		t.Errorf("told of %+v", <-tap.told)
	}
}

// TestTapPending: of a query that had to wait, a tap is told as of any other, and of its
// octets if it wants them.
func TestTapPending(t *testing.T) {
	for _, wants := range []Wants{{}, {Remembered: 1}} {
		e, tap := newEstate(t), newTapper(wants)
		r := run(t, e, false)
		r.SetTap(tap)
		query, err := new(dns.Msg).SetQuestion("WWW.example.", dns.TypeA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply := exchangeRaw(t, r.conn, udp, query)
		told := <-tap.told
		if !bytes.Equal(told.Reply, reply) || !bytes.Equal(told.Question, query[wire.HeaderSize:]) || told.Answer.Network != "europe" ||
			told.Answer.Source != resolver.FromUpstream || told.Took <= 0 || (told.Request != nil) != (wants.Remembered > 0) {
			t.Errorf("told of %+v", told)
		}
		if told.Request != nil && !bytes.Equal(told.Request, query) {
			t.Errorf("asked with %x, told of %x", query, told.Request)
		}
	}
}
