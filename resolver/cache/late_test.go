package cache_test

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
)

// A reply that comes after the deadline of all who asked is there for the next,
// and until then nobody has the question asked again.
func TestLateReply(t *testing.T) {
	for _, test := range []struct {
		name   string
		after  time.Duration
		late   time.Duration
		source resolver.Source // of what is told after 5.5 s
	}{
		{"in time", 4900 * time.Millisecond, 0, resolver.FromCache},
		{"too late", 5100 * time.Millisecond, 0, resolver.FromUpstream},
		{"later, if configured", 5100 * time.Millisecond, 5200 * time.Millisecond, resolver.FromCache},
		{"never less than the deadline", 2400 * time.Millisecond, time.Second, resolver.FromCache},
	} {
		t.Run(test.name, func(t *testing.T) {
			modes(t, cache.Config{Late: test.late}, func(t *testing.T, c *cache.Cache) {
				late := &slow{after: test.after, reply: address(t, "192.0.2.1")}
				var server switched
				server.now.Store(late)
				group, q := c.Group("azure", &server), question("www.example.com", dns.TypeA)
				began := time.Now()
				var all sync.WaitGroup
				for _, given := range []time.Duration{time.Second, 2 * time.Second} {
					all.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), given)
						defer cancel()
						if _, err := exchange(ctx, group, q); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != given {
							t.Errorf("told %v after %v, with %v to wait", err, time.Since(began), given)
						}
					})
				}
				all.Wait()
				time.Sleep(5500*time.Millisecond - time.Since(began))
				server.now.Store(&slow{reply: said(t, dns.RcodeSuccess, "www.example.com. 60 IN A 192.0.2.2", "")})
				if test.source == resolver.FromUpstream {
					time.Sleep(time.Second) // that nobody replied is remembered for a second
				}
				reply := ask(t, group, q)
				if reply.Source != test.source || late.asked.Load() != 1 {
					t.Errorf("told from %v, after %d questions", reply.Source, late.asked.Load())
				}
			})
		})
	}
}

// What is stale is told in time, and the late reply takes its place.
func TestLateReplyIsFresh(t *testing.T) {
	modes(t, cache.Config{Stale: time.Hour}, func(t *testing.T, c *cache.Cache) {
		group, server, q := expired(t, c)
		server.now.Store(&slow{after: 4 * time.Second, reply: address(t, "192.0.2.2")})
		began := time.Now()
		if reply := ask(t, group, q); reply.Source != resolver.FromStale || time.Since(began) != 1800*time.Millisecond {
			t.Errorf("told from %v after %v", reply.Source, time.Since(began))
		}
		time.Sleep(3 * time.Second)
		if reply := ask(t, group, q); reply.Source != resolver.FromCache || reply.Answer[0].(*dns.A).A.String() != "192.0.2.2" {
			t.Errorf("then told %v from %v", reply.Answer, reply.Source)
		}
	})
}

// asker is an upstream that notes on whose behalf it is asked, and until when.
type asker struct {
	from  resolver.Asker
	until time.Duration
}

func (a *asker) Start(_ resolver.Question, from resolver.Asker, deadline time.Time,
	_ func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	a.from, a.until = from, time.Until(deadline)
	return resolver.Reply{}, false, errors.New("connection refused")
}

// The upstream is told who asks, and has all the time in which a reply is of use.
func TestAsker(t *testing.T) {
	modes(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
		from := resolver.Asker{Network: "europe", Client: netip.MustParsePrefix("10.0.0.1/32")}
		for given, want := range map[time.Duration]time.Duration{time.Second: 5 * time.Second, 8 * time.Second: 8 * time.Second} {
			var server asker
			group := c.Group(given.String(), &server)
			if _, pending, err := group.Start(question("www.example.com", dns.TypeA), from, time.Now().Add(given), nil); pending || err == nil {
				t.Errorf("pending %v, error %v", pending, err)
			}
			if server.from != from || server.until != want {
				t.Errorf("asked for %v with %v, want %v", server.from, server.until, want)
			}
		}
	})
}

// Who still waits when Run has waited long enough is told so.
func TestRunTellsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config{})
		stop := run(t, c)
		synctest.Wait()
		group := c.Group("azure", &slow{after: -1})
		var told atomic.Int64
		for range 3 {
			group.Start(question("www.example.com", dns.TypeA), resolver.Asker{}, time.Now().Add(4*time.Second), func(_ resolver.Reply, err error) {
				if err != nil {
					told.Add(1)
				}
			})
		}
		began := time.Now()
		stop()
		if took := time.Since(began); told.Load() != 3 || took != 2500*time.Millisecond {
			t.Errorf("%d told after %v", told.Load(), took)
		}
		time.Sleep(lastReply)
		synctest.Wait()
		if told.Load() != 3 {
			t.Errorf("%d told in the end", told.Load())
		}
	})
}

// A panic costs the one question that met it, and is counted.
func TestPanic(t *testing.T) {
	t.Run("of who is told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			books := new(ledger)
			group := cache.New(cache.Config{Observer: books}).Group("azure", &slow{after: time.Second, reply: address(t, "192.0.2.1")})
			q := question("www.example.com", dns.TypeA)
			told := 0
			for i := range 3 {
				group.Start(q, resolver.Asker{}, time.Time{}, func(resolver.Reply, error) {
					if i == 1 {
						panic("out of order")
					}
					told++
				})
			}
			time.Sleep(lastReply)
			synctest.Wait()
			if told != 2 || len(books.panics) != 1 || books.panics[0] != "cache" {
				t.Errorf("%d told, panics %v", told, books.panics)
			}
		})
	})
	t.Run("of who is asked", func(t *testing.T) {
		books := new(ledger)
		group := cache.New(cache.Config{Observer: books}).Group("azure", resolverOf(func() { panic("out of order") }))
		for range 2 { // nothing is learnt from it, and nothing stays under way
			if _, pending, err := group.Start(question("www.example.com", dns.TypeA), resolver.Asker{}, time.Time{}, nil); pending || err == nil {
				t.Errorf("pending %v, error %v", pending, err)
			}
		}
		if len(books.panics) != 2 {
			t.Errorf("panics %v", books.panics)
		}
	})
	t.Run("of what was said", func(t *testing.T) {
		books := new(ledger)
		var server script
		server.says(resolver.Reply{Answer: []dns.RR{(*dns.A)(nil)}}, nil)
		group := cache.New(cache.Config{Observer: books}).Group("azure", &server)
		if _, pending, err := group.Start(question("www.example.com", dns.TypeA), resolver.Asker{}, time.Time{}, nil); pending || err == nil {
			t.Errorf("pending %v, error %v", pending, err)
		}
		if len(books.panics) != 1 {
			t.Errorf("panics %v", books.panics)
		}
	})
}

// resolverOf is an upstream that does this when it is asked, and says nothing.
type resolverOf func()

func (r resolverOf) Start(resolver.Question, resolver.Asker, time.Time, func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	r()
	return resolver.Reply{}, true, nil
}

// Waiting is cheap: who waits costs 200 bytes at most, and a question under way 500
// with the first who waits for it.
func TestWaitingIsCheap(t *testing.T) {
	const many = 20_000
	nobody := func(resolver.Reply, error) {}
	questions := make([]resolver.Question, many)
	for i := range questions {
		questions[i] = question("h"+strconv.Itoa(i)+".example.com", dns.TypeA)
	}
	for _, test := range []struct {
		name  string
		names int
		most  int64
	}{{"a question", many, 500}, {"one who waits", 1, 200}} {
		t.Run(test.name, func(t *testing.T) {
			c := cache.New(cache.Config{Timeout: time.Hour})
			group := c.Group("azure", resolverOf(func() {}))
			goroutines, before := runtime.NumGoroutine(), inUse()
			for i := range many {
				if _, pending, err := group.Start(questions[i%test.names], resolver.Asker{}, time.Time{}, nobody); !pending || err != nil {
					t.Fatalf("pending %v, error %v", pending, err)
				}
			}
			each := (inUse() - before) / many
			t.Logf("%d bytes", each)
			if each > test.most || runtime.NumGoroutine() > goroutines {
				t.Errorf("%d bytes each, %d goroutines more", each, runtime.NumGoroutine()-goroutines)
			}
			runtime.KeepAlive(c)
			runtime.KeepAlive(questions)
		})
	}
}
