package resolver_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// nat64 is a snapshot of a network whose hosts have IPv6 alone, and of one that is
// otherwise the same.
func nat64(tb testing.TB, to resolver.Exchanger) *resolver.Snapshot {
	tb.Helper()
	by, err := zones.NewDNS64(netip.MustParsePrefix("64:ff9b:1::/96"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:bad::/48"))
	if err != nil {
		tb.Fatal(err)
	}
	both := sql("both", "10.1.1.6")
	both.Addresses = append(both.Addresses, netip.MustParseAddr("fd00::6"))
	network := func(name, clients string, by *zones.DNS64) zones.NetworkSpec {
		return zones.NetworkSpec{
			Name: name, Clients: []netip.Prefix{netip.MustParsePrefix(clients)}, DNS64: by,
			Endpoints: []zones.Endpoint{sql("mydb", "10.1.1.5"), sql("no", "198.51.100.1"), both},
		}
	}
	table, err := zones.Build([]zones.NetworkSpec{network("six", "fd00:6::/32", by), network("four", "10.0.0.0/8", nil)})
	if err != nil {
		tb.Fatal(err)
	}
	routes := []resolver.Route{{Suffix: zones.NameOf("."), Group: "azure", To: to}}
	snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Routes: map[string][]resolver.Route{"six": routes, "four": routes}})
	if err != nil {
		tb.Fatal(err)
	}
	return snapshot
}

// TestDNS64: hosts that have IPv6 alone are given addresses that their NAT64 translates, of
// mapped and of forwarded names, and nobody else is.
func TestDNS64(t *testing.T) {
	const none = ". 60 IN SOA . . 1 1 1 1 30"
	says := map[string]said{
		"four.contoso.com AAAA":      {records: none},
		"four.contoso.com A":         {records: "four.contoso.com. 300 IN A 203.0.113.7\nfour.contoso.com. 20 IN A 198.51.100.9"},
		"six.contoso.com AAAA":       {records: "six.contoso.com. 300 IN AAAA 2001:db8::1", authenticated: true},
		"chain.contoso.com AAAA":     {records: "chain.contoso.com. 60 IN CNAME end.contoso.com.\n" + none},
		"chain.contoso.com A":        {records: "chain.contoso.com. 60 IN CNAME end.contoso.com.\nend.contoso.com. 10 IN A 203.0.113.8"},
		"alias.contoso.com AAAA":     {records: "alias.contoso.com. 60 IN CNAME mydb.database.windows.net."},
		"alias.contoso.com A":        {records: "alias.contoso.com. 60 IN CNAME mydb.database.windows.net."},
		"fails.contoso.com AAAA":     {rcode: dns.RcodeServerFailure},
		"fails.contoso.com A":        {records: "fails.contoso.com. 700 IN A 203.0.113.9"},
		"broken.contoso.com AAAA":    {rcode: dns.RcodeServerFailure},
		"broken.contoso.com A":       {rcode: dns.RcodeServerFailure},
		"late.contoso.com AAAA":      {records: none},
		"late.contoso.com A":         {rcode: dns.RcodeServerFailure},
		"nothing.contoso.com AAAA":   {records: none},
		"nothing.contoso.com A":      {records: none},
		"mapped.contoso.com AAAA":    {records: "mapped.contoso.com. 60 IN AAAA ::ffff:203.0.113.1"},
		"mapped.contoso.com A":       {records: "mapped.contoso.com. 60 IN A 203.0.113.1"},
		"half.contoso.com AAAA":      {records: "half.contoso.com. 60 IN AAAA 2001:db8:bad::1\nhalf.contoso.com. 60 IN AAAA 2001:db8::2"},
		"bad.contoso.com AAAA":       {records: "bad.contoso.com. 60 IN AAAA 2001:db8:bad::1"},
		"bad.contoso.com A":          {records: none},
		"1.2.50.20.in-addr.arpa PTR": {records: "1.2.50.20.in-addr.arpa. 60 IN PTR four.contoso.com."},
	}
	const six, four = "fd00:6::1", "10.0.0.1"
	for _, test := range []struct {
		why, client, name, qtype string
		want                     []string
	}{
		{"a mapped name", six, "mydb.database.windows.net", "AAAA", []string{"NOERROR", "mydb.database.windows.net. CNAME mydb.privatelink.database.windows.net.", "mydb.privatelink.database.windows.net. 10 AAAA 64:ff9b:1::a01:105"}},
		{"of another network", four, "mydb.database.windows.net", "AAAA", []string{"NOERROR", "mydb.database.windows.net. CNAME mydb.privatelink.database.windows.net.", "denied"}},
		{"a mapped name, for A", six, "mydb.database.windows.net", "A", []string{"NOERROR", "mydb.database.windows.net. CNAME mydb.privatelink.database.windows.net.", "mydb.privatelink.database.windows.net. 10 A 10.1.1.5"}},
		{"a mapped name that has both", six, "both.database.windows.net", "AAAA", []string{"NOERROR", "both.database.windows.net. CNAME both.privatelink.database.windows.net.", "both.privatelink.database.windows.net. 10 AAAA fd00::6"}},
		{"a mapped name whose address is excluded", six, "no.database.windows.net", "AAAA", []string{"NOERROR", "no.database.windows.net. CNAME no.privatelink.database.windows.net.", "denied"}},
		{"a forwarded name, no longer than it is known to have none", six, "four.contoso.com", "AAAA", []string{"NOERROR", "four.contoso.com. 30 AAAA 64:ff9b:1::cb00:7107"}},
		{"of another network", four, "four.contoso.com", "AAAA", []string{"NOERROR", "denied"}},
		{"a forwarded name that has AAAA", six, "six.contoso.com", "AAAA", []string{"NOERROR", "six.contoso.com. 300 AAAA 2001:db8::1", "authenticated"}},
		{"a chain outside", six, "chain.contoso.com", "AAAA", []string{"NOERROR", "chain.contoso.com. CNAME end.contoso.com.", "end.contoso.com. 10 AAAA 64:ff9b:1::cb00:7108"}},
		{"a chain that comes in", six, "alias.contoso.com", "AAAA", []string{"NOERROR", "alias.contoso.com. CNAME mydb.database.windows.net.", "mydb.database.windows.net. CNAME mydb.privatelink.database.windows.net.", "mydb.privatelink.database.windows.net. 10 AAAA 64:ff9b:1::a01:105"}},
		{"AAAA fails", six, "fails.contoso.com", "AAAA", []string{"NOERROR", "fails.contoso.com. 600 AAAA 64:ff9b:1::cb00:7109"}},
		{"both fail", six, "broken.contoso.com", "AAAA", []string{"SERVFAIL"}},
		{"A fails", six, "late.contoso.com", "AAAA", []string{"NOERROR", "denied"}},
		{"there is neither", six, "nothing.contoso.com", "AAAA", []string{"NOERROR", "denied"}},
		{"there is no name, and A is not asked for", six, "gone.contoso.com", "AAAA", []string{"NXDOMAIN", "denied"}},
		{"an IPv4 address in IPv6 form counts as none", six, "mapped.contoso.com", "AAAA", []string{"NOERROR", "mapped.contoso.com. 60 AAAA 64:ff9b:1::cb00:7101"}},
		{"one of two is excluded", six, "half.contoso.com", "AAAA", []string{"NOERROR", "half.contoso.com. 60 AAAA 2001:db8::2"}},
		{"all are excluded, and there is no A", six, "bad.contoso.com", "AAAA", []string{"NOERROR"}},
		{"the name of an address", six, arpa(t, "64:ff9b:1::20.50.2.1"), "PTR", []string{"NOERROR", arpa(t, "64:ff9b:1::20.50.2.1") + ". CNAME 1.2.50.20.in-addr.arpa.", "1.2.50.20.in-addr.arpa. 60 PTR four.contoso.com."}},
		{"the name of an endpoint's address", six, arpa(t, "64:ff9b:1::10.1.1.5"), "PTR", []string{"NOERROR", arpa(t, "64:ff9b:1::10.1.1.5") + ". CNAME 5.1.1.10.in-addr.arpa.", "5.1.1.10.in-addr.arpa. 10 PTR mydb.database.windows.net."}},
		{"the name of an address, of another network", four, arpa(t, "64:ff9b:1::20.50.2.1"), "PTR", []string{"NXDOMAIN", "denied"}},
	} {
		snapshot := nat64(t, saying(t, says, nil))
		q := query(test.client, test.name, test.qtype)
		q.DNSSEC = true
		answer, trace := snapshot.Explain(context.Background(), q)
		got := []string{dns.RcodeToString[answer.Rcode]}
		for _, rr := range answer.Records {
			fields := strings.Fields(rr.String())
			if fields[3] == "CNAME" {
				fields[1] = ""
			}
			got = append(got, strings.Join(strings.Fields(fields[0]+" "+fields[1]+" "+fields[3]+" "+fields[4]), " "))
		}
		if len(answer.Authority) > 0 {
			got = append(got, "denied")
		}
		if answer.Authenticated {
			got = append(got, "authenticated")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s%+v", test.why, diff, trace.Steps)
		}
	}
}

// TestDNS64ForValidators: who asks for signatures and checks them does this itself (RFC 6147
// section 5.5).
func TestDNS64ForValidators(t *testing.T) {
	q := query("fd00:6::1", "mydb.database.windows.net", "AAAA")
	q.DNSSEC, q.CheckingDisabled = true, true
	if answer := resolver.New(nat64(t, nil)).Resolve(context.Background(), q); len(answer.Records) != 1 || len(answer.Authority) != 1 {
		t.Errorf("%v", lines(answer))
	}
}

// arpa is the name of an address below ip6.arpa.
func arpa(tb testing.TB, addr string) string {
	tb.Helper()
	name, err := dns.ReverseAddr(netip.MustParseAddr(addr).String())
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSuffix(name, ".")
}
