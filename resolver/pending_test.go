package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// ask is one question that an outside was asked, and how to answer it.
type ask struct {
	question resolver.Question
	from     resolver.Asker
	deadline time.Time
	done     func(resolver.Reply, error)
}

// slow is an outside that is told what to say, and when.
type slow chan ask

func (s slow) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	s <- ask{q, from, deadline, done}
	return resolver.Reply{}, true, nil
}

// says is the reply with these records.
func says(tb testing.TB, records string) resolver.Reply {
	return resolver.Reply{Answer: resolvertest.RRs(tb, records), Source: resolver.FromUpstream}
}

// begin begins a query of a client of europe, and counts how often it is woken.
func begin(tb testing.TB, to resolver.Exchanger, name string) (answer resolver.Answer, pending resolver.Pending, woken *int) {
	tb.Helper()
	snapshot := estate(tb, to, to)
	q := query("10.0.9.9", name, "A")
	network, _ := snapshot.Table().NetworkOf(q.Client)
	woken = new(int)
	answer, pending = snapshot.Begin(q, network, func() { *woken++ })
	return answer, pending, woken
}

// A query waits for each thing it needs of the outside, is woken once for each, and is
// decided once: the network is asked about every name one time.
func TestBegin(t *testing.T) {
	outside := make(slow, 1)
	answer, pending, woken := begin(t, outside, "out.internal.contoso.com") // an alias of www.contoso.com, here
	first := <-outside
	if pending == nil || *woken != 0 || first.question.Name != zones.MustName("www.contoso.com") ||
		first.from != (resolver.Asker{Network: "europe", Client: netip.MustParsePrefix("10.0.9.9/32")}) {
		t.Fatalf("got %v, %+v", lines(answer), first)
	}
	if left := time.Until(first.deadline); left > resolver.DefaultDeadline {
		t.Errorf("the outside has %s", left)
	}
	first.done(says(t, "www.contoso.com. 60 IN CNAME srv.corp.contoso.com."), nil)
	if *woken != 1 {
		t.Fatalf("woken %d times", *woken)
	}
	answer, pending = pending.Resume()
	second := <-outside
	if pending == nil || second.question.Name != zones.MustName("srv.corp.contoso.com") || !second.deadline.Equal(first.deadline) {
		t.Fatalf("got %v, %+v", lines(answer), second)
	}
	first.done(says(t, "srv.corp.contoso.com. 60 IN A 192.0.2.66"), nil) // a second time, out of turn
	if *woken != 1 {
		t.Fatal("what is said twice counts twice")
	}
	second.done(says(t, "srv.corp.contoso.com. 60 IN CNAME momenta-eun.database.windows.net."), nil)
	if answer, pending = pending.Resume(); pending != nil || *woken != 2 {
		t.Fatalf("pending after all was said, woken %d times", *woken)
	}
	want := []string{"NOERROR", "out.internal.contoso.com. CNAME www.contoso.com.", "www.contoso.com. CNAME srv.corp.contoso.com.",
		"srv.corp.contoso.com. CNAME momenta-eun.database.windows.net.", aliasEUN, privateName + " A 10.0.1.4"}
	if diff := cmp.Diff(want, lines(answer)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if answer.Network != "europe" || answer.Source != resolver.FromLocal || answer.Hops != 4 {
		t.Errorf("got %+v", answer)
	}
}

// Nothing is pending where nothing has to be waited for, not even if the outside is asked.
func TestBeginAtOnce(t *testing.T) {
	known := saying(t, map[string]said{"www.contoso.com A": {records: "www.contoso.com. 60 IN A 192.0.2.1"}}, nil)
	for _, name := range []string{"momenta-eun.database.windows.net", "www.contoso.com", "none.contoso.com"} {
		answer, pending, woken := begin(t, known, name)
		if pending != nil || *woken != 0 || answer.Network != "europe" {
			t.Errorf("%s: %v, pending %v", name, lines(answer), pending)
		}
	}
}

// Who gives up says why, and is not woken by what the outside says later.
func TestGiveUp(t *testing.T) {
	for reason, want := range map[error]string{
		context.DeadlineExceeded: "[SERVFAIL EDE 22]", errors.New("no more"): "[SERVFAIL EDE 23]", busy{}: "[SERVFAIL EDE 14]",
	} {
		outside := make(slow, 1)
		_, pending, woken := begin(t, outside, "www.contoso.com")
		answer := pending.GiveUp(reason)
		if got := fmt.Sprint(lines(answer)); got != want || answer.Group != "azure" || answer.Network != "europe" || answer.Reuse != resolver.Once {
			t.Errorf("%v: got %s, %+v", reason, got, answer)
		}
		late := <-outside
		if late.done(says(t, "www.contoso.com. 60 IN A 192.0.2.1"), nil); *woken != 0 {
			t.Error("a query that was given up was woken")
		}
	}
}

// TestSpread: what came at one moment is given up at many, and none after its deadline.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outside := make(slow, 1)
		steps := make(map[time.Duration]int)
		for range 2000 {
			begin(t, outside, "www.contoso.com")
			left := time.Until((<-outside).deadline)
			if early := resolver.DefaultDeadline - left; early < 0 || early > resolver.DefaultDeadline/8 {
				t.Fatalf("given up %v before the deadline", early)
			}
			steps[left/(10*time.Millisecond)]++
		}
		for step, n := range steps {
			if n > 200 {
				t.Errorf("%d of 2,000 are given up at step %d", n, step)
			}
		}
	})
}

// Resolve keeps the deadline even if the outside never says anything.
func TestDeadlineIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outside := make(slow, 10)
		snapshot := estate(t, outside, outside)
		began := time.Now()
		answer := resolver.New(snapshot).Resolve(t.Context(), query("10.0.9.9", "www.contoso.com", "A"))
		if took := time.Since(began); took != resolver.DefaultDeadline || answer.Rcode != dns.RcodeServerFailure {
			t.Errorf("after %s: %v", took, lines(answer))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_, trace := snapshot.Explain(ctx, query("10.0.9.9", "www.contoso.com", "A"))
		if took := time.Since(began); took != time.Second || len(trace.Steps) < 3 {
			t.Errorf("explained after %s: %v", took, trace.Steps)
		}
	})
}
