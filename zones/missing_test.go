package zones_test

import (
	"fmt"
	"testing"

	"pldns/zones"
)

// contoso is a network with a zone of its own that is also public: some names inside,
// everything else with the provider.
func contoso(tb testing.TB, missing zones.Missing, more ...zones.ZoneSpec) *zones.Network {
	s := spec("hub", "10.0.0.0/8")
	s.Zones = append(more, zones.ZoneSpec{Name: zones.MustName("contoso.com"), Missing: missing, Records: records(tb,
		"www.contoso.com. 60 IN A 10.0.0.80",
		"*.apps.contoso.com. 60 IN A 10.0.0.81",
		"a.hub.contoso.com. 60 IN A 10.0.0.82",
	)})
	return build(tb, s).Networks()[0]
}

// everyType are types that people put at the apex of a zone, and one of no meaning.
var everyType = []string{"A", "AAAA", "MX", "TXT", "NS", "SOA", "CAA", "HTTPS", "ANY", "CNAME", "TYPE65280"}

// What a zone has by structure alone is the outside's where it forwards missing
// names: one internal host must not stop the mail of the whole domain.
func TestApexAndEmptyNamesOfAZoneThatForwards(t *testing.T) {
	network := contoso(t, zones.Forward)
	for _, name := range []string{"contoso.com", "apps.contoso.com", "hub.contoso.com", "other.contoso.com", "x.hub.contoso.com"} {
		for _, kind := range append(everyType, "DS") {
			result := network.Lookup(zones.MustName(name), qtype(t, kind))
			if result.Owned() {
				t.Errorf("%s %s is answered here: %s", name, kind, describe(result))
			}
		}
	}
	for _, name := range []string{"www.contoso.com", "shop.apps.contoso.com", "a.hub.contoso.com"} {
		for _, kind := range everyType {
			if result := network.Lookup(zones.MustName(name), qtype(t, kind)); !result.Owned() {
				t.Errorf("%s %s is left to the outside: %s", name, kind, describe(result))
			}
		}
	}
}

func TestApexAndEmptyNamesOfAZoneThatDenies(t *testing.T) {
	for _, missing := range []zones.Missing{zones.NXDomain, zones.Refuse} {
		network := contoso(t, missing)
		for _, name := range []string{"contoso.com", "apps.contoso.com", "hub.contoso.com"} {
			for _, kind := range everyType {
				want := "no data: contoso.com."
				if name == "contoso.com" && (kind == "SOA" || kind == "ANY") {
					want = "records: SOA contoso.com. nobody.invalid. 1 3600 1200 604800 10"
				}
				if got := describe(network.Lookup(zones.MustName(name), qtype(t, kind))); got != want {
					t.Errorf("missing = %s: %s %s: %s, want %s", missing, name, kind, got, want)
				}
			}
		}
		want := fmt.Sprintf("no name: contoso.com. %s", missing)
		if got := describe(network.Lookup(zones.MustName("other.contoso.com"), qtype(t, "A"))); got != want {
			t.Errorf("other.contoso.com: %s, want %s", got, want)
		}
	}
}

// With records of its own, an apex is owned for every type: its records are all
// there is of it.
func TestApexWithRecordsIsOwned(t *testing.T) {
	s := spec("hub", "10.0.0.0/8")
	apex := records(t, "contoso.com. 60 IN A 10.0.0.80")
	s.Zones = []zones.ZoneSpec{{Name: zones.MustName("contoso.com"), Missing: zones.Forward, Records: apex}}
	network := build(t, s).Networks()[0]
	for _, test := range []struct{ kind, want string }{
		{"A", "records: A 10.0.0.80"},
		{"MX", "no data: contoso.com."},
		{"SOA", "records: SOA contoso.com. nobody.invalid. 1 3600 1200 604800 10"},
	} {
		if got := describe(network.Lookup(zones.MustName("contoso.com"), qtype(t, test.kind))); got != test.want {
			t.Errorf("contoso.com %s: %s, want %s", test.kind, got, test.want)
		}
	}
}

// DS records are the parent zone's: where that is one of the network and forwards, it has none
// of its own to give.
func TestDelegationsOfZonesWithinZones(t *testing.T) {
	for _, test := range []struct {
		parent zones.Missing
		want   string
	}{
		{zones.Forward, "no name: contoso.com. forward"},
		{zones.NXDomain, "no data: contoso.com."},
	} {
		network := contoso(t, test.parent, zones.ZoneSpec{Name: zones.MustName("lab.contoso.com"), Missing: zones.NXDomain})
		if got := describe(network.Lookup(zones.MustName("lab.contoso.com"), qtype(t, "DS"))); got != test.want {
			t.Errorf("parent with missing = %s: %s, want %s", test.parent, got, test.want)
		}
	}
}

// A reverse zone of the operator's that forwards leaves its empty names outside, too.
func TestReverseZonesOfTheOperator(t *testing.T) {
	for _, test := range []struct {
		missing zones.Missing
		want    string
	}{
		{zones.Forward, "no name: 10.in-addr.arpa. forward"},
		{zones.NXDomain, "no data: 10.in-addr.arpa."},
	} {
		s := spec("hub", "10.0.0.0/8")
		s.Endpoints = []zones.Endpoint{endpoint("api.contoso.com", "", "", "10.0.7.9")}
		s.Zones = []zones.ZoneSpec{{Name: zones.MustName("10.in-addr.arpa"), Missing: test.missing}}
		network := build(t, s).Networks()[0]
		for _, name := range []string{"10.in-addr.arpa", "7.0.10.in-addr.arpa"} {
			if got := describe(network.Lookup(zones.MustName(name), qtype(t, "PTR"))); got != test.want {
				t.Errorf("missing = %s: %s: %s, want %s", test.missing, name, got, test.want)
			}
		}
		if got := describe(network.Lookup(zones.MustName("9.7.0.10.in-addr.arpa"), qtype(t, "PTR"))); got != "records: PTR api.contoso.com." {
			t.Errorf("missing = %s: the reverse of a mapped address: %s", test.missing, got)
		}
	}
}

// Names with a label that begins with "_" are no hosts: the wildcard of an endpoint
// leaves them to whoever issues certificates and proves ownership.
func TestUnderscoredNamesBelowAWildcardEndpoint(t *testing.T) {
	const public, private = ".env.uksouth.azurecontainerapps.io", ".env.privatelink.uksouth.azurecontainerapps.io"
	network := europe(t)
	for _, test := range []struct{ name, kind, want, missed string }{
		{"_acme-challenge.app" + public, "TXT", "not ours", "*" + public},
		{"_acme-challenge.app" + public, "CNAME", "not ours", "*" + public},
		{"_dnsauth" + public, "TXT", "not ours", "*" + public},
		{"_443._tcp.app" + public, "TLSA", "not ours", "*" + public},
		{"host._tcp.app" + public, "A", "not ours", "*" + public},
		{"_acme-challenge.app" + private, "TXT", "no name: privatelink.uksouth.azurecontainerapps.io. forward", "*" + private},
		{"_acme-challenge.shop.apps.contoso.com", "TXT", "not ours", "*.apps.contoso.com"},
		{"app" + public, "TXT", "alias: CNAME app" + private + ".", ""},
		{"app_1" + public, "A", "alias: CNAME app_1" + private + ".", ""},
		{"_acme-challenge.known" + private, "TXT", "no name: privatelink.uksouth.azurecontainerapps.io. forward", ""},
		{"_sip.pool.internal.contoso.com", "A", "records: A 10.0.9.2", ""}, // records: RFC 4592
	} {
		result := network.Lookup(zones.MustName(test.name), qtype(t, test.kind))
		if got := describe(result); got != test.want {
			t.Errorf("%s %s: %s, want %s", test.name, test.kind, got, test.want)
		}
		if got := result.Missed.String(); got != test.missed {
			t.Errorf("%s %s: missed %q, want %q", test.name, test.kind, got, test.missed)
		}
	}
}

// An underscored name that is mapped itself is as good as any, and one below a wildcard
// that stands under an underscore is, too.
func TestUnderscoredNamesThatAreMapped(t *testing.T) {
	s := spec("hub", "10.0.0.0/8")
	s.Endpoints = []zones.Endpoint{
		endpoint("*.contoso.com", "", "", "10.0.0.1"),
		endpoint("_dmz.contoso.com", "", "", "10.0.0.2"),
		endpoint("*._site.contoso.com", "", "", "10.0.0.3"),
	}
	network := build(t, s).Networks()[0]
	for name, want := range map[string]string{
		"_dmz.contoso.com":      "records: A 10.0.0.2",
		"web._site.contoso.com": "records: A 10.0.0.3",
		"_other.contoso.com":    "not ours",
	} {
		if got := describe(network.Lookup(zones.MustName(name), qtype(t, "A"))); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
