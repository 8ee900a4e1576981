package main

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// Of two networks with the same endpoint, the clients of the one that has a NAT64 are given
// IPv6 addresses, over each way that the answers come by: decided, remembered, and
// explained. What is known of the name serves both.
func TestDNS64(t *testing.T) {
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData,
		"four.contoso.com. 300 IN A 20.50.2.1", "1.2.50.20.in-addr.arpa. 300 IN PTR four.contoso.com.")
	r := start(t, strings.Replace(regions(upstreamTable(upstream.Addr)), "[networks.europe]", "[networks.europe]\ndns64 = \"64:ff9b:1::/96\"", 1))
	arpa, err := dns.ReverseAddr("64:ff9b:1::20.50.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		client, qname string
		qtype         uint16
		want          string
	}{
		{europe, "momenta-eun.database.windows.net", dns.TypeAAAA, "NOERROR | CNAME momenta-eun.privatelink.database.windows.net. | AAAA 64:ff9b:1::a00:104"},
		{europe, "momenta-eun.database.windows.net", dns.TypeA, "NOERROR | CNAME momenta-eun.privatelink.database.windows.net. | A 10.0.1.4"},
		{australia, "momenta-eun.database.windows.net", dns.TypeAAAA, "NOERROR | CNAME momenta-eun.privatelink.database.windows.net. | SOA privatelink.database.windows.net."},
		{europe, "four.contoso.com", dns.TypeAAAA, "NOERROR | AAAA 64:ff9b:1::1432:201"},
		{australia, "four.contoso.com", dns.TypeAAAA, "NOERROR | SOA contoso.com."},
		{europe, arpa, dns.TypePTR, "NOERROR | CNAME 1.2.50.20.in-addr.arpa. | PTR four.contoso.com."},
	} {
		for _, transport := range []string{"udp", "udp", "tcp"} {
			if got := says(r.ask(transport, test.client, test.qname, test.qtype)); got != test.want {
				t.Errorf("%s %s over %s from %s:\n got %s\nwant %s", test.qname, dns.TypeToString[test.qtype], transport, test.client, got, test.want)
			}
		}
	}
	explained := r.get("/api/explain?name=four.contoso.com&type=AAAA&client=" + europe)
	if !strings.Contains(explained, `"stage": "dns64"`) || !strings.Contains(explained, "64:ff9b:1::1432:201") {
		t.Errorf("explained as %s", explained)
	}
	if shown := r.get("/api/networks"); !strings.Contains(shown, `"dns64": "64:ff9b:1::/96"`) {
		t.Errorf("shown as %s", shown)
	}
}
