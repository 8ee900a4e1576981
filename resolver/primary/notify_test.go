package primary_test

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/primary"
	"pldns/resolver/resolvertest"
	"pldns/resolver/tsig"
)

// secondary is a server that is told of changes.
type secondary struct {
	net.PacketConn
	addr netip.AddrPort
}

func newSecondary(tb testing.TB) secondary {
	tb.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return secondary{conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()}
}

// hear takes one NOTIFY, which keys verify if there are any.
func (s secondary) hear(tb testing.TB, keys tsig.Ring) (m *dns.Msg, request *tsig.Request, from net.Addr) {
	tb.Helper()
	buf := make([]byte, 4096)
	size, from, err := s.ReadFrom(buf)
	if err != nil {
		tb.Fatal(err)
	}
	message := buf[:size]
	if keys != nil {
		if request, err = keys.Receive(bytes.Clone(message), time.Now()); err != nil || request.Fault != nil {
			tb.Fatalf("the signature of NOTIFY: %v, %v", err, request)
		}
		message = request.Plain
	}
	m = new(dns.Msg)
	if err := m.Unpack(message); err != nil {
		tb.Fatal(err)
	}
	return m, request, from
}

// refuse refuses whatever comes, unsigned, until the socket is closed.
func (s secondary) refuse(tb testing.TB) {
	buf := make([]byte, 4096)
	for {
		size, from, err := s.ReadFrom(buf)
		if err != nil {
			return
		}
		m := new(dns.Msg)
		if err := m.Unpack(buf[:size]); err != nil {
			tb.Error(err)
		}
		s.reply(tb, m, nil, from, dns.RcodeRefused)
	}
}

// reply answers it.
func (s secondary) reply(tb testing.TB, m *dns.Msg, request *tsig.Request, to net.Addr, rcode int) {
	reply := new(dns.Msg).SetRcode(m, rcode)
	packed, err := reply.Pack()
	if err != nil {
		tb.Error(err)
	}
	if request != nil {
		packed = request.Sign(packed, time.Now())
	}
	if _, err := s.WriteTo(packed, to); err != nil {
		tb.Error(err)
	}
}

// Whoever is to be told of a change is told until it answers, signed where the zone has a key, and
// not again before the next change.
func TestToldOfChanges(t *testing.T) {
	fault := map[bool]string{false: "it says REFUSED", true: "it is not signed"}
	for _, signed := range []bool{false, true} {
		there, refusing := newSecondary(t), newSecondary(t)
		zone := given("eu", blob)
		zone.Tell = []netip.AddrPort{there.addr, refusing.addr}
		var keys tsig.Ring
		if signed {
			zone.Key, keys = key, tsig.Ring{key.Name: key}
		}
		s, stop := run(t, primary.Options{FirstWait: 20 * time.Millisecond})
		s.Hold(table(t), []primary.Zone{zone}, nil)
		first := serial(t, s, blob, 0)
		go refusing.refuse(t)
		there.hear(t, keys) // and says nothing
		m, request, from := there.hear(t, keys)
		soa, is := m.Answer[0].(*dns.SOA)
		if !is || m.Opcode != dns.OpcodeNotify || !m.Authoritative || m.Question[0].Name != blob.FQDN() || soa.Serial != first {
			t.Errorf("told %v", m)
		}
		there.reply(t, m, request, from, dns.RcodeSuccess)
		var told []primary.Told
		resolvertest.Until(t, "both are told", func() bool {
			told = s.States()[0].Told
			return !told[0].At.IsZero() && !told[1].At.IsZero()
		}, &told)
		if told[0].Serial != first || told[0].Fault != "" || !strings.Contains(told[1].Fault, fault[signed]) || told[1].Serial != 0 {
			t.Errorf("told: %+v", told)
		}
		s.Hold(table(t, "10.1.0.9"), []primary.Zone{zone}, nil)
		second := serial(t, s, blob, first)
		for next := uint32(0); next != second; { // what was said before may have been said again
			m, request, from = there.hear(t, keys)
			next = m.Answer[0].(*dns.SOA).Serial
		}
		there.reply(t, m, request, from, dns.RcodeSuccess)
		stop() // with one that says nothing
	}
}

// A server that is not there holds up nobody, and is given up.
func TestToldNobody(t *testing.T) {
	gone, there := newSecondary(t), newSecondary(t)
	gone.Close()
	zone := given("eu", blob)
	zone.Tell = []netip.AddrPort{gone.addr, there.addr}
	s, _ := run(t, primary.Options{FirstWait: time.Millisecond})
	s.Hold(table(t), []primary.Zone{zone}, nil)
	there.hear(t, nil)
	resolvertest.Until(t, "one is given up", func() bool {
		told := s.States()[0].Told[0]
		return told.Fault != "" && !told.Busy
	})
}
