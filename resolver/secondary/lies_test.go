package secondary_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
	"pldns/resolver/secondary"
	"pldns/resolver/tsig"
	"pldns/zones"
	"pldns/zones/content"
)

// lie is what a primary does instead of what it should when it has a newer version.
type lie struct {
	name string
	on   uint16 // the question; everything else is answered well
	do   func(*call)
	want string // the fault that is told; empty if the zone comes nevertheless
	// A fault of IXFR is made good by AXFR, unless it is not worth a try.
	axfrs int // how often AXFR is asked for
}

// lies are those of all three questions. Good is what the primary has.
func lies(t testing.TB, good *content.Zone) []lie {
	all := whole(good)
	middle := all[:len(all)/2]
	soa := func(serial uint32) dns.RR { return zone(t, serial).SOA() }
	other := rr(t, "other.example. 60 IN SOA ns.corp.example. mail.corp.example. 2 3600 600 86400 60")
	send := func(records ...dns.RR) func(*call) { return func(c *call) { c.send(records...) } }
	rcode := func(rcode int) func(*call) { return func(c *call) { c.rcode(rcode) } }
	changed := func(change func(*dns.Msg)) func(*call) { return func(c *call) { c.sendMsg(change) } }
	closed := func(records ...dns.RR) func(*call) {
		return func(c *call) {
			if len(records) > 0 {
				c.send(records...)
			}
			c.conn.Close()
		}
	}
	octets := func(octets ...byte) func(*call) { return func(c *call) { c.raw(octets) } }
	stream := func(records ...dns.RR) func(*call) { return func(c *call) { c.stream(records) } }
	a, gone := rr(t, "new.corp.example. 60 IN A 10.9.9.9"), rr(t, "gone.corp.example. 60 IN A 10.9.9.9")
	const SOA, AXFR, IXFR = dns.TypeSOA, dns.TypeAXFR, dns.TypeIXFR
	return []lie{
		{"the serial goes back", SOA, send(soa(7)), "its serial 7 is older than 10, that of the copy", 0},
		{"the serial is half of all away", SOA, send(soa(10 + 1<<31)), "is older than 10", 0},
		{"the SOA record of another zone", SOA, send(other), "the SOA record of another zone", 0},
		{"no SOA record", SOA, send(), "it has no SOA record", 0},
		{"something else", SOA, send(a), "does not begin with the SOA record", 0},
		{"a referral", SOA, changed(func(m *dns.Msg) { m.Authoritative = false; m.Ns = []dns.RR{all[1]} }), "not authoritative", 0},
		{"cut", SOA, changed(func(m *dns.Msg) { m.Truncated = true }), "its answer is cut", 0},
		{"REFUSED", SOA, rcode(dns.RcodeRefused), "it answers REFUSED", 0},
		{"NOTAUTH", SOA, rcode(dns.RcodeNotAuth), "it answers NOTAUTH: does it have the zone", 0},
		{"SERVFAIL", SOA, rcode(dns.RcodeServerFailure), "it answers SERVFAIL", 0},
		{"the id of another question", SOA, changed(func(m *dns.Msg) { m.Id++ }), "the id of another question", 0},
		{"the question of another zone", SOA, changed(func(m *dns.Msg) { m.Question[0].Name = "other.example." }), "answers another question", 0},
		{"the question of another type", SOA, changed(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeNS }), "answers another question", 0},
		{"a question", SOA, changed(func(m *dns.Msg) { m.Response = false }), "is no answer", 0},
		{"a NOTIFY", SOA, changed(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), "is no answer", 0},
		{"one octet", SOA, octets(0), "it answers with 1 octets", 0},
		{"no octet", SOA, octets(), "it answers with 0 octets", 0},
		{"it hangs up", SOA, closed(), "it closed the connection without an answer", 0},

		{"IXFR is not known", IXFR, rcode(dns.RcodeNotImplemented), "", 1},
		{"IXFR is malformed to it", IXFR, rcode(dns.RcodeFormatError), "", 1},
		{"it hangs up at IXFR", IXFR, closed(), "", 1},
		{"it hangs up within IXFR", IXFR, closed(soa(11), soa(10)), "", 1},
		{"IXFR removes what is not there", IXFR, stream(soa(11), soa(10), gone, soa(11), a, soa(11)), "", 1},
		{"IXFR begins elsewhere", IXFR, stream(soa(11), soa(9), soa(11), a, soa(11)), "", 1},
		{"IXFR goes back on the way", IXFR, stream(soa(11), soa(10), soa(9), soa(9), soa(11), soa(11)), "", 1},
		{"IXFR has a gap", IXFR, stream(soa(13), soa(10), soa(11), soa(12), soa(13), soa(13)), "", 1},
		{"IXFR ends with another version", IXFR, stream(soa(11), soa(10), soa(11), a, soa(12)), "", 1},
		{"IXFR makes no zone", IXFR, stream(soa(11), soa(10), all[1], soa(11), a, soa(11)), "", 1},
		{"IXFR has another zone's SOA record", IXFR, stream(soa(11), soa(10), other, a, soa(11)), "", 1},
		{"more behind the end of IXFR", IXFR, send(soa(11), soa(10), soa(11), a, soa(11), a), "", 1},
		{"more behind the one record of IXFR", IXFR, send(soa(10), a), "none", 0},
		{"IXFR says that nothing is newer", IXFR, send(soa(10)), "none", 0},
		{"IXFR goes back", IXFR, send(soa(7)), "is older than 10", 0},
		{"IXFR is the whole zone, in messages of one record", IXFR, func(c *call) {
			for _, record := range all {
				c.send(record)
			}
		}, "", 0},
		{"IXFR of records that come and go", IXFR, stream(soa(13), soa(10), soa(11), gone, soa(11), gone, soa(12), a, soa(12), a, soa(13), soa(13)), "13", 0},

		{"no SOA record at the beginning", AXFR, stream(all[1:]...), "does not begin with the SOA record", 1},
		{"no SOA record at the end", AXFR, closed(all[:len(all)-1]...), "in the middle of the transfer", 1},
		{"it stops in the middle", AXFR, closed(middle...), "in the middle of the transfer", 1},
		{"another SOA record at the end", AXFR, stream(append(all[:len(all)-1:len(all)-1], soa(12))...), "begins with serial 11 and ends with 12", 1},
		{"the SOA record of another zone in it", AXFR, stream(append(append(middle[:len(middle):len(middle)], other), all...)...), "the SOA record of another zone is in it", 1},
		{"the whole of another zone", AXFR, stream(other, a, other), "the SOA record of another zone", 1},
		{"no NS record", AXFR, stream(soa(11), a, soa(11)), "what it sends is no zone", 1},
		{"a CNAME beside others", AXFR, stream(append(all[:len(all)-1:len(all)-1], rr(t, "h5.corp.example. 60 IN CNAME a.example."), soa(11))...), "no zone", 1},
		{"records behind the end", AXFR, send(append(all[:len(all):len(all)], a)...), "records behind the end", 1},
		{"AXFR is REFUSED", AXFR, rcode(dns.RcodeRefused), "does it allow this server to take the zone?", 1},
		{"it refuses in the middle", AXFR, func(c *call) { c.send(middle...); c.rcode(dns.RcodeServerFailure) }, "it answers SERVFAIL", 1},
		{"another id in the middle", AXFR, func(c *call) {
			c.send(middle...)
			c.sendMsg(func(m *dns.Msg) { m.Id++; m.Answer = all[len(middle):] })
		}, "the id of another question", 1},
		{"another question in the middle", AXFR, func(c *call) {
			c.send(middle...)
			c.sendMsg(func(m *dns.Msg) { m.Question[0].Name = "other.example."; m.Answer = all[len(middle):] })
		}, "answers another question", 1},
		{"no question in the middle", AXFR, func(c *call) {
			c.send(middle...)
			c.sendMsg(func(m *dns.Msg) { m.Question, m.Answer = nil, all[len(middle):] })
		}, "", 1},
		{"no records in the middle", AXFR, func(c *call) { c.send(middle...); c.send(); c.send(all[len(middle):]...) }, "", 1},
		{"garbage in the middle", AXFR, func(c *call) { c.send(middle...); c.raw([]byte(strings.Repeat("garbage", 20))) }, "the id of another question", 1},
		{"a record that cannot be read", AXFR, func(c *call) {
			m := new(dns.Msg).SetReply(c.query)
			m.Answer = all
			packed, _ := m.Pack()
			c.raw(packed[:len(packed)-3])
		}, "a record cannot be read", 1},
		{"more records than are taken", AXFR, func(c *call) {
			c.send(all[0])
			for i := 0; c.raw(filled(t, c.query, i*100)); i++ {
			}
		}, "more than 1", 1},
		{"the same record without end", AXFR, func(c *call) {
			c.send(all[0])
			for same := filled(t, c.query, 0); c.raw(same); {
			}
		}, "more than 1", 1},
		{"nothing without end", AXFR, func(c *call) {
			c.send(all[0])
			m, _ := new(dns.Msg).SetReply(c.query).Pack()
			for c.raw(m) {
			}
		}, "octets", 1},
		{"other zones' records without end", AXFR, func(c *call) {
			c.send(all[0])
			m := new(dns.Msg).SetReply(c.query)
			m.Answer = []dns.RR{rr(t, "a.other.example. 60 IN TXT "+strings.Repeat("x", 200))}
			packed, _ := m.Pack()
			for c.raw(packed) {
			}
		}, "octets", 1},
		{"other zones' records", AXFR, stream(append(append(middle[:len(middle):len(middle)], rr(t, "ns.other.example. 60 IN A 10.1.1.1")), all[len(middle):]...)...), "", 1},
	}
}

// filled is a message of a hundred records.
func filled(t testing.TB, query *dns.Msg, from int) []byte {
	m := new(dns.Msg).SetReply(query)
	m.Compress = true
	for _, text := range hosts(from, 100) {
		m.Answer = append(m.Answer, rr(t, text))
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// Whatever a primary does, the last good copy goes on being served as it was, what is wrong is
// told, and the zone is taken when the primary behaves. Nothing is half applied.
func TestLies(t *testing.T) {
	t.Parallel()
	old, good := zone(t, 10, hosts(0, 150)...), zone(t, 11, hosts(3, 150)...)
	for _, lie := range lies(t, good) {
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			p := newPrimary(t, nil, old)
			k := keep(t, secondary.Options{}, from(at(p)))
			before := k.until(10)
			p.serves(func(c *call) bool {
				if c.kind() == dns.TypeIXFR && lie.on == dns.TypeAXFR {
					c.rcode(dns.RcodeNotImplemented)
					return true
				}
				if c.kind() != lie.on {
					return false
				}
				lie.do(c)
				return true
			}, old, good)
			asked := p.count(dns.TypeAXFR)
			k.ask()
			switch lie.want {
			case "":
				equal(t, k.until(11), good)
			case "13":
				k.until(13)
			case "none":
				resolvertest.Until(t, "IXFR is asked for", func() bool { return p.count(dns.TypeIXFR) == 1 && !k.state().Next.IsZero() })
				if s := k.state(); s.Fault != "" || k.copy().Zone != before {
					t.Errorf("%+v", s)
				}
			default:
				if lie.on == dns.TypeIXFR && lie.axfrs > 0 {
					equal(t, k.until(11), good)
					break
				}
				k.untilFault(lie.want)
				if k.copy().Zone != before || k.copy().Expired {
					t.Error("the last good copy is not served any more")
				}
				if s := k.state(); s.Since.IsZero() || !s.Loaded || s.Serial != 10 || !s.Expires.After(time.Now()) {
					t.Errorf("%+v", s)
				}
			}
			if n := p.count(dns.TypeAXFR) - asked; n != lie.axfrs {
				t.Errorf("AXFR is asked for %d times, not %d", n, lie.axfrs)
			}
			last := zone(t, 14, hosts(7, 20)...)
			p.serves(nil, last)
			k.ask()
			equal(t, k.until(14), last)
		})
	}
}

// What is wrong with a signature is told in words that say where to look, and the copy stays.
func TestSignatures(t *testing.T) {
	t.Parallel()
	key := func(name, secret string) *tsig.Key {
		return &tsig.Key{Name: zones.MustName(name), Algorithm: "hmac-sha256", Secret: []byte(secret)}
	}
	ours, other := key("transfer.corp", "secret"), key("other.corp", "secret")
	old, good := zone(t, 1, hosts(0, 350)...), zone(t, 2, hosts(1, 350)...)
	unsigned := func(c *call) bool { c.request = nil; return false }
	for _, test := range []struct {
		name   string
		ring   tsig.Ring // that the primary has from then on
		script func(*call) bool
		want   string
	}{
		{"every message is signed", tsig.Ring{ours.Name: ours}, nil, ""},
		{"the server has another secret", tsig.Ring{ours.Name: key("transfer.corp", "another")}, nil, "BADSIG: the server says"},
		{"the server does not know the key", tsig.Ring{other.Name: other}, nil, "BADKEY: the server does not know this key"},
		{"the server does not sign", tsig.Ring{ours.Name: ours}, unsigned, "of a reply: it is not signed"},
		{"the server refuses, and does not sign", tsig.Ring{ours.Name: ours}, func(c *call) bool {
			c.request = nil
			c.rcode(dns.RcodeRefused)
			return true
		}, "it answers REFUSED, not signed"},
		{"the server signs with another secret", tsig.Ring{ours.Name: ours}, func(c *call) bool {
			c.request = signedBy(t, key("transfer.corp", "another"), time.Now())
			return false
		}, "BADSIG: the signature is wrong"},
		{"the server signs with another key", tsig.Ring{ours.Name: ours}, func(c *call) bool {
			c.request = signedBy(t, other, time.Now())
			return false
		}, "BADKEY: it is signed with another key"},
		{"only the first message of the transfer is signed", tsig.Ring{ours.Name: ours}, func(c *call) bool {
			if c.kind() == dns.TypeSOA {
				return false
			}
			all := whole(good)
			c.send(all[:100]...)
			c.request = nil
			c.stream(all[100:])
			return true
		}, "the last message is not signed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPrimary(t, nil, old)
			p.ring = tsig.Ring{ours.Name: ours}
			k := keep(t, secondary.Options{}, from(secondary.Primary{Addr: p.addr, Key: ours}))
			before := k.until(1)
			p.mu.Lock()
			p.ring = test.ring
			p.mu.Unlock()
			p.serves(test.script, old, good)
			k.ask()
			if test.want == "" {
				equal(t, k.until(2), good)
				return
			}
			k.untilFault(test.want)
			if k.copy().Zone != before {
				t.Error("the last good copy is not served any more")
			}
		})
	}
}

// signedBy is a request that some key signed, whoever asks.
func signedBy(t *testing.T, key *tsig.Key, now time.Time) *tsig.Request {
	packed, err := new(dns.Msg).SetAxfr(apex).Pack()
	if err != nil {
		t.Fatal(err)
	}
	signed, _ := key.Sign(packed, now)
	request, err := tsig.Ring{key.Name: key}.Receive(signed, now)
	if err != nil || request.Fault != nil {
		t.Fatal(err, request)
	}
	return request
}

// The clocks of the two differ: the primary refuses what is signed at another time, with its own
// clock, and the fault says by how much.
func TestClocks(t *testing.T) {
	t.Parallel()
	key := &tsig.Key{Name: zones.MustName("transfer.corp"), Algorithm: "hmac-sha512", Secret: []byte("secret")}
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		p := newPrimary(t, nil, zone(t, 1))
		p.ring, p.ahead = tsig.Ring{key.Name: key}, ahead
		k := keep(t, secondary.Options{}, from(secondary.Primary{Addr: p.addr, Key: key}))
		side := "ahead of"
		if ahead < 0 {
			side = "behind"
		}
		k.untilFault("BADTIME: the clocks of both servers differ: the other one is ")
		if fault := k.state().Fault; !strings.Contains(fault, fmt.Sprintf(" %s this one", side)) {
			t.Error(fault)
		}
	}
}
