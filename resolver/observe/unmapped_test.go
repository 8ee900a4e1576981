package observe_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/observe"
	"pldns/resolver/resolvertest"
	"pldns/zones"
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
	w := observe.NewUnmapped(0, nil)
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

// Whatever is asked, memory is bounded: the names that were asked last stay.
func TestNamesAreBounded(t *testing.T) {
	w := observe.NewUnmapped(10, nil)
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
