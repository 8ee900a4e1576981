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

// An answer from memory makes no more work for the garbage collector than the
// records that are told, and a failure makes none.
func TestHitAllocatesNothing(t *testing.T) {
	var watch clock
	c := cache.New(cache.Config{Now: watch.now, Prefetch: true})
	for _, test := range []struct {
		name  string
		reply resolver.Reply
		most  float64
	}{
		{"a failure", resolver.Reply{Rcode: dns.RcodeServerFailure}, 0},
		{"an answer without records", resolver.Reply{Rcode: dns.RcodeSuccess, Authority: rrs(t, soa)}, 7},
		{"an address", said(t, dns.RcodeSuccess, "www.example.com. 60 IN A 192.0.2.1", ""), 2},
		{"eight addresses", said(t, dns.RcodeSuccess, repeated(8, "www.example.com. 60 IN AAAA 2001:db8::%d\n"), ""), 2},
		{"a chain", said(t, dns.RcodeSuccess,
			"www.example.com. 60 IN CNAME a.example.com.\na.example.com. 60 IN CNAME b.example.com.\nb.example.com. 60 IN A 192.0.2.1", ""), 6},
	} {
		var server script
		server.says(test.reply, nil)
		group, q := c.Group(test.name, &server), question("www.example.com", dns.TypeA)
		ask(t, group, q)
		if allocs := testing.AllocsPerRun(100, func() { at(t, group, q) }); allocs > test.most {
			t.Errorf("%s: %v allocations, want at most %v", test.name, allocs, test.most)
		}
	}
}
