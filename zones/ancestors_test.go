package zones_test

import (
	"fmt"
	"net/netip"
	"testing"

	"pldns/zones"
)

func TestHasBelow(t *testing.T) {
	network := europe(t)
	for _, test := range []struct {
		name string
		want bool
	}{
		{".", true},
		{"net", true},
		{"windows.net", true},
		{"database.windows.net", true},
		{"DATABASE.windows.net", true},
		{"momenta-eun.database.windows.net", false},
		{"other.database.windows.net", false},
		{"base.windows.net", false},
		{"privatelink.database.windows.net", true}, // private names are answered, too
		{"x.privatelink.database.windows.net", false},
		{"westeurope.data.azurecr.io", true},
		{"data.azurecr.io", true},
		{"acr1.westeurope.data.azurecr.io", false},
		{"westeurope.data.privatelink.azurecr.io", true},
		{"env.uksouth.azurecontainerapps.io", true}, // a wildcard is below the name that its "*" stands before
		{"*.env.uksouth.azurecontainerapps.io", false},
		{"app.env.uksouth.azurecontainerapps.io", false},
		{"uksouth.azurecontainerapps.io", true},
		{"apps.contoso.com", true},
		{"contoso.com", true},
		{"api.contoso.com", false},
		{"fabrikam.com", true},
		{"b.c.internal.contoso.com", true}, // records
		{"a.b.c.internal.contoso.com", false},
		{"pool.internal.contoso.com", true},
		{"blob.core.windows.net", true}, // a zone that refuses is answered at its apex
		{"privatelink.blob.core.windows.net", false},
		{"in-addr.arpa", false},
		{"5.168.192.in-addr.arpa", true}, // the reverse of a mapped address in a zone that is routed
		{"6.168.192.in-addr.arpa", false},
		{"5.5.168.192.in-addr.arpa", false},
		{"example.org", false},
		{"org", false},
	} {
		if got := network.HasBelow(zones.MustName(test.name)); got != test.want {
			t.Errorf("HasBelow(%s) = %v, want %v", test.name, got, test.want)
		}
	}
}

// What one network has below a name is no matter of another, even if the two share
// a set of endpoints.
func TestHasBelowIsOfOneNetwork(t *testing.T) {
	shared := endpoint("acr.azurecr.io", "acr.privatelink.azurecr.io", "privatelink.azurecr.io", "10.0.2.4")
	own := endpoint("db.database.windows.net", "db.privatelink.database.windows.net", "privatelink.database.windows.net", "10.0.1.4")
	one, two := spec("one", "10.0.0.0/16"), spec("two", "10.1.0.0/16")
	one.Endpoints, two.Endpoints = []zones.Endpoint{shared, own}, []zones.Endpoint{shared}
	networks := build(t, one, two).Networks()
	for i, want := range []bool{true, false} {
		if got := networks[i].HasBelow(zones.MustName("database.windows.net")); got != want {
			t.Errorf("network %d: database.windows.net has names below it: %v, want %v", i, got, want)
		}
		if !networks[i].HasBelow(zones.MustName("azurecr.io")) {
			t.Errorf("network %d: azurecr.io has no names below it", i)
		}
	}
}

// A zone that forwards missing names says nothing of its own name; it has below it
// what its records say.
func TestHasBelowOfZones(t *testing.T) {
	network := func(missing zones.Missing, lines ...string) *zones.Network {
		s := spec("n", "10.0.0.0/8")
		s.Zones = []zones.ZoneSpec{{Name: zones.MustName("internal.contoso.com"), Missing: missing, Records: records(t, lines...)}}
		return build(t, s).Networks()[0]
	}
	above := zones.MustName("contoso.com")
	if network(zones.Forward).HasBelow(above) {
		t.Error("a zone without records that forwards is taken for a name below its parent")
	}
	if !network(zones.NXDomain).HasBelow(above) {
		t.Error("a zone that denies has an apex, which is below its parent")
	}
	if !network(zones.Forward, "www.internal.contoso.com. 60 IN A 10.0.0.1").HasBelow(above) {
		t.Error("a record is not found below the zone's parent")
	}
}

// Among many endpoints, packed as they are, each ancestor is found and nothing else.
func TestHasBelowAmongMany(t *testing.T) {
	const count = 20_000
	s := spec("n", "10.0.0.0/8")
	for i := range count {
		s.Endpoints = append(s.Endpoints, endpoint(fmt.Sprintf("web.tenant-%d.contoso.com", i), "", "", "10.0.0.1"))
	}
	network := build(t, s).Networks()[0]
	for i := range count {
		if parent := zones.MustName(fmt.Sprintf("tenant-%d.contoso.com", i)); !network.HasBelow(parent) {
			t.Fatalf("nothing is below %s", parent)
		}
		if name := zones.MustName(fmt.Sprintf("web.tenant-%d.contoso.com", i)); network.HasBelow(name) {
			t.Fatalf("something is below %s", name)
		}
	}
}

// A zone inside another is a name, and so are those between the two.
func TestNamesBetweenTwoZonesExist(t *testing.T) {
	s := spec("n", "10.0.0.0/8")
	s.Zones = []zones.ZoneSpec{
		{Name: zones.MustName("contoso.com"), Missing: zones.NXDomain},
		{Name: zones.MustName("lab.site.contoso.com"), Missing: zones.NXDomain},
	}
	network := build(t, s).Networks()[0]
	got := describe(network.Lookup(zones.MustName("site.contoso.com"), qtype(t, "A")))
	if want := "no data: contoso.com."; got != want {
		t.Errorf("site.contoso.com A: %s, want %s", got, want)
	}
}

// BenchmarkHasBelow asks about names of a network with a million endpoints, each of
// which has a parent of its own.
func BenchmarkHasBelow(b *testing.B) {
	const count = 1_000_000
	s := spec("n", "10.0.0.0/8")
	s.Endpoints = make([]zones.Endpoint, count)
	address := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	for i := range s.Endpoints {
		name := zones.MustName(fmt.Sprintf("web.tenant-%07d.contoso.com", i))
		s.Endpoints[i] = zones.Endpoint{Name: name, Addresses: address, TTL: zones.DefaultTTL}
	}
	before := heap()
	table, err := zones.Build([]zones.NetworkSpec{s})
	if err != nil {
		b.Fatal(err)
	}
	taken := heap() - before
	network, names := table.Networks()[0], make([]zones.Name, 1<<16)
	for i := range names {
		names[i], _ = s.Endpoints[i*7919%count].Name.Parent()
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if !network.HasBelow(names[i%len(names)]) {
			b.Fatal("not found")
		}
		i++
	}
	b.ReportMetric(float64(taken)/count, "bytes/endpoint")
}
