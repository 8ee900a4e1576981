package forward_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/zones"
)

// network is how the servers of a simulation answer.
type network = func(ctx context.Context, server string, q resolver.Question) (*dns.Msg, error)

// leadsBack is a server that forwards the names of some suffixes back to here, where
// such a question joins the one that waits for it; and does with others what else does.
func leadsBack(loops *forward.Loops, suffixes *atomic.Pointer[[]string], other network) network {
	return func(ctx context.Context, server string, q resolver.Question) (*dns.Msg, error) {
		for _, suffix := range *suffixes.Load() {
			if !q.Name.Within(zones.MustName(suffix)) {
				continue
			}
			if !loops.Caught(q.Name) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			msg := new(dns.Msg).SetQuestion(q.Name.FQDN(), q.Type)
			msg.Response, msg.Rcode = true, dns.RcodeRefused
			return msg, nil
		}
		return other(ctx, server, q)
	}
}

// A loop of one suffix is found by the first name that gets no answer, named as wide
// as it is, and cut at once; all other names go on, and the loop is forgotten when it
// is over.
func TestALoopOfOneSuffix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loops := forward.NewLoops()
		var log bytes.Buffer
		seen := new(events)
		sim, p := simulate(t, 1, forward.Config{Loops: loops, Observer: seen, Log: slog.New(slog.NewTextHandler(&log, nil))})
		var suffixes atomic.Pointer[[]string]
		suffixes.Store(&[]string{"blob.core.windows.net", "corp.contoso.com", "only.this.example"})
		forward.Simulate(p, leadsBack(loops, &suffixes, sim.talk))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		defer func() { cancel(); <-done }()
		time.Sleep(time.Second)

		for _, name := range []string{"unmapped.blob.core.windows.net", "a.b.corp.contoso.com", "only.this.example"} {
			began := time.Now()
			_, err := exchange(p, question(name, dns.TypeA))
			if took := time.Since(began); err == nil || took > 2*time.Second {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		}
		want := []string{"blob.core.windows.net", "corp.contoso.com", "only.this.example"}
		if got := p.State()[0].LoopSuffixes; !slices.Equal(got, want) || p.State()[0].Looping {
			t.Fatalf("the loops are %q, want %q", got, want)
		}
		text := log.String()
		if strings.Count(text, "leads the names of a suffix back") != 3 || !strings.Contains(text, "suffix=blob.core.windows.net") {
			t.Errorf("the log says %s", text)
		}
		began := time.Now()
		_, err := exchange(p, question("another.blob.core.windows.net", dns.TypeA))
		var failed *forward.Error
		if !errors.As(err, &failed) || failed.Failures[0].Reason != forward.Looping || time.Since(began) > time.Millisecond ||
			!strings.Contains(err.Error(), "a leads the names of blob.core.windows.net back to this program") {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if n := seen.count("failed a loop"); n < 4 {
			t.Errorf("loops were counted %d times", n)
		}
		for _, name := range []string{"www.contoso.com", "core.windows.net", "x.table.core.windows.net", "other.this.example"} {
			began := time.Now()
			if _, err := exchange(p, question(name, dns.TypeA)); err != nil || time.Since(began) > 100*time.Millisecond {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		}

		suffixes.Store(&[]string{"corp.contoso.com"})
		time.Sleep(10 * time.Second)
		if got := p.State()[0].LoopSuffixes; !slices.Equal(got, []string{"corp.contoso.com"}) {
			t.Errorf("ten seconds after two loops ended, there are %q", got)
		}
		if _, err := exchange(p, question("unmapped.blob.core.windows.net", dns.TypeA)); err != nil {
			t.Errorf("after the end of the loop: %v", err)
		}
	})
}

// A name that gets no answer, and clients that ask for it at the same time, make no
// loop, however often; and a flood of such names makes few probes.
func TestSilentNamesAreNoLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loops := forward.NewLoops()
		sim, p := simulate(t, 1, forward.Config{Loops: loops})
		var probes atomic.Int64
		forward.Simulate(p, func(ctx context.Context, server string, q resolver.Question) (*dns.Msg, error) {
			if strings.HasPrefix(q.Name.FQDN(), "pldns-loop-") {
				probes.Add(1)
			}
			if q.Name.Within(zones.MustName("silent.example")) {
				loops.Caught(zones.MustName("www.silent.example")) // as by clients that ask again
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return sim.talk(ctx, server, q)
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		defer func() { cancel(); <-done }()
		for i := range 200 {
			go func() { _, _ = exchange(p, question(strings.Repeat("x", 1+i%60)+".silent.example", dns.TypeA)) }()
		}
		time.Sleep(20 * time.Second)
		if got := p.State()[0]; len(got.LoopSuffixes) != 0 || got.Looping {
			t.Errorf("loops: %q", got.LoopSuffixes)
		}
		if n := probes.Load(); n != 1 {
			t.Errorf("%d probes were sent", n)
		}
	})
}

// With another server that does not lead a suffix back, its names are asked there.
func TestALoopOfOneSuffixAndAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loops := forward.NewLoops()
		sim, p := simulate(t, 2, forward.Config{Loops: loops})
		var suffixes atomic.Pointer[[]string]
		suffixes.Store(&[]string{"blob.core.windows.net"})
		back := leadsBack(loops, &suffixes, sim.talk)
		forward.Simulate(p, func(ctx context.Context, server string, q resolver.Question) (*dns.Msg, error) {
			if server == "a" {
				return back(ctx, server, q)
			}
			return sim.talk(ctx, server, q)
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		defer func() { cancel(); <-done }()
		time.Sleep(time.Second)
		for range 10 {
			if reply := mustExchange(t, p, question("unmapped.blob.core.windows.net", dns.TypeA)); reply.Server != "b" {
				t.Errorf("answered by %s", reply.Server)
			}
			time.Sleep(time.Second)
		}
		if got := p.State()[0].LoopSuffixes; !slices.Equal(got, []string{"blob.core.windows.net"}) {
			t.Errorf("the loops of a are %q", got)
		}
		if reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA)); reply.Server != "a" {
			t.Errorf("another name was answered by %s", reply.Server)
		}
	})
}
