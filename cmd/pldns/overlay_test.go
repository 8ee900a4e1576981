package main

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// Some names of a public zone answered inside leave the rest of it as it is, its own
// name and those with nothing but others below them included; and the wildcard of an
// endpoint leaves to the public what proves ownership.
func TestOverlayOfAPublicZone(t *testing.T) {
	upstream := resolvertest.StartUpstream(t, `
contoso.com. 300 IN SOA ns.contoso.com. hostmaster.contoso.com. 1 3600 600 86400 60
contoso.com. 300 IN A 203.0.113.10
contoso.com. 300 IN MX 10 mail.contoso.com.
contoso.com. 300 IN TXT "v=spf1 -all"
contoso.com. 300 IN NS ns.contoso.com.
www.contoso.com. 300 IN A 203.0.113.11
apps.contoso.com. 300 IN A 203.0.113.12
hub.contoso.com. 300 IN A 203.0.113.13
other.contoso.com. 300 IN A 203.0.113.14
_acme-challenge.shop.env.fabrikam.com. 300 IN TXT "proof"`)
	const zone = `
[networks.europe.zones."contoso.com"]
missing = %q
records = ["www A 10.0.0.80", "*.apps A 10.0.0.81", "a.hub A 10.0.0.82"]
`
	ask := func(r *running, rows [][3]string) {
		t.Helper()
		for _, row := range rows {
			if got := says(r.ask("udp", europe, row[0], dns.StringToType[row[1]])); got != row[2] {
				t.Errorf("%s %s: %s, want %s", row[0], row[1], got, row[2])
			}
		}
	}
	inside := [][3]string{
		{"www.contoso.com", "A", "NOERROR | A 10.0.0.80"},
		{"www.contoso.com", "MX", "NOERROR | SOA contoso.com."},
		{"x.apps.contoso.com", "A", "NOERROR | A 10.0.0.81"},
		{"a.hub.contoso.com", "A", "NOERROR | A 10.0.0.82"},
	}
	r := start(t, regions(fmt.Sprintf(zone, "forward")+
		"[networks.asia]\nclients = [\"127.0.8.0/24\"]\n[networks.asia.endpoints]\n\"*.env.fabrikam.com\" = \"10.0.9.9\"\n"+
		upstreamTable(upstream.Addr)))
	ask(r, append(inside, [][3]string{
		{"contoso.com", "MX", "NOERROR | MX 10 mail.contoso.com."},
		{"contoso.com", "TXT", `NOERROR | TXT "v=spf1 -all"`},
		{"contoso.com", "A", "NOERROR | A 203.0.113.10"},
		{"contoso.com", "NS", "NOERROR | NS ns.contoso.com."},
		{"contoso.com", "AAAA", "NOERROR | SOA contoso.com."},
		{"apps.contoso.com", "A", "NOERROR | A 203.0.113.12"},
		{"hub.contoso.com", "A", "NOERROR | A 203.0.113.13"},
		{"other.contoso.com", "A", "NOERROR | A 203.0.113.14"},
	}...))
	for _, row := range [][3]string{
		{"shop.env.fabrikam.com", "A", "NOERROR | A 10.0.9.9"},
		{"_acme-challenge.shop.env.fabrikam.com", "TXT", `NOERROR | TXT "proof"`},
	} {
		if got := says(r.ask("udp", "127.0.8.1", row[0], dns.StringToType[row[1]])); got != row[2] {
			t.Errorf("%s %s: %s, want %s", row[0], row[1], got, row[2])
		}
	}

	ask(start(t, regions(fmt.Sprintf(zone, "nxdomain")+upstreamTable(upstream.Addr))), append(inside, [][3]string{
		{"contoso.com", "MX", "NOERROR | SOA contoso.com."},
		{"apps.contoso.com", "A", "NOERROR | SOA contoso.com."},
		{"hub.contoso.com", "A", "NOERROR | SOA contoso.com."},
		{"other.contoso.com", "A", "NXDOMAIN | EDE 0 | SOA contoso.com."},
	}...))
}
