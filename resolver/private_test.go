package resolver_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// TestRequirePrivate: a network that requires private addresses of a zone's names is given
// no public ones of the outside, and no other network is the worse for it.
func TestRequirePrivate(t *testing.T) {
	const alias = "open.database.windows.net. 300 IN CNAME open.privatelink.database.windows.net.\n"
	says := map[string]said{
		"open.database.windows.net A":      {records: alias + "open.privatelink.database.windows.net. 60 IN A 20.50.2.1", authenticated: true},
		"open.database.windows.net AAAA":   {records: alias + "open.privatelink.database.windows.net. 60 IN AAAA 2603:1020::1"},
		"open.database.windows.net ANY":    {},
		"open.database.windows.net TXT":    {records: alias + "open.privatelink.database.windows.net. 60 IN TXT x"},
		"onprem.database.windows.net A":    {records: "onprem.database.windows.net. 60 IN A 10.9.0.7\nonprem.database.windows.net. 60 IN A 20.50.2.2"},
		"ula.database.windows.net AAAA":    {records: "ula.database.windows.net. 60 IN AAAA fd00::7"},
		"plain.blob.core.windows.net A":    {records: "plain.blob.core.windows.net. 60 IN A 20.60.1.1"},
		"www.contoso.com A":                {records: "www.contoso.com. 60 IN CNAME plain.blob.core.windows.net.\nplain.blob.core.windows.net. 60 IN A 20.60.1.1"},
		"free.contoso.com A":               {records: "free.contoso.com. 60 IN A 20.60.1.2"},
		"mine.contoso.com A":               {records: "mine.contoso.com. 60 IN CNAME mydb.database.windows.net.\nmydb.database.windows.net. 60 IN A 20.60.1.2"},
		"hints.database.windows.net HTTPS": {records: "hints.database.windows.net. 60 IN HTTPS 1 . alpn=h2 ipv4hint=20.50.2.1"},
		"failing.database.windows.net A":   {rcode: dns.RcodeServerFailure},
	}
	network := func(name, clients string, required ...zones.Name) zones.NetworkSpec {
		return zones.NetworkSpec{
			Name: name, Clients: []netip.Prefix{netip.MustParsePrefix(clients)}, RequirePrivate: required,
			// An address of an endpoint is the operator's word.
			Endpoints: []zones.Endpoint{sql("mydb", "10.1.1.5"), sql("routed", "20.70.0.1")},
		}
	}
	table, err := zones.Build([]zones.NetworkSpec{
		network("strict", "10.0.0.0/16", zones.MustName("database.windows.net"), zones.MustName("blob.core.windows.net")),
		network("link", "10.1.0.0/16", zones.MustName("privatelink.database.windows.net")),
		network("open", "10.2.0.0/16"),
	})
	if err != nil {
		t.Fatal(err)
	}
	routes := []resolver.Route{{Suffix: zones.Root(), Group: "azure", To: saying(t, says, nil)}}
	snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Routes: map[string][]resolver.Route{"strict": routes, "link": routes, "open": routes}})
	if err != nil {
		t.Fatal(err)
	}
	const strict, link, open = "10.0.0.1", "10.1.0.1", "10.2.0.1"
	const to = "CNAME open.privatelink.database.windows.net."
	for _, test := range []struct{ why, client, name, qtype, want string }{
		{"public", strict, "open.database.windows.net", "A", "NOERROR | " + to + " | SOA database.windows.net. | 15 | require_private database.windows.net"},
		{"public IPv6", strict, "open.database.windows.net", "AAAA", "NOERROR | " + to + " | SOA database.windows.net. | 15 | require_private database.windows.net"},
		{"by the privatelink zone that the chain leads through", link, "open.database.windows.net", "A", "NOERROR | " + to + " | SOA privatelink.database.windows.net. | 15 | require_private privatelink.database.windows.net"},
		{"a resource without an endpoint is in no privatelink zone", link, "onprem.database.windows.net", "A", "NOERROR | A 10.9.0.7 | A 20.50.2.2 | forward ."},
		{"any", strict, "open.database.windows.net", "ANY", "NOERROR | " + to + " | AD | forward ."},
		{"another network", open, "open.database.windows.net", "A", "NOERROR | " + to + " | A 20.50.2.1 | AD | forward ."},
		{"no address", strict, "open.database.windows.net", "TXT", "NOERROR | " + to + ` | TXT "x" | forward .`},
		{"both kinds", strict, "onprem.database.windows.net", "A", "NOERROR | A 10.9.0.7 | require_private database.windows.net"},
		{"private IPv6", strict, "ula.database.windows.net", "AAAA", "NOERROR | AAAA fd00::7 | forward ."},
		{"behind an alias elsewhere", strict, "www.contoso.com", "A", "NOERROR | CNAME plain.blob.core.windows.net. | SOA blob.core.windows.net. | 15 | require_private blob.core.windows.net"},
		{"elsewhere", strict, "free.contoso.com", "A", "NOERROR | A 20.60.1.2 | forward ."},
		{"mapped", strict, "mydb.database.windows.net", "A", "NOERROR | CNAME mydb.privatelink.database.windows.net. | A 10.1.1.5 | endpoint mydb.database.windows.net"},
		{"mapped to a public address", strict, "routed.database.windows.net", "A", "NOERROR | CNAME routed.privatelink.database.windows.net. | A 20.70.0.1 | endpoint routed.database.windows.net"},
		{"an alias of what is mapped", strict, "mine.contoso.com", "A", "NOERROR | CNAME mydb.database.windows.net. | CNAME mydb.privatelink.database.windows.net. | A 10.1.1.5 | endpoint mydb.database.windows.net"},
		{"hints", strict, "hints.database.windows.net", "HTTPS", `NOERROR | HTTPS 1 . alpn="h2" | forward .`},
		{"a failure stays one", strict, "failing.database.windows.net", "A", "SERVFAIL | 0 | forward ."},
		{"no such name", strict, "gone.database.windows.net", "A", "NXDOMAIN | SOA . | forward ."},
	} {
		answer, trace := snapshot.Explain(context.Background(), query(test.client, test.name, test.qtype))
		got := []string{dns.RcodeToString[answer.Rcode]}
		for _, rr := range answer.Records {
			got = append(got, strings.Join(strings.Fields(rr.String())[3:], " "))
		}
		for _, rr := range answer.Authority {
			got = append(got, "SOA "+rr.Header().Name)
		}
		if answer.Authenticated {
			got = append(got, "AD")
		}
		for _, e := range answer.Errors {
			got = append(got, fmt.Sprint(e.Code))
		}
		got = append(got, answer.Rule())
		if diff := cmp.Diff(test.want, strings.Join(got, " | ")); diff != "" {
			t.Errorf("%s: (-want +got)\n%s%+v", test.why, diff, trace.Steps)
		}
	}
}
