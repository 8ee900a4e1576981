package observe_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/observe"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// answered is a query by a client of a network, and its reply with records.
func answered(t testing.TB, network, client, name string, rcode int, records string) *listen.Exchange {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	m.Response, m.Rcode, m.Answer = true, rcode, resolvertest.RRs(t, records)
	reply, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	asker := zones.NewClient(netip.MustParseAddr(client), netip.MustParseAddrPort("10.0.0.4:53"))
	return &listen.Exchange{
		Transport: "udp", Query: resolver.NewClientQuery(zones.MustName(name), dns.TypeA, asker), Reply: reply,
		Answer: resolver.Answer{Network: network, Rcode: rcode, Source: resolver.FromLocal},
	}
}

func TestFilter(t *testing.T) {
	seen := map[string]*listen.Exchange{
		"good":    answered(t, "europe", "10.0.0.7", "mydb.database.windows.net", 0, "mydb.database.windows.net. 10 IN A 10.0.1.4"),
		"alias":   answered(t, "europe", "10.0.0.8", "www.contoso.com", 0, "www.contoso.com. 10 IN CNAME gone.contoso.com."),
		"gone":    answered(t, "asia", "fd00::7", "wpad.contoso.com", dns.RcodeNameError, ""),
		"failed":  answered(t, "asia", "10.1.0.7", "broken.contoso.com", dns.RcodeServerFailure, ""),
		"refused": answered(t, "", "192.0.2.1", "mydb.database.windows.net", dns.RcodeRefused, ""),
		"strange": answered(t, "asia", "10.1.0.7", "strange.contoso.com", dns.RcodeNotImplemented, ""),
	}
	seen["alias"].Transport = "doq"
	for _, row := range []struct{ query, want string }{
		{"", "alias failed gone good refused strange"},
		{"network=europe", "alias good"},
		{"network=europe&network=asia", "alias failed gone good strange"},
		{"network=", "refused"},
		{"client=10.0.0.7", "good"},
		{"client=10.0.0.0/8", "alias failed good strange"},
		{"client=fd00::/16&client=192.0.2.1", "gone refused"},
		{"client=::ffff:10.0.0.7", "good"},
		{"name=MyDB", "good refused"},
		{"name=mydb.database.windows.net.", "good refused"},
		{"name=*.contoso.com", "alias failed gone strange"},
		{"name=w*.contoso.com", "alias gone"},
		{"name=*o*o*o*.com", "alias failed gone strange"},
		{"name=contoso*", ""},
		{"name=*a*&network=asia", "gone strange"},
		{"outcome=answered", "good"},
		{"outcome=nodata", "alias"},
		{"outcome=NXDOMAIN,nodata", "alias gone"},
		{"outcome=failed", "failed refused strange"},
		{"outcome=servfail&outcome=refused", "failed refused"},
		{"network=asia&outcome=answered", ""},
		{"client=&name=&outcome=&transport=", "alias failed gone good refused strange"},
		{"transport=udp", "failed gone good refused strange"},
		{"transport=doq&transport=h3", "alias"},
	} {
		values, _ := url.ParseQuery(row.query)
		filter, err := observe.ParseFilter(values)
		if err != nil {
			t.Errorf("%s: %v", row.query, err)
		}
		var found []string
		for _, name := range []string{"alias", "failed", "gone", "good", "refused", "strange"} {
			if filter.Match(seen[name]) {
				found = append(found, name)
			}
		}
		if got := strings.Join(found, " "); got != row.want {
			t.Errorf("%q finds %q, want %q", row.query, got, row.want)
		}
	}
	for query, says := range map[string]string{
		"client=ten": "neither an address nor a prefix", "outcome=good": "write answered, nodata", "name=" + strings.Repeat("*", 17): "at most 16 stars",
		strings.Repeat("client=10.0.0.1&", 17): "client: at most 16", "client=x&outcome=y": "outcome: ",
		"transport=quic": `transport: "quic" is no transport: write udp, tcp, dot, doh, doq or h3`,
	} {
		values, _ := url.ParseQuery(query)
		if _, err := observe.ParseFilter(values); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", query, err)
		}
	}
}
