package cache_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
)

// at asks without waiting: nothing is pending where memory has the answer.
func at(tb testing.TB, group resolver.Exchanger, q resolver.Question) resolver.Reply {
	reply, pending, err := group.Start(q, resolver.Asker{}, time.Time{}, nil)
	if pending || err != nil {
		tb.Errorf("%v: pending %v, error %v", q.Name, pending, err)
	}
	return reply
}

// An answer from memory makes no work for the garbage collector.
func TestHitAllocatesNothing(t *testing.T) {
	var watch clock
	c := cache.New(cache.Config{Now: watch.now, Prefetch: true})
	for _, test := range []struct {
		name  string
		qtype uint16
		reply resolver.Reply
	}{
		{"a failure", dns.TypeA, resolver.Reply{Rcode: dns.RcodeServerFailure}},
		{"an answer without records", dns.TypeA, resolver.Reply{Rcode: dns.RcodeSuccess, Authority: rrs(t, soa)}},
		{"an address", dns.TypeA, said(t, dns.RcodeSuccess, "www.example.com. 60 IN A 192.0.2.1", "")},
		{"eight addresses", dns.TypeAAAA, said(t, dns.RcodeSuccess, repeated(8, "www.example.com. 60 IN AAAA 2001:db8::%d\n"), "")},
		{"a chain", dns.TypeA, said(t, dns.RcodeSuccess,
			"www.example.com. 60 IN CNAME a.example.com.\na.example.com. 60 IN CNAME b.example.com.\nb.example.com. 60 IN A 192.0.2.1", "")},
	} {
		var server script
		server.says(test.reply, nil)
		group, q := c.Group(test.name, &server), question("www.example.com", test.qtype)
		ask(t, group, q)
		if allocs := testing.AllocsPerRun(100, func() { at(t, group, q) }); allocs > 0 {
			t.Errorf("%s: %v allocations, want none", test.name, allocs)
		}
		if asked := server.asked.Load(); asked != 1 {
			t.Errorf("%s: the upstream was asked %d times", test.name, asked)
		}
	}
}
