package cache_test

import (
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/zones"
)

// FuzzReply has an upstream say whatever can be read from a message, and asks for
// it fresh, older and expired: TTLs only ever go down, nothing is told with more
// than 30 s when it has expired, and records stay what they are.
func FuzzReply(f *testing.F) {
	for _, seed := range []resolver.Reply{
		said(f, dns.RcodeSuccess, "www.example.com. 300 IN CNAME a.example.com.\na.example.com. 20 IN A 192.0.2.1", ""),
		said(f, dns.RcodeNameError, "", soa),
		said(f, dns.RcodeServerFailure, "", ""),
		said(f, dns.RcodeSuccess, "www.example.com. 4294967295 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1", ""),
	} {
		message := new(dns.Msg)
		message.SetQuestion("www.example.com.", dns.TypeA)
		message.Rcode, message.Answer, message.Ns = seed.Rcode, seed.Answer, seed.Authority
		wire, err := message.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, uint16(10))
		f.Add(wire, uint16(2000))
	}
	f.Fuzz(func(t *testing.T, wire []byte, later uint16) {
		message := new(dns.Msg)
		if message.Unpack(wire) != nil || len(message.Question) != 1 {
			return
		}
		var watch clock
		var server script
		server.says(resolver.Reply{Rcode: message.Rcode, Answer: message.Answer, Authority: message.Ns}, nil)
		c := cache.New(cache.Config{Stale: time.Hour, Now: watch.now})
		group := c.Group("azure", &server)
		q := resolver.Question{Name: zones.NameOf(message.Question[0].Name), Type: message.Question[0].Qtype}

		first := ask(t, group, q)
		notRaised(t, ttls(resolver.Reply{Answer: message.Answer, Authority: message.Ns}), ttls(first))
		watch.advance(time.Duration(later) * time.Second)
		server.says(resolver.Reply{Rcode: dns.RcodeServerFailure}, nil)
		second := ask(t, group, q)
		switch second.Source {
		case resolver.FromCache:
			notRaised(t, ttls(first), ttls(second))
		case resolver.FromStale:
			if got := ttls(second); len(got) > 0 && (slices.Max(got) > 30 || slices.Min(got) == 0) {
				t.Errorf("stale with TTLs %v", got)
			}
		default:
			return
		}
		for i, rr := range second.Answer {
			if !dns.IsDuplicate(rr, first.Answer[i]) {
				t.Errorf("%v became %v", first.Answer[i], rr)
			}
		}
		if c.Bytes() <= 0 {
			t.Errorf("%d bytes held", c.Bytes())
		}
	})
}

func notRaised(t *testing.T, before, after []uint32) {
	t.Helper()
	if len(before) != len(after) {
		t.Fatalf("TTLs %v became %v", before, after)
	}
	for i := range before {
		if after[i] > before[i] {
			t.Errorf("TTLs %v became %v", before, after)
		}
	}
}
