package listen_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
)

// chain is an answer of links CNAMEs and a number of addresses at their end,
// every RRset with its signature.
func chain(links, addresses int) resolver.Answer {
	var a resolver.Answer
	owner := "a.example."
	sign := func(kind uint16) {
		a.Records = append(a.Records, &dns.RRSIG{
			Hdr:         dns.RR_Header{Name: owner, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 10},
			TypeCovered: kind, SignerName: "example.", Signature: strings.Repeat("AAAA", 20),
		})
	}
	for i := range links {
		target := fmt.Sprintf("link%d.example.", i)
		a.Records = append(a.Records, &dns.CNAME{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 10}, Target: target})
		sign(dns.TypeCNAME)
		owner = target
	}
	for i := range addresses {
		a.Records = append(a.Records, &dns.A{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 10}, A: net.IPv4(10, 0, byte(i>>8), byte(i))})
	}
	if addresses > 0 {
		sign(dns.TypeA)
	}
	return a
}

// negative adds a SOA record whose size can be chosen.
func negative(a resolver.Answer, size int) resolver.Answer {
	a.Authority = []dns.RR{
		&dns.SOA{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 10}, Ns: "ns.example.", Mbox: "hostmaster.example.", Minttl: 10},
		&dns.TXT{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: split(strings.Repeat("t", size))},
	}
	return a
}

// split cuts text into character strings.
func split(text string) (parts []string) {
	for len(text) > 200 {
		parts, text = append(parts, text[:200]), text[200:]
	}
	return append(parts, text)
}

// serving starts a server that gives one answer to all.
func serving(tb testing.TB, a resolver.Answer) server {
	return start(tb, listen.Config{Handler: handler(func(context.Context, resolver.Query) resolver.Answer { return a })})
}

// whole checks that the RRsets in got are whole RRsets of want, in order.
func whole(tb testing.TB, got, want []dns.RR) {
	tb.Helper()
	for i, rr := range got {
		if rr.String() != want[i].String() {
			tb.Errorf("record %d is %v, want %v", i, rr, want[i])
		}
	}
	if n := len(got); n > 0 && n < len(want) && set(want[n]) == set(want[n-1]) {
		tb.Errorf("an RRset or its signature is cut after record %d", n)
	}
}

// set names the RRset that rr belongs to or signs.
func set(rr dns.RR) string {
	kind := rr.Header().Rrtype
	if signature, ok := rr.(*dns.RRSIG); ok {
		kind = signature.TypeCovered
	}
	return rr.Header().Name + dns.TypeToString[kind]
}

// TestSizes: for every size that a client may name, a reply over UDP is at most
// as large, and at most 1232 octets; TC is set exactly when something is
// missing; RRsets are whole; the question and the OPT record are there. Over TCP
// the same answer comes complete.
func TestSizes(t *testing.T) {
	t.Parallel()
	answers := map[string]resolver.Answer{
		"many addresses":           chain(0, 60),
		"a chain, then an address": chain(8, 1),
		"a chain with two RRsets":  withText(chain(3, 4)),
		"a long negative answer":   negative(resolver.Answer{}, 900),
		"a chain that ends empty":  negative(chain(2, 0), 600),
		"a positive with a proof":  negative(chain(1, 3), 800),
		"extended errors":          {Rcode: dns.RcodeServerFailure, Errors: []resolver.Error{{Code: 22, Text: strings.Repeat("why ", 150)}, {Code: 23, Text: "x"}}},
		"too many extended errors": {Rcode: dns.RcodeServerFailure, Errors: make([]resolver.Error, 400)},
	}
	for name, a := range answers {
		t.Run(name, func(t *testing.T) {
			s := serving(t, a)
			if reply := exchange(t, "tcp", s.addr, query("a.example", edns(512))); reply.Truncated || len(reply.Answer) != len(a.Records) || len(reply.Ns) != len(a.Authority) {
				t.Errorf("over TCP: %v", reply)
			}
			conn := dial(t, "udp", s.addr)
			for size := range 1300 {
				if size > 0 && size < 500 {
					continue // 0 stands for no EDNS, the rest counts as 512
				}
				checkSize(t, conn, size, a)
			}
			for _, size := range []int{4096, 65535} {
				checkSize(t, conn, size, a)
			}
		})
	}
}

// withText adds a second RRset at the end of a chain.
func withText(a resolver.Answer) resolver.Answer {
	last := a.Records[len(a.Records)-1].Header().Name
	a.Records = append(a.Records, &dns.TXT{Hdr: dns.RR_Header{Name: last, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: split(strings.Repeat("t", 400))})
	return a
}

func checkSize(t *testing.T, conn net.Conn, size int, a resolver.Answer) {
	t.Helper()
	m, limit := query("a.example"), 512
	if size > 0 {
		edns(uint16(size))(m)
		limit = min(max(size, 512), 1232)
	}
	write(t, conn, pack(t, m))
	wire := read(t, conn)
	reply := unpack(t, wire)
	if len(wire) > limit {
		t.Errorf("size %d: the reply has %d octets", size, len(wire))
	}
	complete := len(reply.Answer) == len(a.Records) && len(reply.Ns) == len(a.Authority)
	if reply.Truncated && complete && len(a.Errors) == 0 || !reply.Truncated && !complete {
		t.Errorf("size %d: TC is %v with %d of %d records and %d of %d in the authority section",
			size, reply.Truncated, len(reply.Answer), len(a.Records), len(reply.Ns), len(a.Authority))
	}
	whole(t, reply.Answer, a.Records)
	if n := len(reply.Answer); reply.Truncated && n > 0 && reply.Answer[n-1].Header().Name == "a.example." && reply.Answer[0].Header().Rrtype == dns.TypeCNAME {
		t.Errorf("size %d: a chain without its end", size)
	}
	if len(reply.Question) != 1 || (reply.IsEdns0() != nil) != (size > 0) || reply.Rcode != a.Rcode || reply.Id != m.Id {
		t.Errorf("size %d: question, OPT record, rcode or id are wrong: %v", size, reply)
	}
}

// TestTruncated shows what is left when not all fits.
func TestTruncated(t *testing.T) {
	for _, row := range []struct {
		name string
		a    resolver.Answer
		want string
	}{
		{"RFC 2181: an RRset that does not fit is dropped as a whole", chain(0, 200), "NOERROR ra rd tc q=a.example. opt=v0,1232"},
		{"RFC 1034: nothing is left of a chain whose end is gone", chain(2, 200), "NOERROR ra rd tc q=a.example. opt=v0,1232"},
		{"RFC 2308: nor of a chain whose SOA is gone", negative(chain(2, 0), 2000), "NOERROR ra rd tc q=a.example. opt=v0,1232"},
		{"what fits in front of it stays", withText(withText(withText(chain(1, 2)))), "NOERROR ra rd tc q=a.example. an=5 opt=v0,1232"},
		{"RFC 8914: the texts of errors go first, without TC", resolver.Answer{Rcode: dns.RcodeServerFailure, Errors: []resolver.Error{{Code: 22, Text: strings.Repeat("x", 2000)}}}, "SERVFAIL ra rd q=a.example. opt=v0,1232,ede22:"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serving(t, row.a)
			conn := dial(t, "udp", s.addr)
			write(t, conn, pack(t, query("a.example", edns(1232))))
			if got := summary(read(t, conn)); got != row.want {
				t.Errorf("\n got %s\nwant %s", got, row.want)
			}
		})
	}
}

// TestAliasesAsked: for a question for CNAME, a CNAME is the end.
func TestAliasesAsked(t *testing.T) {
	s := serving(t, withText(withText(withText(chain(1, 0)))))
	for _, kind := range []uint16{dns.TypeCNAME, dns.TypeA} {
		m := query("a.example", edns(512))
		m.Question[0].Qtype = kind
		if reply := exchange(t, "udp", s.addr, m); !reply.Truncated || (len(reply.Answer) > 0) != (kind == dns.TypeCNAME) {
			t.Errorf("%s: %v", dns.TypeToString[kind], reply)
		}
	}
}

// TestLargestTCP: over TCP a reply may have 65535 octets; one that is larger is
// a failure, because TC would send the client back to where it is.
func TestLargestTCP(t *testing.T) {
	large := serving(t, chain(0, 4000))
	conn := dial(t, "tcp", large.addr)
	write(t, conn, pack(t, query("a.example")))
	if wire := read(t, conn); len(wire) < 64000 || len(unpack(t, wire).Answer) != 4001 {
		t.Errorf("the reply has %d octets", len(wire))
	}
	tooLarge := serving(t, chain(0, 5000))
	if reply := exchange(t, "tcp", tooLarge.addr, query("a.example")); reply.Rcode != dns.RcodeServerFailure || reply.Truncated {
		t.Errorf("too large: %v", reply)
	}
	if reply := exchange(t, "udp", tooLarge.addr, query("a.example")); !reply.Truncated {
		t.Errorf("too large over UDP: %v", reply)
	}
}

// TestKeepalive: RFC 7828: offered over TCP to those who ask, never over UDP.
func TestKeepalive(t *testing.T) {
	s := start(t, listen.Config{Idle: 7 * time.Second})
	ask := withOPT(opt(1232, 0, option(11, "")))
	for _, row := range []struct {
		name, transport string
		packet          []byte
		want            string
	}{
		{"asked over TCP", "tcp", ask, "NOERROR ra rd q=a.example. an=1 opt=v0,1232,11:use tcp keep-alive, timeout 7000ms"},
		{"with a time of the client's own", "tcp", withOPT(opt(1232, 0, option(11, "\xff\xff"))), "NOERROR ra rd q=a.example. an=1 opt=v0,1232,11:use tcp keep-alive, timeout 7000ms"},
		{"not asked", "tcp", withOPT(opt(1232, 0, "")), "NOERROR ra rd q=a.example. an=1 opt=v0,1232"},
		{"without EDNS", "tcp", header(rd, [4]uint16{1}, []byte("\x01a\x07example\x00\x00\x01\x00\x01")), "NOERROR ra rd q=a.example. an=1"},
		{"asked over UDP", "udp", ask, "NOERROR ra rd q=a.example. an=1 opt=v0,1232"},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn := dial(t, row.transport, s.addr)
			write(t, conn, row.packet)
			if got := summary(read(t, conn)); got != row.want {
				t.Errorf("\n got %s\nwant %s", got, row.want)
			}
		})
	}
}
