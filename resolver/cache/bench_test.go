package cache_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
)

// BenchmarkHit is an answer from memory: the same name all the time, and all
// cores asking for 50,000 names, once within a second of the clock and once with
// every answer a second older than when it was last told.
func BenchmarkHit(b *testing.B) {
	b.Run("one name", func(b *testing.B) {
		group := cache.New(cache.Config{}).Group("azure", everything(b))
		q := question("www.example.com", dns.TypeA)
		ask(b, group, q)
		b.ReportAllocs()
		for b.Loop() {
			at(b, group, q)
		}
	})
	b.Run("a chain", func(b *testing.B) {
		var server script
		server.says(said(b, dns.RcodeSuccess, "www.example.com. 3600 IN CNAME blob.dub09prdstr04a.store.core.windows.net.\n"+
			"blob.dub09prdstr04a.store.core.windows.net. 3600 IN A 192.0.2.1", ""), nil)
		group := cache.New(cache.Config{}).Group("azure", &server)
		q := question("www.example.com", dns.TypeA)
		ask(b, group, q)
		b.ReportAllocs()
		for b.Loop() {
			at(b, group, q)
		}
	})
	for _, aging := range []bool{false, true} {
		b.Run(fmt.Sprintf("50000 names, a second older %v", aging), func(b *testing.B) {
			var watch clock
			c := cache.New(cache.Config{Now: watch.now})
			group := c.Group("azure", everything(b))
			questions := make([]resolver.Question, 50_000)
			for i := range questions {
				questions[i] = question(fmt.Sprintf("h%d.example.com", i), dns.TypeA)
				ask(b, group, questions[i])
				ask(b, group, questions[i])
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(len(questions)); pb.Next(); i++ {
					if aging && i%len(questions) == 0 {
						watch.advance(time.Second)
					}
					at(b, group, questions[i%len(questions)])
				}
			})
		})
	}
}

// BenchmarkMiss is a name that was never asked for, from an upstream that takes
// no time, into a cache that is full.
func BenchmarkMiss(b *testing.B) {
	for _, running := range []bool{true, false} {
		b.Run(fmt.Sprintf("Run %v", running), func(b *testing.B) {
			c := cache.New(cache.Config{Entries: 10_000})
			if running {
				run(b, c)
			}
			group := c.Group("azure", everything(b))
			questions := make([]resolver.Question, 200_000)
			for i := range questions {
				questions[i] = question(fmt.Sprintf("h%d.example.com", i), dns.TypeA)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				at(b, group, questions[i%len(questions)])
				i++
			}
		})
	}
}

// BenchmarkStale is an answer that has expired while its upstream fails.
func BenchmarkStale(b *testing.B) {
	var watch clock
	var server script
	server.says(said(b, dns.RcodeSuccess, "www.example.com. 20 IN A 192.0.2.1", ""), nil)
	group := cache.New(cache.Config{Stale: time.Hour, Now: watch.now}).Group("azure", &server)
	q := question("www.example.com", dns.TypeA)
	ask(b, group, q)
	watch.advance(time.Minute)
	server.says(resolver.Reply{Rcode: dns.RcodeServerFailure}, nil)
	ask(b, group, q)
	b.ReportAllocs()
	for b.Loop() {
		if reply := at(b, group, q); reply.Source != resolver.FromStale {
			b.Fatal(reply.Source)
		}
	}
}
