package cache_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/wire"
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

// held is an upstream that says nothing until it is told to.
type held struct {
	done func(resolver.Reply, error)
}

func (h *held) Start(_ resolver.Question, _ resolver.Asker, _ time.Time, done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	h.done = done
	return resolver.Reply{}, true, nil
}

// A question that has to be waited for leaves nothing behind but what is kept of its
// answer; here that is nothing.
func TestMissLeavesNothingBehind(t *testing.T) {
	var server held
	group, q := cache.New(cache.Config{}).Group("azure", &server), question("www.example.com", dns.TypeA)
	reply, err := said(t, dns.RcodeSuccess, "www.example.com. 0 IN A 192.0.2.1", "").Packed(q)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	done := func(got resolver.Reply, err error) {
		if told++; err != nil || got.Wire.Count(wire.Answer) != 1 {
			t.Errorf("told %v, %v", got, err)
		}
	}
	const rounds = 100
	allocs := testing.AllocsPerRun(rounds, func() {
		if _, pending, _ := group.Start(q, resolver.Asker{}, time.Time{}, done); !pending {
			t.Fatal("it does not wait")
		}
		server.done(reply, nil)
	})
	if allocs > 0 || told != rounds+1 {
		t.Errorf("%v pieces of memory for each of %d questions, want none", allocs, told)
	}
}
