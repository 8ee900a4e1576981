package cache_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
)

// A name that does not exist has no records of any type (RFC 2308 section 5, RFC
// 8020 section 2): one denial answers every type that is asked for with the same DO
// and CD bits, in the same group, and nothing else.
func TestDenialOfTheName(t *testing.T) {
	gone := said(t, dns.RcodeNameError, "", soa)
	here := said(t, dns.RcodeSuccess, "www.example.com. 60 IN A 192.0.2.1", "")
	www := func(qtype uint16) resolver.Question { return question("www.example.com", qtype) }
	signed := www(dns.TypeAAAA)
	signed.DNSSEC = true
	unchecked := www(dns.TypeAAAA)
	unchecked.CheckingDisabled = true
	for _, test := range []struct {
		name  string
		first resolver.Question
		reply resolver.Reply
		then  resolver.Question
		known bool
	}{
		{"another type", www(dns.TypeA), gone, www(dns.TypeAAAA), true},
		{"yet another", www(dns.TypeTXT), gone, www(dns.TypeMX), true},
		{"ANY", www(dns.TypeHTTPS), gone, www(dns.TypeANY), true},
		{"with DO", www(dns.TypeA), gone, signed, false},
		{"with CD", www(dns.TypeA), gone, unchecked, false},
		{"a name below: nothing says who answers for that", www(dns.TypeA), gone, question("x.www.example.com", dns.TypeA), false},
		{"a name above", www(dns.TypeA), gone, question("example.com", dns.TypeA), false},
		{"DS, which lies on the other side of the cut", www(dns.TypeA), gone, www(dns.TypeDS), false},
		{"and denies nothing there", www(dns.TypeDS), gone, www(dns.TypeA), false},
		{"no data of a type", www(dns.TypeA), said(t, dns.RcodeSuccess, "", soa), www(dns.TypeAAAA), false},
		{"a denial that may not be kept", www(dns.TypeA), said(t, dns.RcodeNameError, "", ""), www(dns.TypeAAAA), false},
		{"an alias that leads nowhere exists", www(dns.TypeA),
			said(t, dns.RcodeNameError, "www.example.com. 60 IN CNAME gone.example.com.", soa), www(dns.TypeCNAME), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var server script
			server.says(test.reply, nil)
			c := cache.New(cache.Config{})
			group := c.Group("azure", &server)
			ask(t, group, test.first)
			server.says(here, nil)
			reply := ask(t, group, test.then)
			if known := reply.Source == resolver.FromCache; known != test.known {
				t.Errorf("known: %v, want %v", known, test.known)
			}
			if test.known && (reply.Rcode != dns.RcodeNameError || len(reply.Authority) != 1) {
				t.Errorf("told RCODE %d, %v", reply.Rcode, reply.Authority)
			}
			if other := ask(t, c.Group("corp", &server), test.then); other.Source != resolver.FromUpstream {
				t.Errorf("another group is told from %v", other.Source)
			}
		})
	}
}

// What a denial says ends with its time, or when any type is there after all; what
// was known of other types before it lasts as long as it was to last.
func TestDenialAndAnswers(t *testing.T) {
	var watch clock
	var server script
	c := cache.New(cache.Config{Now: watch.now, Stale: time.Hour})
	group := c.Group("azure", &server)
	a, aaaa, mx := question("www.example.com", dns.TypeA), question("www.example.com", dns.TypeAAAA), question("www.example.com", dns.TypeMX)
	expect := func(q resolver.Question, rcode int, source resolver.Source) {
		t.Helper()
		if reply := ask(t, group, q); reply.Rcode != rcode || reply.Source != source {
			t.Errorf("%v is told RCODE %d from %v, want %d from %v", dns.Type(q.Type), reply.Rcode, reply.Source, rcode, source)
		}
	}
	const denied, found = dns.RcodeNameError, dns.RcodeSuccess

	server.says(said(t, found, "www.example.com. 400 IN MX 10 mail.example.com.", ""), nil)
	expect(mx, found, resolver.FromUpstream)
	server.says(said(t, found, "www.example.com. 60 IN A 192.0.2.1", ""), nil)
	expect(a, found, resolver.FromUpstream)
	watch.advance(61 * time.Second)
	server.says(said(t, denied, "", soa), nil) // for 300 s
	expect(a, denied, resolver.FromUpstream)
	expect(aaaa, denied, resolver.FromCache)
	expect(mx, found, resolver.FromCache)
	if c.Len() != 2 {
		t.Errorf("%d entries", c.Len())
	}
	watch.advance(310 * time.Second)
	server.says(said(t, found, "www.example.com. 60 IN AAAA 2001:db8::1", ""), nil)
	expect(aaaa, found, resolver.FromUpstream)
	server.says(resolver.Reply{Rcode: dns.RcodeServerFailure, Source: resolver.FromUpstream}, nil)
	expect(a, dns.RcodeServerFailure, resolver.FromUpstream) // neither the old address nor the old denial
	expect(aaaa, found, resolver.FromCache)

	// A denial that has expired stands in, for any type, while the upstream fails.
	c.Flush(a.Name, false)
	server.says(said(t, denied, "", soa), nil)
	expect(a, denied, resolver.FromUpstream)
	watch.advance(400 * time.Second)
	server.says(resolver.Reply{Rcode: dns.RcodeServerFailure, Source: resolver.FromUpstream}, nil)
	expect(aaaa, denied, resolver.FromStale)
	expect(mx, denied, resolver.FromStale)
}
