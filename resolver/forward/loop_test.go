package forward_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// A server that leads back to this program is found when Run begins, named, not
// asked any more, and asked again when it does not lead back.
func TestAForwardingLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loops := forward.NewLoops()
		var log bytes.Buffer // written to while the test sleeps
		seen := new(events)
		sim, p := simulate(t, 2, forward.Config{Loops: loops, Observer: seen, Log: slog.New(slog.NewTextHandler(&log, nil))})
		var leadsBack atomic.Bool
		leadsBack.Store(true)
		forward.Simulate(p, func(ctx context.Context, server string, q resolver.Question) (*dns.Msg, error) {
			if server == "a" && leadsBack.Load() {
				loops.Caught(q.Name) // as our own listener would
			}
			return sim.talk(ctx, server, q)
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		defer func() { cancel(); <-done }()

		time.Sleep(time.Second)
		states := p.State()
		if !states[0].Looping || states[1].Looping {
			t.Fatalf("one second after the start the states are %+v", states)
		}
		if reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA)); reply.Server != "b" {
			t.Errorf("asked server %s", reply.Server)
		}
		if text := log.String(); !strings.Contains(text, "leads back to this program") || !strings.Contains(text, "server=a") {
			t.Errorf("the log says %q", text)
		}
		if seen.count("failed a loop") != 1 {
			t.Errorf("the loop was reported %d times", seen.count("failed a loop"))
		}

		// The other end is a program like this one, and stopped asking us too.
		leadsBack.Store(false)
		sim.set("a", simulated{rtt: 20 * time.Millisecond, refuses: true})
		time.Sleep(5 * time.Second)
		if !p.State()[0].Looping {
			t.Error("a loop is taken to be over though there is no answer")
		}
		sim.set("a", simulated{rtt: 20 * time.Millisecond})
		time.Sleep(5 * time.Second)
		if reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA)); reply.Server != "a" {
			t.Errorf("five seconds after the end of the loop server %s is asked", reply.Server)
		}

		leadsBack.Store(true)
		time.Sleep(time.Minute)
		if !p.State()[0].Looping {
			t.Error("a loop that begins while we run is not found")
		}
	})
}

// When all servers lead back, questions fail at once and say so.
func TestNothingButLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loops := forward.NewLoops()
		sim, p := simulate(t, 1, forward.Config{Loops: loops})
		forward.Simulate(p, func(ctx context.Context, server string, q resolver.Question) (*dns.Msg, error) {
			loops.Caught(q.Name)
			return sim.talk(ctx, server, q)
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		defer func() { cancel(); <-done }()
		time.Sleep(time.Second)
		sim.counts()
		_, err := exchange(p, question("www.contoso.com", dns.TypeA))
		var failed *forward.Error
		if !errors.As(err, &failed) || err.Error() != "ask upstream azure: a leads back to this program: name another server" {
			t.Errorf("got %v", err)
		}
		if got := sim.counts(); len(got) != 0 {
			t.Errorf("the question went round: %v", got)
		}
	})
}

// Only the names of the process itself are caught.
func TestOnlyOurOwnNamesAreCaught(t *testing.T) {
	loops, others := forward.NewLoops(), forward.NewLoops()
	asked := make(chan zones.Name, 1)
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	u.Always(func(a *resolvertest.Asked) {
		select {
		case asked <- zones.NameOf(a.Msg.Question[0].Name):
		default:
		}
		resolvertest.Answer(a)
	})
	running(t, forward.Config{Name: "azure", Timeout: ample, Loops: loops, Servers: []forward.Server{plain(u.Addr)}})
	probe := <-asked
	if !loops.Caught(probe) || others.Caught(probe) {
		t.Errorf("%s: caught by its own process %v, by another %v", probe, loops.Caught(probe), others.Caught(probe))
	}
	for _, name := range []string{"www.contoso.com", "loop.pldns.internal", "x.loop.pldns.internal", "."} {
		if loops.Caught(zones.MustName(name)) {
			t.Errorf("%s was caught", name)
		}
	}
}
