package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// said is what an outside says about a name: records in master-file form, of
// which SOA records go to the authority section, and a response code.
type said struct {
	rcode         int
	records       string
	authenticated bool
	err           error
}

// outside is an upstream group that says what it is told, and remembers what it
// was asked.
type outside struct {
	tb    testing.TB
	says  map[string]said
	mutex sync.Mutex
	asked []string
}

func (o *outside) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolvertest.Known(func(q resolver.Question) (resolver.Reply, error) { return o.Exchange(context.Background(), q) }).Start(q, from, deadline, done)
}

func (o *outside) Exchange(_ context.Context, q resolver.Question) (resolver.Reply, error) {
	o.mutex.Lock()
	o.asked = append(o.asked, q.Name.String())
	o.mutex.Unlock()
	s, known := o.says[q.Name.String()]
	if !known {
		s = said{rcode: dns.RcodeNameError, records: ". 60 IN SOA . . 1 1 1 1 60"}
	}
	reply := resolver.Reply{Rcode: s.rcode, Authenticated: s.authenticated, Source: resolver.FromUpstream, Server: "192.0.2.53"}
	for _, rr := range parse(o.tb, s.records) {
		if rr.Header().Rrtype == dns.TypeSOA {
			reply.Authority = append(reply.Authority, rr)
		} else {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	return reply, s.err
}

// parse reads records that are indented as the code around them.
func parse(tb testing.TB, text string) []dns.RR {
	return resolvertest.RRs(tb, strings.ReplaceAll(text, "\t", ""))
}

func endpoint(public, private, zone, address string) zones.Endpoint {
	e := zones.Endpoint{Name: zones.MustName(public), TTL: 10, Addresses: []netip.Addr{netip.MustParseAddr(address)}}
	if private != "" {
		e.Private, e.Zone = zones.MustName(private), zones.MustName(zone)
	}
	return e
}

func sql(name, address string) zones.Endpoint {
	return endpoint(name+".database.windows.net", name+".privatelink.database.windows.net", "privatelink.database.windows.net", address)
}

// estate is two networks that share an upstream, and one that goes its own way.
func estate(tb testing.TB, azure, corp resolver.Exchanger) *resolver.Snapshot {
	monitor := endpoint("global.in.ai.monitor.azure.com", "global.in.ai.privatelink.monitor.azure.com", "privatelink.monitor.azure.com", "10.0.3.9")
	table, err := zones.Build([]zones.NetworkSpec{
		{
			Name: "europe", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
			Endpoints: []zones.Endpoint{sql("momenta-eun", "10.0.1.4"), monitor, endpoint("api.contoso.com", "", "", "10.0.7.9")},
			Zones: []zones.ZoneSpec{{Name: zones.MustName("internal.contoso.com"), Records: parse(tb, `
				db.internal.contoso.com.   300 IN CNAME momenta-eun.database.windows.net.
				out.internal.contoso.com.  300 IN CNAME www.contoso.com.
				loop.internal.contoso.com. 300 IN CNAME pool.internal.contoso.com.
				pool.internal.contoso.com. 300 IN CNAME loop.internal.contoso.com.`)}},
		},
		{
			Name: "australia", Clients: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
			Endpoints: []zones.Endpoint{sql("momenta-eun", "10.1.1.5")},
		},
		{
			Name: "strict", Clients: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}, Missing: zones.NXDomain,
			Endpoints: []zones.Endpoint{sql("other", "10.2.1.5")},
			Zones:     []zones.ZoneSpec{{Name: zones.MustName("privatelink.blob.core.windows.net"), Missing: zones.Refuse}},
		},
		{Name: "closed", Clients: []netip.Prefix{netip.MustParsePrefix("10.3.0.0/16")}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	routes := []resolver.Route{
		{Suffix: zones.Root(), Group: "azure", To: azure},
		{Suffix: zones.MustName("corp.contoso.com"), Group: "corp", To: corp},
	}
	snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Routes: map[string][]resolver.Route{
		"europe": routes, "australia": routes, "strict": routes,
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return snapshot
}

// query is "client name type" as a value.
func query(client, name, qtype string) resolver.Query {
	return resolver.Query{
		Question: resolver.Question{Name: zones.MustName(name), Type: dns.StringToType[qtype]},
		Spelling: name + ".", Class: dns.ClassINET, RecursionDesired: true,
		Client: zones.NewClient(netip.MustParseAddr(client), netip.AddrPort{}),
	}
}

// lines puts an answer into lines: rcode and extended error, then the records.
func lines(a resolver.Answer) []string {
	head := dns.RcodeToString[a.Rcode]
	for _, e := range a.Errors {
		head += fmt.Sprintf(" EDE %d", e.Code)
	}
	if a.Authoritative {
		head += " AA"
	}
	if a.Authenticated {
		head += " AD"
	}
	got := []string{head}
	for _, rr := range append(append([]dns.RR{}, a.Records...), a.Authority...) {
		fields := strings.Fields(rr.String())
		got = append(got, strings.Join(append([]string{fields[0]}, fields[3:]...), " "))
	}
	return got
}

const (
	aliasEUN    = "momenta-eun.database.windows.net. CNAME momenta-eun.privatelink.database.windows.net."
	soaSQL      = "privatelink.database.windows.net. SOA privatelink.database.windows.net. nobody.invalid. 1 3600 1200 604800 10"
	privateName = "momenta-eun.privatelink.database.windows.net."
)

// TestResolve: what is asked decides the answer, who explains says the same, and what
// needs nobody from outside is decided without.
func TestResolve(t *testing.T) {
	says := map[string]said{
		"db.contoso.com": {records: `
			db.contoso.com. 3600 IN CNAME momenta-eun.database.windows.net.
			momenta-eun.database.windows.net. 300 IN CNAME momenta-eun.privatelink.database.windows.net.
			momenta-eun.privatelink.database.windows.net. 300 IN CNAME cr4.control.database.windows.net.
			cr4.control.database.windows.net. 300 IN A 203.0.113.20`, authenticated: true},
		"denied.contoso.com": {rcode: dns.RcodeNameError, records: `
			denied.contoso.com. 60 IN CNAME momenta-eun.privatelink.database.windows.net.
			privatelink.database.windows.net. 10 IN SOA a. b. 1 1 1 1 10`},
		"www.contoso.com": {records: "www.contoso.com. 300 IN A 203.0.113.80", authenticated: true},
		"fabrikam.database.windows.net": {records: `
			fabrikam.database.windows.net. 300 IN CNAME fabrikam.privatelink.database.windows.net.
			fabrikam.privatelink.database.windows.net. 300 IN CNAME cr9.control.database.windows.net.
			cr9.control.database.windows.net. 300 IN A 203.0.113.29`},
		"fabrikam.blob.core.windows.net": {records: `
			fabrikam.blob.core.windows.net. 300 IN CNAME fabrikam.privatelink.blob.core.windows.net.
			fabrikam.privatelink.blob.core.windows.net. 300 IN A 203.0.113.30`},
		"dc.services.visualstudio.com": {records: resolvertest.Chain("dc.services.visualstudio.com", 0, "203.0.113.1")},
		"monitor.example": {records: `
			monitor.example. 300 IN CNAME dc.applicationinsights.microsoft.com.
			dc.applicationinsights.microsoft.com. 300 IN CNAME dc.applicationinsights.azure.com.
			dc.applicationinsights.azure.com. 300 IN CNAME dc.in.ai.example.
			dc.in.ai.example. 300 IN CNAME global.in.ai.privatelink.monitor.azure.com.
			global.in.ai.privatelink.monitor.azure.com. 300 IN A 203.0.113.90`},
		"app.contoso.com": {records: `
			app.contoso.com. 60 IN CNAME srv.corp.contoso.com.
			srv.corp.contoso.com. 60 IN A 203.0.113.66`},
		"open.contoso.com":  {records: "open.contoso.com. 60 IN CNAME www.contoso.com."},
		"back.contoso.com":  {records: "back.contoso.com. 60 IN CNAME there.contoso.com."},
		"there.contoso.com": {records: "there.contoso.com. 60 IN CNAME back.contoso.com."},
		"long.contoso.com":  {records: resolvertest.Chain("long.contoso.com", 40, "203.0.113.7")},
		"lame.contoso.com":  {rcode: dns.RcodeServerFailure},
		"dead.contoso.com":  {err: errors.New("connection refused")},
		"slow.contoso.com":  {err: fmt.Errorf("asked twice: %w", context.DeadlineExceeded)},
		"busy.contoso.com":  {err: busy{}},
		"shed.contoso.com":  {err: fmt.Errorf("ask upstream azure: %w", resolver.ErrOverload)},
	}
	for _, test := range []struct {
		name, client, qname, qtype string
		want                       []string
		asked                      []string // names asked of azure
	}{
		{"owned: alias and address, nobody asked", "10.0.9.9", "momenta-eun.database.windows.net", "A",
			[]string{"NOERROR AA", aliasEUN, privateName + " A 10.0.1.4"}, nil},
		{"owned: another network, another address", "10.1.9.9", "momenta-eun.database.windows.net", "A",
			[]string{"NOERROR AA", aliasEUN, privateName + " A 10.1.1.5"}, nil},
		{"owned: AAAA is NODATA with SOA", "10.0.9.9", "momenta-eun.database.windows.net", "AAAA",
			[]string{"NOERROR AA", aliasEUN, soaSQL}, nil},
		{"owned: HTTPS is NODATA with SOA", "10.0.9.9", "momenta-eun.database.windows.net", "HTTPS",
			[]string{"NOERROR AA", aliasEUN, soaSQL}, nil},
		{"owned: ANY is minimal", "10.0.9.9", "momenta-eun.database.windows.net", "ANY",
			[]string{"NOERROR AA", aliasEUN}, nil},
		{"owned: outside the catalogue", "10.0.9.9", "api.contoso.com", "A",
			[]string{"NOERROR AA", "api.contoso.com. A 10.0.7.9"}, nil},
		{"vanity name ends in the asker's address", "10.0.9.9", "db.contoso.com", "A",
			[]string{"NOERROR", "db.contoso.com. CNAME momenta-eun.database.windows.net.", aliasEUN, privateName + " A 10.0.1.4"},
			[]string{"db.contoso.com"}},
		{"vanity name, the other network's address", "10.1.9.9", "db.contoso.com", "A",
			[]string{"NOERROR", "db.contoso.com. CNAME momenta-eun.database.windows.net.", aliasEUN, privateName + " A 10.1.1.5"},
			[]string{"db.contoso.com"}},
		{"vanity name, AAAA: the upstream's tail is dropped", "10.0.9.9", "db.contoso.com", "AAAA",
			[]string{"NOERROR", "db.contoso.com. CNAME momenta-eun.database.windows.net.", aliasEUN, soaSQL},
			[]string{"db.contoso.com"}},
		{"vanity name, CNAME asked for: no chain", "10.0.9.9", "open.contoso.com", "CNAME",
			[]string{"NOERROR", "open.contoso.com. CNAME www.contoso.com."}, []string{"open.contoso.com"}},
		{"an upstream's NXDOMAIN for an owned target counts for nothing", "10.0.9.9", "denied.contoso.com", "A",
			[]string{"NOERROR", "denied.contoso.com. CNAME " + privateName, privateName + " A 10.0.1.4"}, []string{"denied.contoso.com"}},
		{"operator's alias into an owned name", "10.0.9.9", "db.internal.contoso.com", "A",
			[]string{"NOERROR AA", "db.internal.contoso.com. CNAME momenta-eun.database.windows.net.", aliasEUN, privateName + " A 10.0.1.4"}, nil},
		{"operator's alias to the outside", "10.0.9.9", "out.internal.contoso.com", "A",
			[]string{"NOERROR", "out.internal.contoso.com. CNAME www.contoso.com.", "www.contoso.com. A 203.0.113.80"}, []string{"www.contoso.com"}},
		{"fifth hop of Azure Monitor", "10.0.9.9", "monitor.example", "A",
			[]string{"NOERROR", "monitor.example. CNAME dc.applicationinsights.microsoft.com.",
				"dc.applicationinsights.microsoft.com. CNAME dc.applicationinsights.azure.com.",
				"dc.applicationinsights.azure.com. CNAME dc.in.ai.example.",
				"dc.in.ai.example. CNAME global.in.ai.privatelink.monitor.azure.com.",
				"global.in.ai.privatelink.monitor.azure.com. A 10.0.3.9"}, []string{"monitor.example"}},
		{"another tenant's name falls through", "10.0.9.9", "fabrikam.database.windows.net", "A",
			[]string{"NOERROR", "fabrikam.database.windows.net. CNAME fabrikam.privatelink.database.windows.net.",
				"fabrikam.privatelink.database.windows.net. CNAME cr9.control.database.windows.net.",
				"cr9.control.database.windows.net. A 203.0.113.29"}, []string{"fabrikam.database.windows.net"}},
		{"another tenant's name under nxdomain", "10.2.9.9", "fabrikam.database.windows.net", "A",
			[]string{"NXDOMAIN EDE 0", "fabrikam.database.windows.net. CNAME fabrikam.privatelink.database.windows.net.", soaSQL},
			[]string{"fabrikam.database.windows.net"}},
		{"another tenant's name under refuse", "10.2.9.9", "fabrikam.blob.core.windows.net", "A",
			[]string{"REFUSED EDE 18"}, []string{"fabrikam.blob.core.windows.net"}},
		{"a target routed to another group is asked there", "10.0.9.9", "app.contoso.com", "A",
			[]string{"NOERROR", "app.contoso.com. CNAME srv.corp.contoso.com.", "srv.corp.contoso.com. A 10.20.0.80"}, []string{"app.contoso.com"}},
		{"longest suffix routes", "10.0.9.9", "srv.corp.contoso.com", "A",
			[]string{"NOERROR", "srv.corp.contoso.com. A 10.20.0.80"}, nil},
		{"a chain left open is asked on", "10.0.9.9", "open.contoso.com", "A",
			[]string{"NOERROR", "open.contoso.com. CNAME www.contoso.com.", "www.contoso.com. A 203.0.113.80"}, []string{"open.contoso.com", "www.contoso.com"}},
		{"loop outside", "10.0.9.9", "back.contoso.com", "A", []string{"SERVFAIL EDE 0"}, []string{"back.contoso.com", "there.contoso.com"}},
		{"loop inside", "10.0.9.9", "loop.internal.contoso.com", "A", []string{"SERVFAIL EDE 0"}, nil},
		{"too many links", "10.0.9.9", "long.contoso.com", "A", []string{"SERVFAIL EDE 0"}, []string{"long.contoso.com"}},
		{"upstream says SERVFAIL", "10.0.9.9", "lame.contoso.com", "A", []string{"SERVFAIL EDE 0"}, []string{"lame.contoso.com"}},
		{"upstream is dead", "10.0.9.9", "dead.contoso.com", "A", []string{"SERVFAIL EDE 23"}, []string{"dead.contoso.com"}},
		{"upstream is silent", "10.0.9.9", "slow.contoso.com", "A", []string{"SERVFAIL EDE 22"}, []string{"slow.contoso.com"}},
		{"upstream's error has a code", "10.0.9.9", "busy.contoso.com", "A", []string{"SERVFAIL EDE 14"}, []string{"busy.contoso.com"}},
		{"upstream has too much under way", "10.0.9.9", "shed.contoso.com", "A", []string{"SERVFAIL EDE 0"}, []string{"shed.contoso.com"}},
		{"no network", "203.0.113.9", "momenta-eun.database.windows.net", "A", []string{"REFUSED EDE 18"}, nil},
		{"no network, forwarded name", "203.0.113.9", "www.contoso.com", "A", []string{"REFUSED EDE 18"}, nil},
		{"no route", "10.3.9.9", "www.contoso.com", "A", []string{"REFUSED EDE 21"}, nil},
		{"the outside's AD", "10.0.9.9", "www.contoso.com", "A", []string{"NOERROR AD", "www.contoso.com. A 203.0.113.80"}, []string{"www.contoso.com"}},
		{"transfer", "10.0.9.9", "privatelink.database.windows.net", "AXFR", []string{"REFUSED EDE 21"}, nil},
		{"a type between neighbours", "10.0.9.9", "www.contoso.com", "TKEY", []string{"NOTIMP EDE 30"}, nil},
		{"reverse of an unmapped private address stays", "10.0.9.9", "9.9.9.10.in-addr.arpa", "PTR",
			[]string{"NXDOMAIN AA", "10.in-addr.arpa. SOA 10.in-addr.arpa. nobody.invalid. 1 3600 1200 604800 10"}, nil},
		{"PTR in its own network", "10.0.9.9", "4.1.0.10.in-addr.arpa", "PTR",
			[]string{"NOERROR AA", "4.1.0.10.in-addr.arpa. PTR momenta-eun.database.windows.net."}, nil},
		{"PTR in another network", "10.1.9.9", "4.1.0.10.in-addr.arpa", "PTR",
			[]string{"NXDOMAIN AA", "10.in-addr.arpa. SOA 10.in-addr.arpa. nobody.invalid. 1 3600 1200 604800 10"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			azure := &outside{tb: t, says: says}
			corp := &outside{tb: t, says: map[string]said{"srv.corp.contoso.com": {records: "srv.corp.contoso.com. 60 IN A 10.20.0.80"}}}
			snapshot := estate(t, azure, corp)
			q := query(test.client, test.qname, test.qtype)
			answer := resolver.New(snapshot).Resolve(t.Context(), q)
			if diff := cmp.Diff(test.want, lines(answer)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.asked, azure.asked); diff != "" {
				t.Errorf("asked of azure (-want +got):\n%s", diff)
			}
			explained, trace := snapshot.Explain(t.Context(), q)
			if diff := cmp.Diff(lines(answer), lines(explained)); diff != "" {
				t.Errorf("explain answers otherwise:\n%s", diff)
			}
			if len(trace.Steps) == 0 || trace.Steps[0].Room != "network" {
				t.Errorf("the trace does not begin with the network: %+v", trace.Steps)
			}
		})
	}
}

type busy struct{}

func (busy) Error() string    { return "too many queries" }
func (busy) InfoCode() uint16 { return dns.ExtendedErrorCodeNotReady }

func TestWithoutRecursionDesired(t *testing.T) {
	azure := &outside{tb: t}
	snapshot := estate(t, azure, azure)
	for name, want := range map[string][]string{
		"momenta-eun.database.windows.net": {"NOERROR AA", aliasEUN, privateName + " A 10.0.1.4"},
		"out.internal.contoso.com":         {"NOERROR AA", "out.internal.contoso.com. CNAME www.contoso.com."},
		"www.contoso.com":                  {"REFUSED EDE 20"},
	} {
		q := query("10.0.9.9", name, "A")
		q.RecursionDesired = false
		if diff := cmp.Diff(want, lines(resolver.New(snapshot).Resolve(t.Context(), q))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if len(azure.asked) > 0 {
		t.Errorf("asked %v", azure.asked)
	}
}

// Classes other than IN never reach data of class IN (CVE-2026-5946).
func TestOtherClasses(t *testing.T) {
	azure := &outside{tb: t}
	for _, class := range []uint16{dns.ClassCHAOS, dns.ClassHESIOD, dns.ClassANY, dns.ClassNONE, 0, 65280} {
		q := query("10.0.9.9", "momenta-eun.database.windows.net", "A")
		q.Class = class
		answer := resolver.New(estate(t, azure, azure)).Resolve(t.Context(), q)
		if answer.Rcode != dns.RcodeRefused || len(answer.Records) > 0 || len(azure.asked) > 0 {
			t.Errorf("class %d: %v", class, lines(answer))
		}
	}
}

// silent is an upstream group that says nothing until it is given up on.
type silent struct{}

func (x silent) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolvertest.Outside(x.Exchange).Start(q, from, deadline, done)
}

func (silent) Exchange(ctx context.Context, _ resolver.Question) (resolver.Reply, error) {
	<-ctx.Done()
	return resolver.Reply{}, ctx.Err()
}

// Rule 8: one deadline for the whole of a query, whatever the outside does.
func TestDeadline(t *testing.T) {
	snapshot := estate(t, silent{}, silent{})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		answer := resolver.New(snapshot).Resolve(t.Context(), query("10.0.9.9", "www.contoso.com", "A"))
		if took := time.Since(start); took != resolver.DefaultDeadline {
			t.Errorf("answered after %v, want %v", took, resolver.DefaultDeadline)
		}
		if diff := cmp.Diff([]string{"SERVFAIL EDE 22"}, lines(answer)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSwap(t *testing.T) {
	azure := &outside{tb: t, says: map[string]said{"www.contoso.com": {records: "www.contoso.com. 300 IN A 203.0.113.80"}}}
	first := estate(t, azure, azure)
	r := resolver.New(first)
	table, err := zones.Build([]zones.NetworkSpec{{Name: "all", Clients: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := resolver.NewSnapshot(resolver.Options{Table: table})
	if err != nil {
		t.Fatal(err)
	}
	if r.Swap(second) != first || r.Snapshot() != second {
		t.Error("the snapshots were not swapped")
	}
	if answer := r.Resolve(t.Context(), query("10.0.9.9", "momenta-eun.database.windows.net", "A")); answer.Network != "all" || answer.Rcode != dns.RcodeRefused {
		t.Errorf("after the swap: %s %v", answer.Network, lines(answer))
	}
}

func TestNewSnapshotRefuses(t *testing.T) {
	table := estate(t, silent{}, silent{}).Table()
	route := resolver.Route{Suffix: zones.Root(), Group: "azure", To: silent{}}
	for name, routes := range map[string]map[string][]resolver.Route{
		"two routes for .": {"europe": {route, route}},
		"does not exist":   {"nowhere": {route}},
	} {
		if _, err := resolver.NewSnapshot(resolver.Options{Table: table, Routes: routes}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

// What an answer says about itself is what logs and metrics are made of.
func TestAnswerSaysWhy(t *testing.T) {
	azure := &outside{tb: t, says: map[string]said{
		"db.contoso.com": {records: "db.contoso.com. 60 IN CNAME momenta-eun.database.windows.net."},
	}}
	r := resolver.New(estate(t, azure, azure))
	for _, test := range []struct{ client, name, want string }{
		{"10.0.9.9", "db.contoso.com", "europe local privatelink.database.windows.net 2"},
		{"10.0.9.9", "www.contoso.com", "europe upstream  0"},
		{"203.0.113.9", "www.contoso.com", " none  0"},
	} {
		a := r.Resolve(t.Context(), query(test.client, test.name, "A"))
		if got := fmt.Sprintf("%s %s %s %d", a.Network, a.Source, a.Zone, a.Hops); got != test.want {
			t.Errorf("%s for %s: got %q, want %q", test.name, test.client, got, test.want)
		}
	}
}

func BenchmarkResolveOwned(b *testing.B) {
	r := resolver.New(estate(b, silent{}, silent{}))
	q := query("10.0.9.9", "momenta-eun.database.windows.net", "A")
	b.ReportAllocs()
	for b.Loop() {
		r.Resolve(b.Context(), q)
	}
}
