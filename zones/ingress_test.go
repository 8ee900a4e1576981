package zones_test

import (
	"net/netip"
	"testing"

	"pldns/zones"
)

// tenants are networks with the same address space behind ingresses of every kind.
func tenants(tb testing.TB) *zones.Table {
	space := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}
	return build(tb,
		spec("hub", "10.0.0.0/16"),
		spec("lab", "10.0.7.0/24"),
		zones.NetworkSpec{Name: "linked", Clients: space, Links: []uint32{7}},
		zones.NetworkSpec{Name: "certified", Certificates: []zones.Name{zones.MustName("gw.contoso.com"), zones.MustName("gw2.contoso.com")}},
		zones.NetworkSpec{Name: "pathed", Clients: space, Paths: []string{"tenant-a"}},
		zones.NetworkSpec{Name: "named", Clients: space, ServerNames: []zones.Name{zones.MustName("a.dns.contoso.net")}},
		spec("listened", "10.0.0.0/16", "10.9.0.5:53"),
	)
}

func names(texts ...string) (list []zones.Name) {
	for _, text := range texts {
		list = append(list, zones.MustName(text))
	}
	return list
}

// TestIngresses: what a client shows narrows the candidates, in a fixed order, and
// who shows what nobody knows is nobody.
func TestIngresses(t *testing.T) {
	table := tenants(t)
	for _, row := range []struct {
		name, listener string
		shown          *zones.Shown
		want           string
	}{
		{"nothing shown", "10.9.0.4:53", nil, "hub"},
		{"nothing shown that matters", "10.9.0.4:53", new(zones.Shown), "hub"},
		{"a link id", "10.9.0.4:53", &zones.Shown{Linked: true, Link: 7}, "linked"},
		{"an unknown link id", "10.9.0.4:53", &zones.Shown{Linked: true, Link: 8}, "none"},
		{"link id 0 is one, too", "10.9.0.4:53", &zones.Shown{Linked: true}, "none"},
		{"a certificate", "10.9.0.4:853", &zones.Shown{Certificates: names("GW.contoso.com")}, "certified"},
		{"the second name of a certificate", "10.9.0.4:853", &zones.Shown{Certificates: names("other.contoso.com", "gw2.contoso.com")}, "certified"},
		{"an unknown certificate", "10.9.0.4:853", &zones.Shown{Certificates: names("other.contoso.com")}, "none"},
		{"a path", "10.9.0.4:443", &zones.Shown{Path: "tenant-a"}, "pathed"},
		{"an unknown path", "10.9.0.4:443", &zones.Shown{Path: "tenant-b"}, "none"},
		{"the path of a network known by its clients", "10.9.0.4:443", &zones.Shown{Path: "hub"}, "hub"},
		{"no path to a network that has another ingress", "10.9.0.4:443", &zones.Shown{Path: "listened"}, "none"},
		{"no path to a network whose clients do not hold the asker", "10.9.0.4:443", &zones.Shown{Path: "lab"}, "none"},
		{"a server name", "10.9.0.4:853", &zones.Shown{ServerName: zones.MustName("A.dns.contoso.net")}, "named"},
		{"a server name that is everybody's", "10.9.0.4:853", &zones.Shown{ServerName: zones.MustName("dns.contoso.net")}, "hub"},
		{"a listener", "10.9.0.5:53", nil, "listened"},
		{"a server name comes before a listener", "10.9.0.5:53", &zones.Shown{ServerName: zones.MustName("a.dns.contoso.net")}, "named"},
		{"an everybody's name does not hide the listener", "10.9.0.5:53", &zones.Shown{ServerName: zones.MustName("dns.contoso.net")}, "listened"},
		{"a path comes before a server name", "10.9.0.4:443", &zones.Shown{Path: "hub", ServerName: zones.MustName("a.dns.contoso.net")}, "hub"},
		{"a certificate comes before a path", "10.9.0.4:443", &zones.Shown{Path: "hub", Certificates: names("gw.contoso.com")}, "certified"},
		{"a link id comes before everything", "10.9.0.5:443",
			&zones.Shown{Linked: true, Link: 7, Path: "hub", Certificates: names("gw.contoso.com")}, "linked"},
	} {
		t.Run(row.name, func(t *testing.T) {
			client := zones.NewClient(netip.MustParseAddr("10.0.1.1"), netip.MustParseAddrPort(row.listener))
			client.Shown = row.shown
			same(t, table, client, row.want)
		})
	}
}

// same checks the network of a client, found either way.
func same(t *testing.T, table *zones.Table, client zones.Client, want string) {
	t.Helper()
	got := "none"
	match, found := table.NetworkFor(client)
	if found {
		got = match.Network.Name()
	}
	if got != want {
		t.Errorf("the network is %s, by %s, want %s", got, match.Ingress, want)
	}
	if quick, also := table.NetworkOf(client); quick != match.Network || also != found {
		t.Errorf("NetworkOf gives %v, %v", quick, also)
	}
}

// TestSubnets: a client of which a forwarder tells only a prefix belongs to a
// network that holds all of the prefix, and to none if another has a part of it.
func TestSubnets(t *testing.T) {
	table := tenants(t)
	for _, row := range []struct {
		prefix, want string
	}{
		{"10.0.7.0/24", "lab"},
		{"10.0.7.128/25", "lab"},
		{"10.0.1.0/24", "hub"},
		{"10.0.1.1/32", "hub"},
		{"10.0.0.0/16", "none"},
		{"10.0.6.0/23", "none"},
		{"10.0.0.0/8", "none"},
		{"192.0.2.0/24", "none"},
	} {
		prefix := netip.MustParsePrefix(row.prefix)
		client := zones.NewClient(prefix.Addr(), netip.AddrPort{})
		client.Bits = uint8(prefix.Bits())
		t.Run(row.prefix, func(t *testing.T) { same(t, table, client, row.want) })
	}
}

// TestNetworkOfAllocates: finding a network leaves no garbage, whatever is shown.
func TestNetworkOfAllocates(t *testing.T) {
	table := tenants(t)
	plain := zones.NewClient(netip.MustParseAddr("10.0.1.1"), netip.MustParseAddrPort("10.9.0.5:53"))
	linked := plain
	linked.Shown = &zones.Shown{Linked: true, Link: 7}
	for name, client := range map[string]zones.Client{"plain": plain, "linked": linked} {
		if n := testing.AllocsPerRun(100, func() { table.NetworkOf(client) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
