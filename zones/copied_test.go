package zones_test

import (
	"testing"

	"pldns/zones"
)

// TestCopied: of a zone that is held as a copy the network says what is mapped, and what the
// operator wrote of zones within; the copy is asked about the rest, before the zones that
// nobody should ask the public about (RFC 6303).
func TestCopied(t *testing.T) {
	s := spec("hub", "10.0.0.0/8")
	copied := func(name string, missing zones.Missing) zones.ZoneSpec {
		return zones.ZoneSpec{Name: zones.MustName(name), Copy: "copy of " + name, Missing: missing}
	}
	s.Missing = zones.Refuse
	s.Endpoints = append(s.Endpoints, endpoint("db.corp.example", "", "", "10.1.2.3"), endpoint("*.apps.corp.example", "", "", "10.1.2.4"))
	s.Zones = append(s.Zones, copied("corp.example", zones.Inherit), copied("10.in-addr.arpa", zones.Forward),
		copied("deep.corp.example", zones.Inherit),
		zones.ZoneSpec{Name: zones.MustName("own.corp.example"), Records: records(t, "www.own.corp.example. 60 IN A 10.0.0.80")})
	network := build(t, s).Networks()[0]
	for _, row := range []struct{ name, kind, copy string }{
		{"corp.example", "MX", "copy of corp.example"},
		{"corp.example", "SOA", "copy of corp.example"},
		{"corp.example", "DS", "copy of corp.example"},
		{"www.corp.example", "A", "copy of corp.example"},
		{"apps.corp.example", "A", "copy of corp.example"},
		{"_acme-challenge.apps.corp.example", "TXT", "copy of corp.example"},
		{"db.corp.example", "A", ""},
		{"db.corp.example", "TXT", ""},
		{"x.apps.corp.example", "A", ""},
		{"www.own.corp.example", "A", ""},
		{"own.corp.example", "DS", "copy of corp.example"},
		{"none.own.corp.example", "A", ""},
		{"deep.corp.example", "DS", "copy of corp.example"},
		{"x.deep.corp.example", "A", "copy of deep.corp.example"},
		{"10.in-addr.arpa", "SOA", "copy of 10.in-addr.arpa"},
		{"9.9.9.10.in-addr.arpa", "PTR", "copy of 10.in-addr.arpa"},
		{"3.2.1.10.in-addr.arpa", "PTR", "copy of 10.in-addr.arpa"},
		{"1.1.168.192.in-addr.arpa", "PTR", ""},
		{"www.example.com", "A", ""},
	} {
		result := network.Lookup(zones.MustName(row.name), qtype(t, row.kind))
		if got := result.Zone.Copy; result.Kind == zones.Copied && got != row.copy || (result.Kind == zones.Copied) != (row.copy != "") {
			t.Errorf("%s %s: %s of %q, want %q", row.name, row.kind, result.Kind, got, row.copy)
		}
	}
	for name, want := range map[string]zones.Missing{"x.corp.example": zones.NXDomain, "1.1.1.10.in-addr.arpa": zones.Forward} {
		if got := network.Lookup(zones.MustName(name), 1).Zone.Missing; got != want {
			t.Errorf("what %s lacks: %s, want %s", name, got, want)
		}
	}
	if !network.HasBelow(zones.MustName("example")) {
		t.Error("a name above the apex of a copy does not exist")
	}
	if _, is := network.LookupReverse(zones.MustName("3.2.1.10.in-addr.arpa"), qtype(t, "PTR")); !is {
		t.Error("the reverse name of a mapped address is not known")
	}
}
