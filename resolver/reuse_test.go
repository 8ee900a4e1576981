package resolver_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"pldns/resolver"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// from is an outside that says where its answers come from.
type from struct {
	*outside
	source resolver.Source
}

func (f from) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolvertest.Known(func(q resolver.Question) (resolver.Reply, error) { return f.Exchange(context.Background(), q) }).Start(q, from, deadline, done)
}

func (f from) Exchange(ctx context.Context, q resolver.Question) (resolver.Reply, error) {
	reply, err := f.outside.Exchange(ctx, q)
	reply.Source = f.source
	return reply, err
}

// TestReuse: what may be given again, and for how long.
func TestReuse(t *testing.T) {
	says := map[string]said{
		"www.contoso.com":    {records: "www.contoso.com. 300 IN A 203.0.113.1"},
		"vanity.contoso.com": {records: "vanity.contoso.com. 300 IN CNAME momenta-eun.database.windows.net."},
		"broken.contoso.com": {rcode: 2},
		"dead.contoso.com":   {err: context.DeadlineExceeded},
	}
	for _, test := range []struct {
		name, client, asked, qtype string
		source                     resolver.Source
		want                       resolver.Reuse
	}{
		{"an endpoint", "10.0.0.1", "momenta-eun.database.windows.net", "A", resolver.FromCache, resolver.WithSnapshot},
		{"a type it does not have", "10.0.0.1", "momenta-eun.database.windows.net", "TXT", resolver.FromCache, resolver.WithSnapshot},
		{"a missing name that is denied", "10.2.0.1", "none.privatelink.database.windows.net", "A", resolver.FromCache, resolver.WithSnapshot},
		{"a missing name that is refused", "10.2.0.1", "none.privatelink.blob.core.windows.net", "A", resolver.FromCache, resolver.Once},
		{"from the cache", "10.0.0.1", "www.contoso.com", "A", resolver.FromCache, resolver.WhileFresh},
		{"a denial from the cache", "10.0.0.1", "none.contoso.com", "A", resolver.FromCache, resolver.WhileFresh},
		{"an alias from the cache, to an endpoint", "10.0.0.1", "vanity.contoso.com", "A", resolver.FromCache, resolver.WhileFresh},
		{"a local alias of what is cached", "10.0.0.1", "out.internal.contoso.com", "A", resolver.FromCache, resolver.WhileFresh},
		{"asked just now", "10.0.0.1", "www.contoso.com", "A", resolver.FromUpstream, resolver.Once},
		{"an alias asked for just now, to an endpoint", "10.0.0.1", "vanity.contoso.com", "A", resolver.FromUpstream, resolver.Once},
		{"RFC 8767: stale", "10.0.0.1", "www.contoso.com", "A", resolver.FromStale, resolver.Once},
		{"a stale alias of an endpoint", "10.0.0.1", "vanity.contoso.com", "A", resolver.FromStale, resolver.Once},
		{"a failure that is cached", "10.0.0.1", "broken.contoso.com", "A", resolver.FromCache, resolver.Once},
		{"no answer", "10.0.0.1", "dead.contoso.com", "A", resolver.FromCache, resolver.Once},
		{"a chain that goes round", "10.0.0.1", "loop.internal.contoso.com", "A", resolver.FromCache, resolver.Once},
		{"nothing is forwarded", "10.3.0.1", "www.contoso.com", "A", resolver.FromCache, resolver.Once},
		{"no network", "192.0.2.1", "www.contoso.com", "A", resolver.FromCache, resolver.Once},
		{"no transfers", "10.0.0.1", "momenta-eun.database.windows.net", "AXFR", resolver.FromCache, resolver.Once},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := from{&outside{tb: t, says: says}, test.source}
			snapshot := estate(t, to, to)
			answer := resolver.New(snapshot).Resolve(t.Context(), query(test.client, test.asked, test.qtype))
			if answer.Reuse != test.want {
				t.Errorf("reuse %d, want %d: %v", answer.Reuse, test.want, lines(answer))
			}
		})
	}
}

// TestReuseOfProbed: an endpoint is asked for its health every time.
func TestReuseOfProbed(t *testing.T) {
	db := sql("db", "10.0.1.4")
	db.Probe = probe1433()
	table, err := zones.Build([]zones.NetworkSpec{{
		Name: "n", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Endpoints: []zones.Endpoint{db},
	}})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Health: ill{}})
	if err != nil {
		t.Fatal(err)
	}
	answer := resolver.New(snapshot).Resolve(t.Context(), query("10.0.0.1", "db.database.windows.net", "A"))
	if answer.Reuse != resolver.Once {
		t.Errorf("reuse %d: %v", answer.Reuse, lines(answer))
	}
}
