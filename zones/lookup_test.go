package zones_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/zones"
)

func endpoint(public, private, zone string, addresses ...string) zones.Endpoint {
	e := zones.Endpoint{Name: zones.MustName(public), TTL: zones.DefaultTTL}
	if private != "" {
		e.Private, e.Zone = zones.MustName(private), zones.MustName(zone)
	}
	for _, address := range addresses {
		e.Addresses = append(e.Addresses, netip.MustParseAddr(address))
	}
	return e
}

func records(tb testing.TB, lines ...string) []dns.RR {
	tb.Helper()
	var rrs []dns.RR
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			tb.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

func build(tb testing.TB, specs ...zones.NetworkSpec) *zones.Table {
	tb.Helper()
	table, err := zones.Build(specs)
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

// tooLong matches a wildcard of europe whose alias for it would have more than 255
// octets.
var tooLong = strings.Repeat(strings.Repeat("a", 53)+".", 4) + "env.uksouth.azurecontainerapps.io"

// europe is a network with one of everything.
func europe(tb testing.TB) *zones.Network {
	return build(tb, zones.NetworkSpec{
		Name:    "europe",
		Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
		Endpoints: []zones.Endpoint{
			endpoint("momenta-eun.database.windows.net", "momenta-eun.privatelink.database.windows.net", "privatelink.database.windows.net", "10.0.1.4"),
			endpoint("dual.database.windows.net", "dual.privatelink.database.windows.net", "privatelink.database.windows.net", "10.0.1.6", "fd00::6"),
			endpoint("acr1.westeurope.data.azurecr.io", "acr1.westeurope.data.privatelink.azurecr.io", "privatelink.azurecr.io", "10.0.2.5"),
			endpoint("*.env.uksouth.azurecontainerapps.io", "*.env.privatelink.uksouth.azurecontainerapps.io", "privatelink.uksouth.azurecontainerapps.io", "10.0.7.10"),
			endpoint("known.env.uksouth.azurecontainerapps.io", "known.env.privatelink.uksouth.azurecontainerapps.io", "privatelink.uksouth.azurecontainerapps.io", "10.0.7.11"),
			endpoint("api.contoso.com", "", "", "10.0.7.9"),
			endpoint("*.apps.contoso.com", "", "", "10.0.7.12"),
			endpoint("corp.fabrikam.com", "", "", "192.168.5.5"),
		},
		Zones: []zones.ZoneSpec{
			{Name: zones.MustName("internal.contoso.com"), Missing: zones.NXDomain, Records: records(tb,
				"db.internal.contoso.com. 300 IN CNAME momenta-eun.database.windows.net.",
				`internal.contoso.com. 300 IN TXT "hub"`,
				"Mixed.internal.contoso.com. 300 IN A 10.0.9.1",
				"*.pool.internal.contoso.com. 300 IN A 10.0.9.2",
				"a.b.c.internal.contoso.com. 300 IN A 10.0.9.3",
			)},
			{Name: zones.MustName("privatelink.blob.core.windows.net"), Missing: zones.Refuse},
		},
		Routes: []zones.Name{zones.MustName("168.192.in-addr.arpa"), zones.MustName("home.arpa")},
	}).Networks()[0]
}

func TestLookup(t *testing.T) {
	network := europe(t)
	for _, test := range []struct {
		name, qname, qtype string
		want               string // kind, records or SOA owner
	}{
		{"public name is an alias", "momenta-eun.database.windows.net", "A", "alias: CNAME momenta-eun.privatelink.database.windows.net."},
		{"letter case is nothing", "MOMENTA-eun.database.windows.NET", "A", "alias: CNAME momenta-eun.privatelink.database.windows.net."},
		{"public name, AAAA: still the alias", "momenta-eun.database.windows.net", "AAAA", "alias: CNAME momenta-eun.privatelink.database.windows.net."},
		{"public name, CNAME asked for", "momenta-eun.database.windows.net", "CNAME", "records: CNAME momenta-eun.privatelink.database.windows.net."},
		{"public name, ANY is minimal", "momenta-eun.database.windows.net", "ANY", "records: CNAME momenta-eun.privatelink.database.windows.net."},
		{"private name", "momenta-eun.privatelink.database.windows.net", "A", "records: A 10.0.1.4"},
		{"private name, other type", "momenta-eun.privatelink.database.windows.net", "AAAA", "no data: privatelink.database.windows.net."},
		{"private name, unknown type", "momenta-eun.privatelink.database.windows.net", "TYPE65280", "no data: privatelink.database.windows.net."},
		{"private name, HTTPS", "momenta-eun.privatelink.database.windows.net", "HTTPS", "no data: privatelink.database.windows.net."},
		{"private name, ANY is one set", "dual.privatelink.database.windows.net", "ANY", "records: A 10.0.1.6"},
		{"dual stack", "dual.privatelink.database.windows.net", "AAAA", "records: AAAA fd00::6"},
		{"below a mapped public name", "x.momenta-eun.database.windows.net", "A", "not ours"},
		{"sibling of a mapped public name", "other.database.windows.net", "A", "not ours"},
		{"public suffix", "database.windows.net", "A", "not ours"},
		{"missing in a zone", "other.privatelink.database.windows.net", "A", "no name: privatelink.database.windows.net. forward"},
		{"missing below a private name", "x.momenta-eun.privatelink.database.windows.net", "A", "no name: privatelink.database.windows.net. forward"},
		{"missing in a zone with a policy", "other.privatelink.blob.core.windows.net", "A", "no name: privatelink.blob.core.windows.net. refuse"},
		{"apex of a zone that forwards", "privatelink.database.windows.net", "A", "no name: privatelink.database.windows.net. forward"},
		{"apex of a zone that forwards, SOA", "privatelink.database.windows.net", "SOA", "no name: privatelink.database.windows.net. forward"},
		{"apex of a zone that refuses", "privatelink.blob.core.windows.net", "A", "no data: privatelink.blob.core.windows.net."},
		{"apex of a zone that refuses, SOA", "privatelink.blob.core.windows.net", "SOA", "records: SOA privatelink.blob.core.windows.net. nobody.invalid. 1 3600 1200 604800 10"},
		{"apex, DS belongs to the parent", "privatelink.database.windows.net", "DS", "not ours"},
		{"empty non-terminal", "westeurope.data.privatelink.azurecr.io", "A", "no name: privatelink.azurecr.io. forward"},
		{"empty non-terminal, ANY", "data.privatelink.azurecr.io", "ANY", "no name: privatelink.azurecr.io. forward"},
		{"no empty non-terminal on the public side", "westeurope.data.azurecr.io", "A", "not ours"},
		{"wildcard, public", "app1.env.uksouth.azurecontainerapps.io", "A", "alias: CNAME app1.env.privatelink.uksouth.azurecontainerapps.io."},
		{"wildcard, two labels", "a.b.env.uksouth.azurecontainerapps.io", "A", "alias: CNAME a.b.env.privatelink.uksouth.azurecontainerapps.io."},
		{"wildcard, the alias would be too long", tooLong, "A", "records: A 10.0.7.10"},
		{"wildcard, the alias would be too long, ANY", tooLong, "ANY", "records: A 10.0.7.10"},
		{"wildcard, the alias would be too long, CNAME", tooLong, "CNAME", "no data: env.uksouth.azurecontainerapps.io."},
		{"wildcard, the alias would be too long, other type", tooLong, "AAAA", "no data: env.uksouth.azurecontainerapps.io."},
		{"wildcard, private", "app1.env.privatelink.uksouth.azurecontainerapps.io", "A", "records: A 10.0.7.10"},
		{"wildcard, other type", "app1.env.privatelink.uksouth.azurecontainerapps.io", "MX", "no data: privatelink.uksouth.azurecontainerapps.io."},
		{"exact beats wildcard", "known.env.privatelink.uksouth.azurecontainerapps.io", "A", "records: A 10.0.7.11"},
		{"a closer name hides the wildcard", "x.known.env.privatelink.uksouth.azurecontainerapps.io", "A", "no name: privatelink.uksouth.azurecontainerapps.io. forward"},
		{"the wildcard's parent", "env.privatelink.uksouth.azurecontainerapps.io", "A", "no name: privatelink.uksouth.azurecontainerapps.io. forward"},
		{"the wildcard itself", "*.env.uksouth.azurecontainerapps.io", "A", "alias: CNAME *.env.privatelink.uksouth.azurecontainerapps.io."},
		{"outside the catalogue", "api.contoso.com", "A", "records: A 10.0.7.9"},
		{"outside the catalogue, other type", "api.contoso.com", "HTTPS", "no data: api.contoso.com."},
		{"outside the catalogue, parent", "contoso.com", "A", "not ours"},
		{"wildcard outside the catalogue", "shop.apps.contoso.com", "A", "records: A 10.0.7.12"},
		{"wildcard outside the catalogue, other type", "shop.apps.contoso.com", "TXT", "no data: apps.contoso.com."},
		{"wildcard's parent outside the catalogue", "apps.contoso.com", "A", "not ours"},
		{"operator's alias", "db.internal.contoso.com", "A", "alias: CNAME momenta-eun.database.windows.net."},
		{"operator's record at the apex", "internal.contoso.com", "TXT", `records: TXT "hub"`},
		{"SOA beside records at the apex", "internal.contoso.com", "SOA", "records: SOA internal.contoso.com. nobody.invalid. 1 3600 1200 604800 10"},
		{"operator's record, other case", "mixed.INTERNAL.contoso.com", "A", "records: A 10.0.9.1"},
		{"operator's wildcard", "n17.pool.internal.contoso.com", "A", "records: A 10.0.9.2"},
		{"operator's zone, empty non-terminal", "b.c.internal.contoso.com", "A", "no data: internal.contoso.com."},
		{"operator's zone, missing", "nothing.internal.contoso.com", "A", "no name: internal.contoso.com. nxdomain"},
		{"PTR of a mapped address", "4.1.0.10.in-addr.arpa", "PTR", "records: PTR momenta-eun.database.windows.net."},
		{"PTR of a mapped IPv6 address", strings.TrimSuffix(must(dns.ReverseAddr("fd00::6")), "."), "PTR", "records: PTR dual.database.windows.net."},
		{"reverse of a mapped address, other type", "4.1.0.10.in-addr.arpa", "A", "no data: 10.in-addr.arpa."},
		{"reverse, empty non-terminal", "1.0.10.in-addr.arpa", "PTR", "no data: 10.in-addr.arpa."},
		{"reverse of another private address", "9.9.9.10.in-addr.arpa", "PTR", "no name: 10.in-addr.arpa. nxdomain"},
		{"reverse of 172.16/12", "1.0.31.172.in-addr.arpa", "PTR", "no name: 31.172.in-addr.arpa. nxdomain"},
		{"reverse of 172.32", "1.0.32.172.in-addr.arpa", "PTR", "not ours"},
		{"reverse of shared address space", "1.0.64.100.in-addr.arpa", "PTR", "no name: 64.100.in-addr.arpa. nxdomain"},
		{"reverse of a public address", "8.8.8.8.in-addr.arpa", "PTR", "not ours"},
		{"reverse zone that the operator routes", "9.9.168.192.in-addr.arpa", "PTR", "not ours"},
		{"mapped address in a routed reverse zone", "5.5.168.192.in-addr.arpa", "PTR", "records: PTR corp.fabrikam.com."},
		{"PTR of a wildcard's address", "10.7.0.10.in-addr.arpa", "PTR", "no name: 10.in-addr.arpa. nxdomain"},
		{"localhost", "localhost", "A", "records: A 127.0.0.1"},
		{"below localhost", "db.localhost", "AAAA", "records: AAAA ::1"},
		{"localhost, other type", "localhost", "MX", "no data: localhost."},
		{"invalid", "anything.invalid", "A", "no name: invalid. nxdomain"},
		{"onion", "x.onion", "A", "no name: onion. nxdomain"},
		{"designated resolvers", "_dns.resolver.arpa", "SVCB", "no data: resolver.arpa."},
		{"special name that the operator routes", "nas.home.arpa", "A", "not ours"},
		{"the root", ".", "NS", "not ours"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := describe(network.Lookup(zones.MustName(test.qname), qtype(t, test.qtype)))
			if got != test.want {
				t.Errorf("%s %s\n got %s\nwant %s", test.qname, test.qtype, got, test.want)
			}
		})
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func qtype(tb testing.TB, text string) uint16 {
	tb.Helper()
	if number, found := strings.CutPrefix(text, "TYPE"); found {
		var value uint16
		if _, err := fmt.Sscan(number, &value); err != nil {
			tb.Fatal(err)
		}
		return value
	}
	value, known := dns.StringToType[text]
	if !known {
		tb.Fatalf("no type %s", text)
	}
	return value
}

// describe puts a result into one line.
func describe(result zones.Result) string {
	var details []string
	for _, rr := range result.Records {
		fields := strings.Fields(rr.String())
		details = append(details, strings.Join(fields[3:], " "))
	}
	if result.SOA != nil {
		details = append(details, result.SOA.Hdr.Name)
	}
	if result.Kind == zones.NoName {
		details = append(details, result.Zone.Missing.String())
	}
	if len(details) == 0 {
		return result.Kind.String()
	}
	return result.Kind.String() + ": " + strings.Join(details, " ")
}

// Rule 3: whatever the type, a mapped name gives mapped data or NODATA with SOA.
func TestEveryTypeOfAMappedNameStaysHere(t *testing.T) {
	network := europe(t)
	for _, text := range []string{"momenta-eun.privatelink.database.windows.net", "api.contoso.com", "app.env.privatelink.uksouth.azurecontainerapps.io"} {
		name := zones.MustName(text)
		for asked := range 1 << 16 {
			result := network.Lookup(name, uint16(asked))
			switch {
			case result.Kind == zones.Records && (asked == int(dns.TypeA) || asked == int(dns.TypeANY)):
			case result.Kind == zones.NoData && result.SOA != nil && result.SOA.Minttl == 10 && name.Within(zones.NameOf(result.SOA.Hdr.Name)):
			default:
				t.Fatalf("%s type %d: %s", name, asked, describe(result))
			}
		}
	}
}

func TestReverseOfASharedAddressIsBounded(t *testing.T) {
	spec := zones.NetworkSpec{Name: "n", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for i := range 100 {
		spec.Endpoints = append(spec.Endpoints, endpoint(fmt.Sprintf("h%02d.contoso.com", i), "", "", "10.0.0.4"))
	}
	result := build(t, spec).Networks()[0].Lookup(zones.MustName("4.0.0.10.in-addr.arpa"), dns.TypePTR)
	if len(result.Records) != 16 || !strings.Contains(result.Records[0].String(), "h00.contoso.com.") {
		t.Errorf("got %d names, first %v", len(result.Records), result.Records[0])
	}
}

func BenchmarkLookup(b *testing.B) {
	network := europe(b)
	for _, name := range []string{"momenta-eun.database.windows.net", "momenta-eun.privatelink.database.windows.net", "unrelated.example.com"} {
		b.Run(name, func(b *testing.B) {
			parsed := zones.MustName(name)
			b.ReportAllocs()
			for b.Loop() {
				network.Lookup(parsed, dns.TypeA)
			}
		})
	}
}

// Any two networks share no answer: what one looks up never holds an address
// that only the other maps.
func TestNetworksShareNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var specs []zones.NetworkSpec
	for n := range 20 {
		spec := zones.NetworkSpec{Name: fmt.Sprint(n), Clients: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n), 0, 0}), 16)}}
		for db := range 30 {
			if random.IntN(2) == 0 {
				spec.Endpoints = append(spec.Endpoints, endpoint(fmt.Sprintf("db%d.database.windows.net", db),
					fmt.Sprintf("db%d.privatelink.database.windows.net", db), "privatelink.database.windows.net", fmt.Sprintf("10.%d.1.%d", n, db)))
			}
		}
		specs = append(specs, spec)
	}
	for n, network := range build(t, specs...).Networks() {
		for db := range 30 {
			result := network.Lookup(zones.MustName(fmt.Sprintf("db%d.privatelink.database.windows.net", db)), dns.TypeA)
			for _, rr := range result.Records {
				if octet := rr.(*dns.A).A[1]; octet != byte(n) {
					t.Fatalf("network %d answers %v", n, rr)
				}
			}
		}
	}
}
