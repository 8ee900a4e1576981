package resolver_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// What a server is called and which program it runs is told to its clients where it is
// configured, and refused like everything else of class CH where it is not.
func TestIdentity(t *testing.T) {
	table, err := zones.Build([]zones.NetworkSpec{{Name: "n", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}})
	if err != nil {
		t.Fatal(err)
	}
	const refused = "REFUSED"
	for _, test := range []struct {
		identity     resolver.Identity
		name, client string
		qtype        uint16
		want         string
	}{
		{resolver.Identity{Name: "hub-1"}, "id.server.", "10.0.0.1", dns.TypeTXT, `id.server. 0 CH TXT "hub-1"`},
		{resolver.Identity{Name: `hub "\1"`}, "Hostname.BIND.", "10.0.0.1", dns.TypeTXT, `Hostname.BIND. 0 CH TXT "hub \"\\1\""`},
		{resolver.Identity{Name: "hub-1"}, "version.bind.", "10.0.0.1", dns.TypeTXT, refused},
		{resolver.Identity{Name: "hub-1"}, "id.server.", "10.0.0.1", dns.TypeA, refused},
		{resolver.Identity{Name: "hub-1"}, "id.server.", "192.0.2.1", dns.TypeTXT, refused},
		{resolver.Identity{Name: "hub-1"}, "other.server.", "10.0.0.1", dns.TypeTXT, refused},
		{resolver.Identity{Version: "v1.2.3"}, "version.bind.", "10.0.0.1", dns.TypeTXT, `version.bind. 0 CH TXT "v1.2.3"`},
		{resolver.Identity{Version: "v1.2.3"}, "version.server.", "10.0.0.1", dns.TypeANY, `version.server. 0 CH TXT "v1.2.3"`},
		{resolver.Identity{Version: "v1.2.3"}, "id.server.", "10.0.0.1", dns.TypeTXT, refused},
		{resolver.Identity{}, "hostname.bind.", "10.0.0.1", dns.TypeTXT, refused},
	} {
		snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Identity: test.identity})
		if err != nil {
			t.Fatal(err)
		}
		q := resolver.NewClientQuery(zones.NameOf(test.name), test.qtype, zones.NewClient(netip.MustParseAddr(test.client), netip.AddrPort{}))
		q.Class, q.Spelling = dns.ClassCHAOS, test.name
		answer := resolver.New(snapshot).Resolve(context.Background(), q)
		got := refused
		if answer.Rcode == dns.RcodeSuccess {
			got = resolver.Presentation(answer.Records)[0]
		}
		if got != test.want {
			t.Errorf("%+v, %s: %s, want %s", test.identity, test.name, got, test.want)
		}
	}
}
