package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/resolvertest"
)

// slow is an upstream that answers after a while, or never.
type slow struct {
	after time.Duration // negative is never
	reply resolver.Reply
	err   error
	asked atomic.Int64
}

func (s *slow) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolvertest.Outside(s.Exchange).Start(q, from, deadline, done)
}

func (s *slow) Exchange(ctx context.Context, _ resolver.Question) (resolver.Reply, error) {
	s.asked.Add(1)
	if s.after < 0 {
		<-ctx.Done()
		return resolver.Reply{}, ctx.Err()
	}
	select {
	case <-time.After(s.after):
		return s.reply, s.err
	case <-ctx.Done():
		return resolver.Reply{}, ctx.Err()
	}
}

// switched is an upstream that can be exchanged for another.
type switched struct{ now atomic.Pointer[slow] }

func (s *switched) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolvertest.Outside(s.Exchange).Start(q, from, deadline, done)
}

func (s *switched) Exchange(ctx context.Context, q resolver.Question) (resolver.Reply, error) {
	return s.now.Load().Exchange(ctx, q)
}

func address(t *testing.T, ip string) resolver.Reply {
	t.Helper()
	return said(t, dns.RcodeSuccess, "www.example.com. 60 IN A "+ip, "")
}

// codes are the info codes of a reply's extended errors.
func codes(reply resolver.Reply) []uint16 {
	var all []uint16
	for _, e := range reply.Errors {
		all = append(all, e.Code)
	}
	return all
}

// The timers of RFC 8767 section 5, and what counts as news. Something was said,
// and expired a while ago; now it is asked for again.
func TestStaleTimers(t *testing.T) {
	const day = 24 * time.Hour
	old := address(t, "192.0.2.1")
	news := address(t, "192.0.2.2")
	gone := said(t, dns.RcodeNameError, "", soa)
	tests := []struct {
		name     string
		before   resolver.Reply
		stale    time.Duration
		ago      time.Duration // since it expired
		deadline time.Duration // of the client; 0 is none
		upstream *slow
		at       time.Duration // when the client is told
		source   resolver.Source
		rcode    int
		ttls     []uint32
		codes    []uint16
		fails    bool // with an error
	}{
		{
			name: "news that come at once are told", before: old, stale: day,
			upstream: &slow{reply: news},
			source:   resolver.FromUpstream, ttls: []uint32{60},
		}, {
			name: "news that come just before the answer timer are told", before: old, stale: day,
			upstream: &slow{after: 1799 * time.Millisecond, reply: news},
			at:       1799 * time.Millisecond, source: resolver.FromUpstream, ttls: []uint32{60},
		}, {
			name: "at 1.8 s what is stale is told, though the news are on their way", before: old, stale: day,
			upstream: &slow{after: 2 * time.Second, reply: news},
			at:       1800 * time.Millisecond, source: resolver.FromStale, ttls: []uint32{30}, codes: []uint16{3},
		}, {
			name: "at 1.8 s what is stale is told if the upstream is silent", before: old, stale: day,
			upstream: &slow{after: -1}, deadline: 2500 * time.Millisecond,
			at: 1800 * time.Millisecond, source: resolver.FromStale, ttls: []uint32{30}, codes: []uint16{3},
		}, {
			name: "with 200 ms to spare if the client has less time", before: old, stale: day,
			upstream: &slow{after: -1}, deadline: time.Second,
			at: 800 * time.Millisecond, source: resolver.FromStale, ttls: []uint32{30}, codes: []uint16{3},
		}, {
			name: "at once if the client has next to none", before: old, stale: day,
			upstream: &slow{after: -1}, deadline: 150 * time.Millisecond,
			source: resolver.FromStale, ttls: []uint32{30}, codes: []uint16{3},
		}, {
			name: "SERVFAIL is no news", before: old, stale: day,
			upstream: &slow{after: time.Millisecond, reply: resolver.Reply{Rcode: dns.RcodeServerFailure}},
			at:       time.Millisecond, source: resolver.FromStale, ttls: []uint32{30}, codes: []uint16{3},
		}, {
			name: "REFUSED is no news", before: old, stale: day,
			upstream: &slow{reply: resolver.Reply{Rcode: dns.RcodeRefused}},
			source:   resolver.FromStale, ttls: []uint32{30}, codes: []uint16{3},
		}, {
			name: "NOTIMP is no news", before: old, stale: day,
			upstream: &slow{reply: resolver.Reply{Rcode: dns.RcodeNotImplemented}},
			source:   resolver.FromStale, ttls: []uint32{30}, codes: []uint16{3},
		}, {
			name: "an error is no news", before: old, stale: day,
			upstream: &slow{err: errors.New("connection refused")},
			source:   resolver.FromStale, ttls: []uint32{30}, codes: []uint16{3},
		}, {
			name: "NXDOMAIN is news", before: old, stale: day,
			upstream: &slow{reply: gone},
			source:   resolver.FromUpstream, rcode: dns.RcodeNameError, ttls: []uint32{300},
		}, {
			name: "so is NXDOMAIN that may not be kept", before: old, stale: day,
			upstream: &slow{reply: resolver.Reply{Rcode: dns.RcodeNameError, Source: resolver.FromUpstream}},
			source:   resolver.FromUpstream, rcode: dns.RcodeNameError,
		}, {
			name: "so is NODATA", before: old, stale: day,
			upstream: &slow{reply: said(t, dns.RcodeSuccess, "", soa)},
			source:   resolver.FromUpstream, ttls: []uint32{300},
		}, {
			name: "a stale NXDOMAIN has a code of its own (RFC 8914 section 4.20)", before: gone, stale: day,
			upstream: &slow{after: -1},
			at:       1800 * time.Millisecond, source: resolver.FromStale, rcode: dns.RcodeNameError,
			ttls: []uint32{30}, codes: []uint16{19},
		}, {
			name: "of a chain only what has expired is told with 30 s, and nothing with more", stale: day,
			before:   said(t, dns.RcodeSuccess, "www.example.com. 3600 IN CNAME a.example.com.\na.example.com. 80 IN CNAME b.example.com.\nb.example.com. 60 IN A 192.0.2.1", ""),
			upstream: &slow{after: -1},
			at:       1800 * time.Millisecond, source: resolver.FromStale, ttls: []uint32{30, 9, 30}, codes: []uint16{3},
		}, {
			name: "what was said about it stays said", stale: day,
			before:   resolver.Reply{Answer: old.Answer, Authenticated: true, Errors: []resolver.Error{{Code: 4, Text: "forged"}}},
			upstream: &slow{reply: resolver.Reply{Rcode: dns.RcodeServerFailure}},
			source:   resolver.FromStale, ttls: []uint32{30}, codes: []uint16{4, 3},
		}, {
			name: "it is told until it is as old as configured", before: old, stale: day, ago: day - time.Second,
			upstream: &slow{reply: resolver.Reply{Rcode: dns.RcodeServerFailure}},
			source:   resolver.FromStale, ttls: []uint32{30}, codes: []uint16{3},
		}, {
			name: "and no longer", before: old, stale: day, ago: day,
			upstream: &slow{reply: resolver.Reply{Rcode: dns.RcodeServerFailure, Source: resolver.FromUpstream}},
			source:   resolver.FromUpstream, rcode: dns.RcodeServerFailure,
		}, {
			name: "never if it is turned off", before: old,
			upstream: &slow{after: -1}, deadline: 2500 * time.Millisecond,
			at: 2500 * time.Millisecond, fails: true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			modes(t, cache.Config{Stale: test.stale}, func(t *testing.T, c *cache.Cache) {
				var server switched
				server.now.Store(&slow{reply: test.before})
				group := c.Group("azure", &server)
				q := question("www.example.com", dns.TypeA)
				first := ask(t, group, q)
				if test.ago == 0 {
					test.ago = 10 * time.Second
				}
				time.Sleep(seconds(slices.Min(ttls(first))) + test.ago)

				server.now.Store(test.upstream)
				ctx := context.Background()
				if test.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.deadline)
					defer cancel()
				}
				began := time.Now()
				reply, err := exchange(ctx, group, q)
				if took := time.Since(began); took != test.at {
					t.Errorf("told after %v, want %v", took, test.at)
				}
				if (err != nil) != test.fails {
					t.Fatalf("error %v", err)
				}
				if err != nil {
					return
				}
				if reply.Source != test.source || reply.Rcode != test.rcode {
					t.Errorf("RCODE %d from %v, want %d from %v", reply.Rcode, reply.Source, test.rcode, test.source)
				}
				if got := ttls(reply); !slices.Equal(got, test.ttls) {
					t.Errorf("TTLs %v, want %v", got, test.ttls)
				}
				if got := codes(reply); !slices.Equal(got, test.codes) {
					t.Errorf("extended errors %v, want %v", got, test.codes)
				}
				if reply.Source == resolver.FromStale && reply.Authenticated {
					t.Error("what is stale is vouched for")
				}
			})
		})
	}
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }

// expired gives a group whose one answer has expired, and what it asks.
func expired(t *testing.T, c *cache.Cache) (resolver.Exchanger, *switched, resolver.Question) {
	t.Helper()
	server := new(switched)
	server.now.Store(&slow{reply: address(t, "192.0.2.1")})
	group := c.Group("azure", server)
	q := question("www.example.com", dns.TypeA)
	ask(t, group, q)
	time.Sleep(61 * time.Second)
	return group, server, q
}

// The failure recheck timer: after a failure clients do not wait for the next
// one. With Run the upstream is asked meanwhile, a second after it has failed and
// not before; without, it is asked when the timer has run out.
func TestFailureRecheck(t *testing.T) {
	type step struct {
		at    time.Duration // since the first question
		took  time.Duration
		asked int64 // so far
	}
	const full = 1800 * time.Millisecond
	for _, test := range []struct {
		name    string
		running bool
		steps   []step
	}{
		{"with Run", true, []step{
			{0, full, 1},
			{2000 * time.Millisecond, 0, 1}, // the question of 0 s is still under way
			{2600 * time.Millisecond, 0, 1}, // it failed at 2.5 s
			{3490 * time.Millisecond, 0, 1},
			{3600 * time.Millisecond, 0, 2}, // fails at 6.1 s
			{6000 * time.Millisecond, 0, 2},
			{7050 * time.Millisecond, 0, 2},
			{7200 * time.Millisecond, 0, 3},     // fails at 9.7 s
			{14600 * time.Millisecond, 0, 4},    // fails at 17.1 s
			{22200 * time.Millisecond, full, 5}, // nobody has asked for 5 s
		}},
		{"without Run", false, []step{
			{0, full, 1},
			{2000 * time.Millisecond, 0, 1},
			{7400 * time.Millisecond, 0, 1}, // it failed at 2.5 s
			{7600 * time.Millisecond, full, 2},
			{15 * time.Second, 0, 2},
			{15200 * time.Millisecond, full, 3},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(cache.Config{Stale: time.Hour, Late: 2500 * time.Millisecond})
				if test.running {
					run(t, c)
					synctest.Wait()
				}
				group, server, q := expired(t, c)
				dead := &slow{after: -1}
				server.now.Store(dead)
				start := time.Now()
				for _, step := range test.steps {
					time.Sleep(step.at - time.Since(start))
					began := time.Now()
					reply := ask(t, group, q)
					took := time.Since(began)
					synctest.Wait()
					if reply.Source != resolver.FromStale || took != step.took || dead.asked.Load() != step.asked {
						t.Errorf("at %v: from %v after %v, the upstream was asked %d times; want %v and %d",
							step.at, reply.Source, took, dead.asked.Load(), step.took, step.asked)
					}
				}
				time.Sleep(lastReply)
			})
		})
	}
}

// An upstream that dies for half a minute: its names are answered all the time,
// it is not hammered, and fresh answers are told within 5 s of its return.
func TestOutage(t *testing.T) {
	for _, dead := range []struct {
		name     string
		upstream *slow
	}{
		{"silent", &slow{after: -1}},
		{"SERVFAIL at once", &slow{reply: resolver.Reply{Rcode: dns.RcodeServerFailure}}},
	} {
		t.Run(dead.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(cache.Config{Stale: time.Hour})
				run(t, c)
				synctest.Wait()
				group, server, q := expired(t, c)
				server.now.Store(dead.upstream)
				start := time.Now()
				for time.Since(start) < 30*time.Second {
					if reply := ask(t, group, q); reply.Source != resolver.FromStale {
						t.Fatalf("%v into the outage: RCODE %d from %v", time.Since(start), reply.Rcode, reply.Source)
					}
					time.Sleep(10 * time.Millisecond)
				}
				if n := dead.upstream.asked.Load(); n > 31 {
					t.Errorf("a dead upstream was asked %d times in 30 s", n)
				}
				server.now.Store(&slow{after: 30 * time.Millisecond, reply: address(t, "192.0.2.2")})
				back := time.Now()
				for ask(t, group, q).Source == resolver.FromStale {
					time.Sleep(10 * time.Millisecond)
				}
				if took := time.Since(back); took > 5*time.Second {
					t.Errorf("fresh only %v after its return", took)
				}
			})
		})
	}
}

// News that come after the client was told what is stale are there for the next.
func TestRefreshGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config{Stale: time.Hour})
		run(t, c)
		synctest.Wait()
		group, server, q := expired(t, c)
		server.now.Store(&slow{after: 2200 * time.Millisecond, reply: address(t, "192.0.2.2")})
		if reply := ask(t, group, q); reply.Source != resolver.FromStale {
			t.Fatalf("told from %v", reply.Source)
		}
		time.Sleep(500 * time.Millisecond)
		reply := ask(t, group, q)
		if got := reply.Answer[0].(*dns.A).A.String(); reply.Source != resolver.FromCache || got != "192.0.2.2" {
			t.Errorf("then told %s from %v", got, reply.Source)
		}
	})
}

// What has been denied since is not told any more, whatever fails later.
func TestNotStaleAfterDenial(t *testing.T) {
	for _, denial := range []resolver.Reply{
		said(t, dns.RcodeNameError, "", soa),
		said(t, dns.RcodeNameError, "", ""),
		said(t, dns.RcodeSuccess, "", ""),
	} {
		modes(t, cache.Config{Stale: time.Hour}, func(t *testing.T, c *cache.Cache) {
			group, server, q := expired(t, c)
			server.now.Store(&slow{reply: denial})
			ask(t, group, q)
			time.Sleep(400 * time.Second)
			server.now.Store(&slow{reply: resolver.Reply{Rcode: dns.RcodeServerFailure}})
			if reply := ask(t, group, q); len(reply.Answer) > 0 {
				t.Errorf("told %v from %v after it was denied", reply.Answer, reply.Source)
			}
		})
	}
}

// An upstream that has too much to do has what is stale told at once, and so has
// a cache for which too many wait.
func TestBusyIsStale(t *testing.T) {
	modes(t, cache.Config{Stale: time.Hour, Waiting: 1}, func(t *testing.T, c *cache.Cache) {
		group, server, q := expired(t, c)
		server.now.Store(&slow{err: fmt.Errorf("ask: %w", resolver.ErrOverload)})
		began := time.Now()
		if reply := ask(t, group, q); reply.Source != resolver.FromStale || time.Since(began) != 0 {
			t.Errorf("told from %v after %v", reply.Source, time.Since(began))
		}
		server.now.Store(&slow{after: -1})
		time.AfterFunc(100*time.Millisecond, func() {
			group.Start(question("other.example.com", dns.TypeA), resolver.Asker{}, time.Time{}, func(resolver.Reply, error) {})
		})
		began = time.Now()
		if reply := ask(t, group, q); reply.Source != resolver.FromStale || time.Since(began) != 100*time.Millisecond {
			t.Errorf("told from %v after %v", reply.Source, time.Since(began))
		}
	})
}

// What is asked for often is refreshed before it expires, so that nobody waits;
// what is not asked for often is not.
func TestPrefetch(t *testing.T) {
	for _, test := range []struct {
		name    string
		config  cache.Config
		every   time.Duration
		running bool
		waited  bool // somebody had to wait, after the first
	}{
		{"often", cache.Config{Prefetch: true}, time.Second, true, false},
		{"rarely", cache.Config{Prefetch: true}, 59 * time.Second, true, true},
		{"turned off", cache.Config{}, time.Second, true, true},
		{"without Run", cache.Config{Prefetch: true}, time.Second, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(test.config)
				if test.running {
					run(t, c)
					synctest.Wait()
				}
				server := &slow{after: 50 * time.Millisecond, reply: address(t, "192.0.2.1")}
				group := c.Group("azure", server)
				q := question("www.example.com", dns.TypeA)
				ask(t, group, q)
				start, waited := time.Now(), false
				for time.Since(start) < 10*time.Minute {
					began := time.Now()
					ask(t, group, q)
					waited = waited || time.Since(began) > 0
					time.Sleep(test.every)
				}
				if waited != test.waited {
					t.Errorf("somebody waited: %v", waited)
				}
				if n := server.asked.Load(); n > 13 {
					t.Errorf("the upstream was asked %d times in 10 minutes", n)
				}
			})
		})
	}
}

// A prefetch that fails costs nothing of the answer that is there, and is not
// repeated with every question.
func TestPrefetchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config{Prefetch: true})
		run(t, c)
		synctest.Wait()
		var server switched
		server.now.Store(&slow{reply: address(t, "192.0.2.1")})
		group := c.Group("azure", &server)
		q := question("www.example.com", dns.TypeA)
		ask(t, group, q)
		dead := &slow{reply: resolver.Reply{Rcode: dns.RcodeServerFailure}}
		server.now.Store(dead)
		for start := time.Now(); time.Since(start) < 59900*time.Millisecond; time.Sleep(100 * time.Millisecond) {
			if reply := ask(t, group, q); reply.Source != resolver.FromCache || reply.Rcode != dns.RcodeSuccess {
				t.Fatalf("RCODE %d from %v", reply.Rcode, reply.Source)
			}
		}
		if n := dead.asked.Load(); n < 2 || n > 6 {
			t.Errorf("a failing upstream was asked %d times in the last 6 s", n)
		}
	})
}
