package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// lastReply is when the last reply has come to whatever is asked now, in the time of
// a bubble, which must not end before its goroutines.
const lastReply = 10 * time.Second

// modes has a test body run with and without Run, in a bubble of its own time.
func modes(t *testing.T, config cache.Config, body func(t *testing.T, c *cache.Cache)) {
	for name, running := range map[string]bool{"with Run": true, "without Run": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(config)
				if running {
					run(t, c)
					synctest.Wait()
				}
				body(t, c)
				time.Sleep(lastReply)
			})
		})
	}
}

// However many ask the same at once, it is asked once and all are told the same.
func TestCoalesce(t *testing.T) {
	dead := errors.New("connection refused")
	for _, test := range []struct {
		name  string
		reply resolver.Reply
		err   error
	}{
		{"an answer", said(t, dns.RcodeSuccess, "www.example.com. 20 IN A 192.0.2.1", ""), nil},
		{"an answer that is not kept", said(t, dns.RcodeSuccess, "www.example.com. 0 IN A 192.0.2.1", ""), nil},
		{"NXDOMAIN", said(t, dns.RcodeNameError, "", strings.Replace(soa, "900", "300", 1)), nil},
		{"NXDOMAIN without SOA", said(t, dns.RcodeNameError, "", ""), nil},
		{"SERVFAIL with its reason", resolver.Reply{
			Rcode: dns.RcodeServerFailure, Source: resolver.FromUpstream,
			Errors: []resolver.Error{{Code: 9, Text: "no key"}},
		}, nil},
		{"an error", resolver.Reply{Group: "azure"}, dead},
	} {
		t.Run(test.name, func(t *testing.T) {
			modes(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
				var asked atomic.Int64
				group := c.Group("azure", upstream(func(context.Context, resolver.Question) (resolver.Reply, error) {
					asked.Add(1)
					time.Sleep(50 * time.Millisecond) // of the bubble's time: all others come meanwhile
					return test.reply, test.err
				}))
				var all sync.WaitGroup
				var other atomic.Int64
				for range 1000 {
					all.Go(func() {
						reply, err := exchange(context.Background(), group, question("www.example.com", dns.TypeA))
						if !errors.Is(err, test.err) || fmt.Sprint(reply) != fmt.Sprint(test.reply) {
							other.Add(1)
						}
					})
				}
				all.Wait()
				if asked.Load() != 1 || other.Load() != 0 {
					t.Errorf("the upstream was asked %d times, %d were told something else", asked.Load(), other.Load())
				}
			})
		})
	}
}

// A caller that gives up leaves with its own error, and the others are told what
// they wait for, also when it was the one that asked.
func TestGivingUp(t *testing.T) {
	modes(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
		reply := said(t, dns.RcodeSuccess, "www.example.com. 20 IN A 192.0.2.1", "")
		group := c.Group("azure", upstream(func(ctx context.Context, _ resolver.Question) (resolver.Reply, error) {
			select {
			case <-time.After(time.Second):
				return reply, nil
			case <-ctx.Done():
				return resolver.Reply{}, ctx.Err()
			}
		}))
		q := question("www.example.com", dns.TypeA)
		asker, disconnect := context.WithTimeout(context.Background(), 2*time.Second)
		impatient, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()

		var all sync.WaitGroup
		all.Go(func() { exchange(asker, group, q) }) // gone in a moment
		synctest.Wait()
		all.Go(func() {
			if _, err := exchange(impatient, group, q); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient one was told %v", err)
			}
		})
		all.Go(func() {
			if got, err := exchange(context.Background(), group, q); err != nil || len(got.Answer) != 1 {
				t.Errorf("the patient one was told %v, %v", got, err)
			}
		})
		synctest.Wait()
		disconnect()
		all.Wait()
	})
}

// With Run, whoever disconnects is let go at once.
func TestDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config{})
		run(t, c)
		synctest.Wait()
		group := c.Group("azure", upstream(func(ctx context.Context, _ resolver.Question) (resolver.Reply, error) {
			<-ctx.Done()
			return resolver.Reply{}, ctx.Err()
		}))
		gone := errors.New("the client has gone")
		ctx, disconnect := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { disconnect(gone) })
		began := time.Now()
		if _, err := exchange(ctx, group, question("www.example.com", dns.TypeA)); !errors.Is(err, gone) {
			t.Errorf("told %v", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("let go after %v", took)
		}
		time.Sleep(lastReply)
	})
}

// Nothing is asked for whoever has no time left.
func TestGone(t *testing.T) {
	modes(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
		var server script
		ctx, cancel := context.WithDeadline(t.Context(), time.Now())
		defer cancel()
		_, err := exchange(ctx, c.Group("azure", &server), question("www.example.com", dns.TypeA))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("told %v", err)
		}
		if n := server.asked.Load(); n != 0 {
			t.Errorf("the upstream was asked %d times", n)
		}
	})
}

// A question is under way for as long as a reply may come, however little time its
// first asker has: that says nothing about the upstream, and the next asker is
// told what comes.
func TestShortFlightIsNotAFailure(t *testing.T) {
	for _, given := range []time.Duration{100 * time.Millisecond, 2 * time.Second} {
		modes(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
			server := &slow{after: 2100 * time.Millisecond, reply: address(t, "192.0.2.1")}
			group := c.Group("azure", server)
			ctx, cancel := context.WithTimeout(t.Context(), given)
			defer cancel()
			began := time.Now()
			if _, err := exchange(ctx, group, question("www.example.com", dns.TypeA)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("told %v", err)
			}
			if took := time.Since(began); took != given {
				t.Errorf("told after %v, with %v to wait", took, given)
			}
			if reply := ask(t, group, question("www.example.com", dns.TypeA)); len(reply.Answer) != 1 {
				t.Errorf("the next asker is told %v", reply)
			}
			if n := server.asked.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// When too many wait, those give way who have waited longest, and whoever comes
// then is answered as ever. Groups share the bound, since it is one of memory.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config{Waiting: 3})
		run(t, c)
		synctest.Wait()
		silent := c.Group("azure", &slow{after: -1})
		var mu sync.Mutex
		told := make(map[string]error)
		for _, name := range []string{"a.example", "b.example", "a.example", "c.example", "d.example"} {
			_, pending, err := silent.Start(question(name, dns.TypeA), resolver.Asker{}, time.Time{}, func(_ resolver.Reply, err error) {
				mu.Lock()
				defer mu.Unlock()
				told[name] = err
			})
			if !pending || err != nil {
				t.Fatalf("%s: not pending: %v", name, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if len(told) != 2 || !errors.Is(told["a.example"], cache.ErrBusy) || !errors.Is(told["b.example"], cache.ErrBusy) {
			t.Errorf("told %v", told)
		}
		ask(t, c.Group("corp", &slow{after: time.Second, reply: address(t, "192.0.2.1")}), question("www.example.com", dns.TypeA))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !errors.Is(told["c.example"], context.DeadlineExceeded) || !errors.Is(told["d.example"], context.DeadlineExceeded) {
			t.Errorf("told %v at last", told)
		}
		time.Sleep(lastReply)
	})
}

// Run waits for what it has under way, and a Cache whose Run has ended, or ends
// meanwhile, still answers.
func TestRunWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config{})
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			if err := c.Run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
			close(ended)
		}()
		synctest.Wait()
		if err := c.Run(ctx); err == nil {
			t.Error("it ran twice")
		}
		reply := said(t, dns.RcodeSuccess, "www.example.com. 20 IN A 192.0.2.1", "")
		group := c.Group("azure", upstream(func(context.Context, resolver.Question) (resolver.Reply, error) {
			time.Sleep(time.Second)
			return reply, nil
		}))
		var all sync.WaitGroup
		all.Go(func() { ask(t, group, question("a.example", dns.TypeA)) })
		synctest.Wait()
		stop()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("Run did not wait for the question that is under way")
		default:
		}
		ask(t, group, question("b.example", dns.TypeA))
		all.Wait()
		<-ended
	})
}

// An answer to a question that was asked before a flush is not remembered after
// it, and those who ask after the flush do not wait for it.
func TestFlushDuringFlight(t *testing.T) {
	modes(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
		old := said(t, dns.RcodeSuccess, "www.example.com. 20 IN A 192.0.2.1", "")
		news := said(t, dns.RcodeSuccess, "www.example.com. 20 IN A 192.0.2.2", "")
		var asked atomic.Int64
		group := c.Group("azure", upstream(func(context.Context, resolver.Question) (resolver.Reply, error) {
			if asked.Add(1) == 1 {
				time.Sleep(time.Second)
				return old, nil
			}
			time.Sleep(100 * time.Millisecond)
			return news, nil
		}))
		q := question("www.example.com", dns.TypeA)
		var all sync.WaitGroup
		all.Go(func() { ask(t, group, q) })
		synctest.Wait()
		c.Flush(q.Name, false)
		for range 2 {
			if got := ask(t, group, q).Answer[0].(*dns.A).A.String(); got != "192.0.2.2" {
				t.Errorf("told %s after the flush", got)
			}
		}
		all.Wait()
		if got := ask(t, group, q).Answer[0].(*dns.A).A.String(); got != "192.0.2.2" || asked.Load() != 2 {
			t.Errorf("told %s at last, %d questions asked", got, asked.Load())
		}
	})
}

// What was not even asked says nothing about the name: it is asked again at once.
func TestOverloadIsNotRemembered(t *testing.T) {
	asked := 0
	next := upstream(func(context.Context, resolver.Question) (resolver.Reply, error) {
		asked++
		return resolver.Reply{}, fmt.Errorf("ask: %w", resolver.ErrOverload)
	})
	group := cache.New(cache.Config{}).Group("azure", next)
	for range 3 {
		if _, err := exchange(t.Context(), group, resolver.Question{Name: zones.MustName("www.contoso.com"), Type: dns.TypeA}); !errors.Is(err, resolver.ErrOverload) {
			t.Errorf("got %v", err)
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}
