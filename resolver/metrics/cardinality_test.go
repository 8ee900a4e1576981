package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/forward"
	"pldns/resolver/listen"
	"pldns/resolver/metrics"
	"pldns/resolver/observe"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// moody is an outside that answers with every response code there is and with some
// that are not, and counts as an upstream server does.
type moody struct {
	told  *metrics.Recorder
	asked int
	mood  *rand.Rand
}

func (m *moody) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolvertest.Known(func(q resolver.Question) (resolver.Reply, error) { return m.Exchange(context.Background(), q) }).Start(q, from, deadline, done)
}

func (m *moody) Exchange(_ context.Context, q resolver.Question) (resolver.Reply, error) {
	m.asked++
	m.told.UpstreamSent("azure", "168.63.129.16", forward.First)
	if m.mood.IntN(50) == 0 {
		m.told.UpstreamFailed("azure", "168.63.129.16", forward.TimedOut)
		return resolver.Reply{}, errors.New("no answer")
	}
	reply := resolver.Reply{Source: resolver.FromUpstream, Rcode: m.mood.IntN(30), Server: "168.63.129.16"}
	switch {
	case reply.Rcode > 24:
		reply.Rcode += 3000 + m.asked%1000
	case m.asked%3 > 0:
		reply.Rcode = dns.RcodeSuccess
		reply.Answer = []dns.RR{&dns.CNAME{
			Hdr:    dns.RR_Header{Name: q.Name.FQDN(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60},
			Target: fmt.Sprintf("n%d.privatelink.blob.core.windows.net.", m.asked),
		}, &dns.A{
			Hdr: dns.RR_Header{Name: fmt.Sprintf("n%d.privatelink.blob.core.windows.net.", m.asked), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
			A:   []byte{203, 0, 113, 1},
		}}
	}
	m.told.UpstreamAnswered("azure", "168.63.129.16", reply.Rcode, time.Millisecond)
	return reply, nil
}

// served decides queries as the program does, and counts them as its listeners do.
type served struct {
	*resolver.Resolver
	told  *metrics.Recorder
	watch *observe.Unmapped
}

func newServed(t *testing.T) served {
	t.Helper()
	s := served{told: metrics.New(metrics.Build{})}
	s.watch = observe.NewUnmapped(observe.UnmappedConfig{Observer: s.told})
	table := tableOf(t, "europe", "australia")
	remembered := cache.New(cache.Config{Entries: 1000, Observer: s.told})
	routes := make(map[string][]resolver.Route)
	for _, network := range table.Networks() {
		routes[network.Name()] = []resolver.Route{{Suffix: zones.Root(), Group: "azure", To: remembered.Group("azure", &moody{told: s.told, mood: rand.New(rand.NewPCG(1, uint64(network.Number())))})}}
	}
	snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Routes: routes})
	if err != nil {
		t.Fatal(err)
	}
	s.Resolver = resolver.New(snapshot)
	s.told.Loaded(metrics.Serving{Table: table, Upstreams: []metrics.Upstream{{Group: "azure", Server: "168.63.129.16"}}})
	return s
}

// tableOf is a table of networks with 10.N.0.0/16 each, N counting from 0.
func tableOf(t *testing.T, names ...string) *zones.Table {
	t.Helper()
	var specs []zones.NetworkSpec
	for i, name := range names {
		specs = append(specs, zones.NetworkSpec{
			Name: name, Clients: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16)},
			Endpoints: []zones.Endpoint{{
				Name: zones.MustName("mydb.database.windows.net"), Private: zones.MustName("mydb.privatelink.database.windows.net"),
				Zone: zones.MustName("privatelink.database.windows.net"), Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.4")}, TTL: 10,
			}},
		})
	}
	table, err := zones.Build(specs)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// ask decides one of many different queries: another name, another client, any
// type, by any transport.
func (s served) ask(ctx context.Context, number int) {
	transport := []string{"udp", "tcp", "tls", "https", "doq", "h3"}[number%6]
	client := zones.NewClient(netip.AddrFrom4([4]byte{10, byte(number % 3), byte(number >> 8), byte(number)}), netip.AddrPort{})
	if number%7 == 0 {
		client.Addr = netip.AddrFrom16([16]byte{0x20, 1, 13: byte(number >> 16), 14: byte(number >> 8), 15: byte(number)})
	}
	q := resolver.NewClientQuery(zones.MustName(fmt.Sprintf("n%d.example%d.com", number, number%1000)), uint16(number), client)
	switch number % 5 {
	case 0:
		q.Name = zones.MustName("mydb.database.windows.net")
	case 1:
		q.Type = dns.TypeA
	case 2:
		q.Type = []uint16{dns.TypeNone, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeANY}[number%7]
	}
	a := s.Resolve(ctx, q)
	s.watch.Exchanged(&listen.Exchange{Query: q, Answer: a})
	s.told.Tally(listen.Kind{Transport: transport, Network: a.Network, Rcode: a.Rcode, Source: a.Source}).Add(1, time.Microsecond)
}

// A million different names of as many clients leave the number of series as it
// is, and below a bound that follows from the configuration alone.
func TestSeriesUnderAMillionNames(t *testing.T) {
	if testing.Short() {
		t.Skip("asks for a million names for 18 s: make test-all runs it")
	}
	s := newServed(t)
	series := func() int {
		t.Helper()
		count, err := testutil.GatherAndCount(s.told.Gatherer())
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	before := series()
	for number := range warmUp {
		s.ask(t.Context(), number)
	}
	warm := series()
	for number := warmUp; number < million; number++ {
		s.ask(t.Context(), number)
	}
	after := series()
	t.Logf("%d series before the first query, %d after %d, %d after %d", before, warm, warmUp, after, million)
	if after != warm {
		t.Errorf("%d series became %d", warm, after)
	}
	// The bound that deploy/metrics.md states.
	const networks, servers = 2, 1
	if bound := (networks+1)*(4*24*5+9) + servers*(24+12+30) + 300; after > bound {
		t.Errorf("%d series, more than %d", after, bound)
	}
}

// Networks and servers that reloads take away take their series with them, so that
// their number does not grow from reload to reload, whatever their names.
func TestSeriesOfWhatIsGone(t *testing.T) {
	r := metrics.New(metrics.Build{})
	count := func() int {
		t.Helper()
		n, err := testutil.GatherAndCount(r.Gatherer())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := 0
	for round := range 200 {
		name, server := fmt.Sprintf("net-\"%d\\\n\xe2\x80\xa8", round), fmt.Sprintf("10.0.0.%d", round)
		r.Loaded(metrics.Serving{Table: tableOf(t, name, "stays"), Upstreams: []metrics.Upstream{{Group: name, Server: server}, {Group: "stays", Server: server}}})
		for _, network := range []string{name, "stays"} {
			r.Tally(listen.Kind{Transport: "udp", Network: network, Rcode: dns.RcodeSuccess, Source: resolver.FromLocal}).Add(1, time.Millisecond)
			r.AnsweredOutside(network)
			r.CacheEvent(network, cache.Hit)
			r.UpstreamSent(network, server, forward.First)
			r.UpstreamAnswered(network, server, dns.RcodeSuccess, time.Millisecond)
			r.UpstreamHealth(network, server, false)
		}
		// Of what is gone, as from queries that are under way.
		gone := fmt.Sprintf("net-\"%d\\\n\xe2\x80\xa8", round-1)
		r.Tally(listen.Kind{Transport: "udp", Network: gone, Rcode: dns.RcodeSuccess, Source: resolver.FromNowhere}).Add(1, time.Millisecond)
		r.UpstreamHealth(gone, fmt.Sprintf("10.0.0.%d", round-1), false)
		switch {
		case round == 2:
			first = count()
		case round > 2 && count() != first:
			t.Fatalf("round %d: %d series became %d", round, first, count())
		}
	}
	page := httptest.NewRecorder()
	r.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	if want := `pldns_queries_total{network="stays",rcode="NOERROR",source="local",transport="udp"} 200`; !strings.Contains(page.Body.String(), want+"\n") {
		t.Error("what stays has lost its series")
	}
}
