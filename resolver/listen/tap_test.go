package listen

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

// tapper is a Tap that passes on copies.
type tapper chan Exchange

func (t tapper) Exchanged(e *Exchange) {
	kept := *e
	kept.Request, kept.Reply = bytes.Clone(e.Request), bytes.Clone(e.Reply)
	t <- kept
}

// TestTapAll: a tap that wants all is told of every query, with the octets that
// came and went, whether they could have come from memory or not, and over every
// transport; without it, they come from memory again.
func TestTapAll(t *testing.T) {
	r := run(t, newEstate(t), true)
	told := make(tapper, 64)
	r.SetTap(told, 1)
	stream, err := net.Dial(tcp, r.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for transport, conn := range map[string]net.Conn{udp: r.conn, tcp: stream} {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		for i, name := range []string{"mydb.database.windows.net.", "MYDB.database.windows.net.", "mydb.database.windows.net."} {
			query, err := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, false).Pack()
			if err != nil {
				t.Fatal(err)
			}
			reply := exchangeRaw(t, conn, transport, query)
			e := <-told
			if !bytes.Equal(e.Request, query) || !bytes.Equal(e.Reply, reply) {
				t.Errorf("%s %d: told of\n%x\n%x, not\n%x\n%x", transport, i, e.Request, e.Reply, query, reply)
			}
			local := conn.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort()
			if e.Transport != transport || e.From != local || e.Query.Client.Listener != r.Addrs()[0] || e.Why != Accepted ||
				e.Answer.Network != "europe" || e.Answer.Endpoint.String() != "mydb.database.windows.net" ||
				e.Began.IsZero() || e.Took <= 0 || !e.Drawn(1) || e.Drawn(0) {
				t.Errorf("%s %d: told of %+v", transport, i, e)
			}
			if line := <-r.told; !strings.HasPrefix(line, "served "+transport) {
				t.Errorf("%s %d: %q", transport, i, line)
			}
		}
	}
	r.SetTap(nil, 1)
	for _, want := range []string{"served udp europe 0 local\n", "remembered udp europe 0 local\n"} {
		r.ask(t, "mydb.database.windows.net.")
		if got := <-r.told; got != want {
			t.Errorf("without a tap: %q, want %q", got, want)
		}
	}
	if len(told) > 0 {
		t.Errorf("told of %+v", <-told)
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

// TestTapSample: of what comes from memory, one query in so many is drawn; those
// drawn for a smaller sample are among those of a larger one.
func TestTapSample(t *testing.T) {
	const asked, oneIn = 4000, 8
	r := run(t, newEstate(t), false)
	told := make(tapper, asked)
	r.SetTap(told, oneIn)
	for range asked {
		r.ask(t, "mydb.database.windows.net.")
	}
	r.SetTap(nil, 0)
	r.ask(t, "api.contoso.com.") // and so the last has been told of
	all, fewer := 0, 0
	for range len(told) {
		e := <-told
		if e.Drawn(oneIn) { // else it was the one that was to be remembered
			all++
		}
		if e.Drawn(4 * oneIn) {
			fewer++
			if !e.Drawn(oneIn) {
				t.Error("drawn for the smaller sample alone")
			}
		}
		if e.Drawn(oneIn) != (e.Request != nil) {
			t.Error("a message belongs to what is drawn")
		}
	}
	// Ten times the standard deviation on either side.
	if all < 290 || all > 710 || fewer < 15 || fewer > 240 {
		t.Errorf("%d of %d queries were drawn, %d for the smaller sample", all, asked, fewer)
	}
}

// TestTapRefused: what is refused with a reply is told of too, what is met with
// silence is not, and what is answered from memory only if it is in the sample.
func TestTapRefused(t *testing.T) {
	r := run(t, newEstate(t), true)
	told := make(tapper, 64)
	r.SetTap(told, 0)
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
	if e := <-told; e.Why != Malformed || e.Why.Rcode() != dns.RcodeFormatError || e.Request != nil || len(e.Reply) < wire.HeaderSize ||
		e.Query.Client.Addr.String() != "127.0.0.1" {
		t.Errorf("told of %+v", e)
	}
	exchangeRaw(t, r.conn, udp, good) // reads the FORMERR
	if e := <-told; e.Why != Accepted || e.Query.Name.String() != "mydb.database.windows.net" {
		t.Errorf("told of %+v", e)
	}
	exchangeRaw(t, r.conn, udp, good) // reads what it was answered before
	if first, second := <-r.told, <-r.told; first != "served udp europe 0 local\n" || second != "remembered udp europe 0 local\n" {
		t.Errorf("the books say %q, %q", first, second)
	}
	if len(told) > 0 {
		t.Errorf("told of %+v", <-told)
	}
}
