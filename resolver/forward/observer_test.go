package forward_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

// events is an Observer that remembers what it is told.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

func (e *events) UpstreamSent(_, server string, why forward.Why) { e.add("sent %s %s", server, why) }
func (e *events) UpstreamAnswered(_, server string, rcode int, took time.Duration) {
	e.add("answered %s %s", server, dns.RcodeToString[rcode])
}
func (e *events) UpstreamFailed(_, server string, reason forward.Reason) {
	e.add("failed %s %s", server, reason)
}
func (e *events) UpstreamHealth(_, server string, healthy bool) {
	e.add("health %s %v", server, healthy)
}
func (e *events) UpstreamSuspicious(_, server string, what forward.Suspicion) {
	e.add("suspicious %s %s", server, what)
}
func (e *events) UpstreamShed(group string)     { e.add("shed %s", group) }
func (e *events) UpstreamPanicked(group string) { e.add("panicked %s", group) }

// all are the events so far, in order.
func (e *events) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

// count is how many events begin with a word.
func (e *events) count(word string) int {
	n := 0
	for _, event := range e.all() {
		if strings.HasPrefix(event, word) {
			n++
		}
	}
	return n
}

func TestTheObserverIsTold(t *testing.T) {
	first := resolvertest.StartUpstream(t, resolvertest.AzureData)
	first.Always(resolvertest.Rcode(dns.RcodeRefused))
	second := resolvertest.StartUpstream(t, resolvertest.AzureData)
	second.Always(resolvertest.First(1, resolvertest.Broken, resolvertest.Answer))
	seen := new(events)
	p := forward.Patient(newPool(t, forward.Config{Name: "azure", Timeout: ample, Observer: seen, Servers: []forward.Server{
		{Addr: first.Addr, Text: "first"}, {Addr: second.Addr, Text: "second"},
	}}))
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	want := []string{
		"health first true", "health second true",
		"sent first first", "answered first REFUSED",
		"sent second retry", "failed second malformed",
		"sent second retry", "answered second NOERROR",
	}
	if got := seen.all(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if questions, queries := p.UnderWay(); questions != 0 || queries["first"] != 0 || queries["second"] != 0 || len(queries) != 2 {
		t.Errorf("%d questions and %v queries are said to be under way", questions, queries)
	}
	states := p.State()
	if len(states) != 2 || states[0].Server != "first" || !states[0].Healthy || states[0].InFlight != 0 || states[1].RTT <= 0 {
		t.Errorf("got states %+v", states)
	}
}

// What might be an attack is counted; private addresses are passed on all the
// same.
func TestSuspicionsAreCounted(t *testing.T) {
	tests := []struct {
		name  string
		does  resolvertest.Behaviour
		asked string
		want  string
	}{
		{"a private address", resolvertest.Answer, "linked.blob.core.windows.net", "private-address"},
		{"a public address", resolvertest.Answer, "www.contoso.com", ""},
		{"the wrong letter case", resolvertest.LowerCase, "www.contoso.com", "letter-case"},
		{"near misses", resolvertest.Over(resolvertest.UDP, func(a *resolvertest.Asked) {
			for range 100 {
				resolvertest.WrongID(a)
			}
		}), "www.contoso.com", "near-miss"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := resolvertest.StartUpstream(t, resolvertest.AzureData)
			u.Always(tt.does)
			seen := new(events)
			p := forward.Patient(newPool(t, forward.Config{
				Name: "azure", Timeout: ample, Observer: seen, Servers: []forward.Server{{Addr: u.Addr, Text: "dns"}},
			}))
			if reply := mustExchange(t, p, question(tt.asked, dns.TypeA)); len(reply.Answer) == 0 {
				t.Error("no answer")
			}
			want := 1
			if tt.want == "" {
				want = 0
			}
			if got := seen.count("suspicious dns " + tt.want); got != want {
				t.Errorf("got %q", seen.all())
			}
		})
	}
}
