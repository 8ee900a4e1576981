package observe_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/observe"
	"pldns/resolver/resolvertest"
	"pldns/zones"
	"pldns/zones/azure"
)

func table(t *testing.T, mapped ...string) *zones.Table {
	t.Helper()
	spec := zones.NetworkSpec{Name: "europe", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}}
	for _, name := range mapped {
		spec.Endpoints = append(spec.Endpoints, zones.Endpoint{
			Name: zones.MustName(name + ".blob.core.windows.net"), Private: zones.MustName(name + ".privatelink.blob.core.windows.net"),
			Zone: zones.MustName("privatelink.blob.core.windows.net"), Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.4")},
		})
	}
	built, err := zones.Build([]zones.NetworkSpec{spec, {Name: "quiet", Clients: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}})
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// exchange is a query for a name, and its answer.
func exchange(name string, a resolver.Answer) *listen.Exchange {
	return &listen.Exchange{Query: resolver.NewClientQuery(zones.MustName(name), dns.TypeA, zones.Client{}), Answer: a}
}

// outside is an answer from outside over the privatelink name of an account.
func outside(t *testing.T, account string) resolver.Answer {
	return resolver.Answer{Network: "europe", Source: resolver.FromCache, Records: resolvertest.RRs(t, fmt.Sprintf(
		"%[1]s.blob.core.windows.net. 60 IN CNAME %[1]s.privatelink.blob.core.windows.net.\n"+
			"%[1]s.privatelink.blob.core.windows.net. 60 IN A 203.0.113.5", account))}
}

// summary puts what was seen of a table into lines.
func summary(w *observe.Unmapped, table *zones.Table) []string {
	var lines []string
	for _, r := range w.Report(table) {
		for _, l := range r.Names {
			lines = append(lines, fmt.Sprint(r.Network, " lacks ", l.Private, " as ", l.Asked, " to ", l.Address, " ", l.Count, " times"))
		}
		network, _ := table.Network(r.Network)
		for name := range w.Unasked(network) {
			lines = append(lines, fmt.Sprint(r.Network, " never asks ", name))
		}
	}
	return lines
}

func TestReport(t *testing.T) {
	w := observe.NewUnmapped(observe.UnmappedConfig{})
	local := resolver.Answer{Network: "europe", Source: resolver.FromLocal, Endpoint: zones.MustName("used.blob.core.windows.net")}
	w.Exchanged(exchange("used.blob.core.windows.net", local))
	w.Exchanged(exchange("rare.blob.core.windows.net", outside(t, "rare")))
	w.Exchanged(exchange("fabrikam.blob.core.windows.net", outside(t, "fabrikam")))
	w.Exchanged(exchange("vanity.contoso.com", outside(t, "fabrikam")))
	for _, nothing := range []resolver.Answer{
		{},
		{Network: "europe", Source: resolver.FromUpstream, Records: resolvertest.RRs(t, "www.contoso.com. 60 IN A 203.0.113.80")},
		{Network: "europe", Source: resolver.FromUpstream, Rcode: dns.RcodeNameError},
		{Network: "europe", Source: resolver.FromNowhere, Rcode: dns.RcodeServerFailure},
	} {
		w.Exchanged(exchange("www.contoso.com", nothing))
	}
	want := []string{
		"europe lacks fabrikam.privatelink.blob.core.windows.net as vanity.contoso.com to 203.0.113.5 2 times",
		"europe lacks rare.privatelink.blob.core.windows.net as rare.blob.core.windows.net to 203.0.113.5 1 times",
		"europe never asks idle.blob.core.windows.net",
	}
	if diff := cmp.Diff(want, summary(w, table(t, "used", "idle"))); diff != "" {
		t.Error(diff)
	}
	// Mapped at last: it is not told any more, and has not been asked for yet.
	want = []string{
		"europe lacks rare.privatelink.blob.core.windows.net as rare.blob.core.windows.net to 203.0.113.5 1 times",
		"europe never asks fabrikam.blob.core.windows.net",
	}
	if diff := cmp.Diff(want, summary(w, table(t, "used", "fabrikam"))); diff != "" {
		t.Error(diff)
	}
}

// Whatever is asked, memory is bounded, and whatever comes once does not stay for that.
func TestNamesAreBounded(t *testing.T) {
	w := observe.NewUnmapped(observe.UnmappedConfig{Names: 10})
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 500 {
				w.Exchanged(exchange("x.contoso.com", outside(t, fmt.Sprintf("a%d-%d", worker, i))))
			}
		})
	}
	group.Wait()
	if got := len(w.Report(table(t))[0].Names); got != 10 {
		t.Errorf("%d names are remembered, want 10", got)
	}
}

// Names that come more often stand first, and of equal ones those that more clients asked
// for. What is no name of the catalogue does not count.
func TestOrderOfUnmappedNames(t *testing.T) {
	counted := 0
	catalogue := azure.New()
	w := observe.NewUnmapped(observe.UnmappedConfig{Observer: counting{&counted}, Private: func(name zones.Name) bool {
		_, known := catalogue.ZoneOf(name)
		return known
	}})
	ask := func(account string, client int) {
		e := exchange(account+".blob.core.windows.net", outside(t, account))
		e.Query.Client = zones.NewClient(netip.AddrFrom4([4]byte{10, 0, byte(client >> 8), byte(client)}), netip.AddrPort{})
		w.Exchanged(e)
	}
	for i := range 6 {
		ask("alone", 1)
		ask("shared", i%3)
		ask("crowd", i)
	}
	for i := range 300 {
		ask("often", i)
	}
	strange := outside(t, "strange")
	strange.Records = resolvertest.RRs(t, "a.privatelink.example.org. 60 IN A 203.0.113.5\nprivatelink.contoso.com. 60 IN A 203.0.113.5")
	w.Exchanged(exchange("a.privatelink.example.org", strange))
	var got []string
	for _, name := range w.Report(table(t))[0].Names {
		label, _, _ := strings.Cut(name.Private.String(), ".")
		got = append(got, fmt.Sprintf("%s %d", label, name.Count))
		switch want := map[string]int{"alone": 1, "shared": 3, "crowd": 6}[label]; {
		case label == "often":
			if name.Clients < 250 || name.Clients > 350 {
				t.Errorf("often: %d clients, want about 300", name.Clients)
			}
		case name.Clients != want:
			t.Errorf("%s: %d clients, want %d", label, name.Clients, want)
		}
	}
	if want := []string{"often 300", "crowd 6", "shared 6", "alone 6"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if counted != 318 {
		t.Errorf("%d answers are counted", counted)
	}
}

// counting is an Observer.
type counting struct{ names *int }

func (c counting) AnsweredOutside(string) { *c.names++ }

// A flood of a million different names leaves the real ones where they are, be they seen
// before it or only in it, and whoever sends it: here it comes from the address that the
// others ask from, too, and asks for each name twice.
func TestFloodOfNames(t *testing.T) {
	const flood, real, queries = 1_000_000, 20, 60
	w := observe.NewUnmapped(observe.UnmappedConfig{})
	answer := resolver.Answer{Network: "europe", Source: resolver.FromUpstream, Records: []dns.RR{
		&dns.A{Hdr: dns.RR_Header{Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(203, 0, 113, 5)},
	}}
	e := exchange("x.contoso.com", answer)
	ask := func(account string) {
		answer.Records[0].Header().Name = account + ".privatelink.blob.core.windows.net."
		w.Exchanged(e)
	}
	for i := range real / 2 {
		for range queries {
			ask(fmt.Sprintf("early%d", i))
		}
	}
	for i := range flood {
		name := fmt.Sprintf("random%d", i)
		ask(name)
		ask(name)
		if i%(flood/queries) == 0 {
			for n := range real / 2 {
				ask(fmt.Sprintf("late%d", n))
			}
		}
	}
	names := w.Report(table(t))[0].Names
	found := 0
	for _, name := range names[:real] {
		if !strings.HasPrefix(name.Private.String(), "random") {
			found++
		}
		if name.Count < queries/2 || name.Count > 2*queries {
			t.Errorf("%s came %d times, it is said", name.Private, name.Count)
		}
	}
	if found < real*95/100 {
		t.Errorf("%d of the first %d are real ones: %v", found, real, names[:real])
	}
	if len(names) > 1000 {
		t.Errorf("%d names are remembered", len(names))
	}
}

// BenchmarkUnmapped is what an unmapped name costs in a flood of others.
func BenchmarkUnmapped(b *testing.B) {
	w := observe.NewUnmapped(observe.UnmappedConfig{})
	names := make([]string, 1<<16)
	for i := range names {
		names[i] = fmt.Sprintf("random%d.privatelink.blob.core.windows.net.", i)
	}
	rr := &dns.A{Hdr: dns.RR_Header{Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(203, 0, 113, 5)}
	e := exchange("x.contoso.com", resolver.Answer{Network: "europe", Source: resolver.FromUpstream, Records: []dns.RR{rr}})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		rr.Hdr.Name = names[i%len(names)]
		w.Exchanged(e)
	}
}
