package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/zones"
)

// ledger is an Observer that writes everything down.
type ledger struct {
	mu     sync.Mutex
	events map[string]int
	panics []string
}

func (l *ledger) CacheEvent(group string, event cache.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == nil {
		l.events = make(map[string]int)
	}
	l.events[fmt.Sprintf("%s %v", group, event)]++
}

func (l *ledger) Panicked(part string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.panics = append(l.panics, part)
}

// Every question is counted once as hit, miss or stale, and what else happened
// beside that.
func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		books := new(ledger)
		c := cache.New(cache.Config{Entries: 2, Waiting: 3, Late: 2500 * time.Millisecond, Stale: time.Hour, Prefetch: true, Observer: books})
		run(t, c)
		synctest.Wait()
		var server switched
		group := c.Group("azure", &server)
		expect := func(what string, want map[string]int) {
			t.Helper()
			synctest.Wait()
			books.mu.Lock()
			defer books.mu.Unlock()
			if fmt.Sprint(books.events) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", what, books.events, want)
			}
			books.events = nil
		}
		q := question("www.example.com", dns.TypeA)

		server.now.Store(&slow{after: time.Second, reply: address(t, "192.0.2.1")})
		var all sync.WaitGroup
		var busy atomic.Int64
		for range 3 {
			all.Go(func() {
				if _, err := exchange(t.Context(), group, q); errors.Is(err, cache.ErrBusy) {
					busy.Add(1)
				}
			})
		}
		synctest.Wait()
		ask(t, group, question("other.example.com", dns.TypeA))
		all.Wait()
		if busy.Load() != 1 {
			t.Errorf("%d gave way", busy.Load())
		}
		expect("at first", map[string]int{"azure miss": 4, "azure coalesced": 2, "azure busy": 1})
		c.Flush(zones.MustName("other.example.com"), false)

		time.Sleep(57 * time.Second)
		for range 4 {
			ask(t, group, q)
		}
		expect("near the end", map[string]int{"azure hit": 4, "azure prefetch": 1})

		time.Sleep(70 * time.Second)
		ask(t, group, q)
		expect("refreshed", map[string]int{"azure miss": 1})

		time.Sleep(70 * time.Second)
		server.now.Store(&slow{reply: resolver.Reply{Rcode: dns.RcodeServerFailure}})
		ask(t, group, q)
		ask(t, group, q)
		expect("failed", map[string]int{"azure stale": 2})

		server.now.Store(&slow{reply: address(t, "192.0.2.1")})
		for i := range 3 {
			ask(t, group, question(fmt.Sprintf("h%d.example.com", i), dns.TypeA))
		}
		expect("full", map[string]int{"azure miss": 3, "azure evicted": 2})

		server.now.Store(&slow{after: 2 * time.Second, reply: address(t, "192.0.2.1")})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := exchange(ctx, group, question("late.example.com", dns.TypeA)); err == nil {
			t.Error("told in time")
		}
		time.Sleep(time.Second)
		expect("late", map[string]int{"azure miss": 1, "azure late": 1, "azure evicted": 1})

		c.Flush(q.Name, false)
		expect("flushed", map[string]int{})
	})
}
