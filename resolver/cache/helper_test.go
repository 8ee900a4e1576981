package cache_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// upstream is an Exchanger that is a function.
type upstream func(ctx context.Context, q resolver.Question) (resolver.Reply, error)

func (u upstream) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolvertest.Outside(u).Start(q, from, deadline, done)
}

// apart is an upstream that answers soon, from a goroutine of its own. It leaves no
// deadline behind that would hold memory until it is over.
type apart func(q resolver.Question) (resolver.Reply, error)

func (a apart) Start(q resolver.Question, _ resolver.Asker, _ time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	go func() { done(a(q)) }()
	return resolver.Reply{}, true, nil
}

// script is an upstream that says what it is told to, and counts.
type script struct {
	mu    sync.Mutex
	reply resolver.Reply
	err   error
	asked atomic.Int64
}

func (s *script) says(reply resolver.Reply, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply, s.err = reply, err
}

func (s *script) Start(resolver.Question, resolver.Asker, time.Time, func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	reply, err := s.Exchange()
	return reply, false, err
}

// Exchange says it.
func (s *script) Exchange() (resolver.Reply, error) {
	s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reply, s.err
}

// clock is a clock that stands still until it is moved.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_000_000, c.passed.Load()) }
func (c *clock) advance(d time.Duration) { c.passed.Add(int64(d)) }

// rrs reads records, one a line.
func rrs(tb testing.TB, text string) []dns.RR {
	tb.Helper()
	var records []dns.RR
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			tb.Fatalf("read record %q: %v", line, err)
		}
		records = append(records, rr)
	}
	return records
}

// said is a reply of an upstream, its sections in master file form.
func said(tb testing.TB, rcode int, answer, authority string) resolver.Reply {
	tb.Helper()
	return resolver.Reply{
		Rcode:     rcode,
		Answer:    rrs(tb, answer),
		Authority: rrs(tb, authority),
		Source:    resolver.FromUpstream,
		Group:     "azure",
		Server:    "192.0.2.53",
	}
}

// repeated is a text with the numbers from 1 to n in it.
func repeated(n int, format string) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, format, i+1)
	}
	return text.String()
}

func question(name string, qtype uint16) resolver.Question {
	return resolver.Question{Name: zones.MustName(name), Type: qtype}
}

// exchange asks and waits.
func exchange(ctx context.Context, group resolver.Exchanger, q resolver.Question) (resolver.Reply, error) {
	return resolver.Exchange(ctx, group, q, resolver.Asker{})
}

// ask asks, and fails the test on an error.
func ask(tb testing.TB, group resolver.Exchanger, q resolver.Question) resolver.Reply {
	tb.Helper()
	reply, err := exchange(context.Background(), group, q)
	if err != nil {
		tb.Fatalf("ask %v: %v", q, err)
	}
	return reply
}

// run runs c until stop is called, or the test ends.
func run(tb testing.TB, c *cache.Cache) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("run the cache: %v", err)
		}
	})
	tb.Cleanup(stop)
	return stop
}

// ttls are the TTLs of all records of a reply.
func ttls(reply resolver.Reply) []uint32 {
	var all []uint32
	for _, section := range [][]dns.RR{reply.Answer, reply.Authority} {
		for _, rr := range section {
			all = append(all, rr.Header().Ttl)
		}
	}
	return all
}

const soa = "example.com. 900 IN SOA ns.example.com. host.example.com. 1 3600 600 86400 300"
