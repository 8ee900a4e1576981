package resolver_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// TestDesignated: clients who ask for the encrypted ways to this server (RFC 9462) are
// told those that lead them to their own network, at addresses that they reach.
func TestDesignated(t *testing.T) {
	prefix := func(text string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(text)} }
	addr, sock := netip.MustParseAddr, netip.MustParseAddrPort
	own, err := dns.NewRR("_dns.dns.contoso.net. 60 IN SVCB 1 other.contoso.net. alpn=dot")
	if err != nil {
		t.Fatal(err)
	}
	table, err := zones.Build([]zones.NetworkSpec{
		{Name: "hub", Clients: prefix("10.0.0.0/16")},
		{Name: "tenant", Clients: prefix("10.0.0.0/16"), Listeners: []netip.AddrPort{sock("10.9.0.5:53")}, ServerNames: []zones.Name{zones.NameOf("tenant.contoso.net.")}},
		{Name: "byname", Clients: prefix("10.3.0.0/16"), Listeners: []netip.AddrPort{sock("10.9.0.6:53")}, ServerNames: []zones.Name{zones.NameOf("not-in-the-certificate.contoso.net.")}},
		{Name: "path", Clients: prefix("10.4.0.0/16"), Listeners: []netip.AddrPort{sock("10.9.0.7:53")}, Paths: []string{"path"}},
		{Name: "vpn", Clients: prefix("10.5.0.0/16")},
		{Name: "quiet", Clients: prefix("10.6.0.0/16")},
		{Name: "written", Clients: prefix("10.7.0.0/16"), Zones: []zones.ZoneSpec{{Name: zones.NameOf("contoso.net."), Missing: zones.Forward, Records: []dns.RR{own}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := resolver.Designated{
		Listeners: []resolver.EncryptedListener{
			{Addr: sock("[::]:443"), ALPN: []string{"h2"}, HTTP: true},
			{Addr: sock("10.0.0.4:8853"), ALPN: []string{"dot"}},
		},
		Names: []zones.Name{zones.NameOf("dns.contoso.net."), zones.NameOf("second.contoso.net.")},
		Holds: map[zones.Name][]netip.Addr{
			zones.NameOf("dns.contoso.net."):    {addr("2001:db8::4")},
			zones.NameOf("tenant.contoso.net."): {addr("10.9.0.5")},
		},
		Networks: map[string]resolver.DesignatedTo{
			"tenant": {Names: []zones.Name{zones.NameOf("tenant.contoso.net.")}},
			"path":   {Paths: []string{"path"}},
			"vpn":    {Addresses: []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")}},
			"quiet":  {Addresses: []netip.Addr{}},
		},
	}
	const both, any = "_dns.resolver.arpa.", ""
	for _, test := range []struct {
		why, client, listener, name, want string
	}{
		{"the address that the listener was opened at, and a name for the other", "10.0.0.1", "10.0.0.4:53", both,
			`1 dns.contoso.net. alpn="h2" port="443" dohpath="/dns-query{?dns}"|2 dns.contoso.net. alpn="dot" port="8853" ipv4hint="10.0.0.4"`},
		{"an address that only the certificate knows", "10.0.0.1", "[2001:db8::4]:53", both,
			`1 dns.contoso.net. alpn="h2" port="443" ipv6hint="2001:db8::4" dohpath="/dns-query{?dns}"`},
		{"an address that the certificate of another name knows", "10.0.0.1", "[2001:db8::4]:53", "_dns.second.contoso.net.",
			`1 second.contoso.net. alpn="h2" port="443" dohpath="/dns-query{?dns}"`},
		{"an address that may be a container's is not told", "10.0.0.1", "172.18.0.2:53", both, `1 dns.contoso.net. alpn="h2" port="443" dohpath="/dns-query{?dns}"`},
		{"no address is known", "10.0.0.1", any, both, any},
		{"the server of a name", "10.0.0.1", "172.18.0.2:53", "_dns.SECOND.contoso.net.", `1 second.contoso.net. alpn="h2" port="443" dohpath="/dns-query{?dns}"`},
		{"the server of a name that is another's", "10.0.0.1", "172.18.0.2:53", "_dns.fabrikam.com.", any},
		{"a network with a name of its own", "10.0.0.1", "10.9.0.5:53", both,
			`1 tenant.contoso.net. alpn="h2" port="443" ipv4hint="10.9.0.5" dohpath="/dns-query{?dns}"`},
		{"whose clients would be somebody else by the other name", "10.0.0.1", "10.9.0.5:53", "_dns.dns.contoso.net.", any},
		{"a name that the certificate does not have", "10.3.0.1", "10.9.0.6:53", both, any},
		{"a network with a path", "10.4.0.1", "10.9.0.7:53", both, `1 dns.contoso.net. alpn="h2" port="443" dohpath="/dns-query/path{?dns}"`},
		{"addresses of the network's own", "10.5.0.1", "172.18.0.2:53", both,
			`1 dns.contoso.net. alpn="h2" port="443" ipv4hint="192.0.2.1" ipv6hint="2001:db8::1" dohpath="/dns-query{?dns}"|` +
				`2 dns.contoso.net. alpn="dot" port="8853" ipv4hint="192.0.2.1" ipv6hint="2001:db8::1"`},
		{"a network that is told nothing", "10.6.0.1", "10.0.0.4:53", both, any},
		{"what the operator wrote goes before", "10.7.0.1", "10.0.0.4:53", "_dns.dns.contoso.net.", `1 other.contoso.net. alpn="dot"`},
		{"and only there", "10.7.0.1", "10.0.0.4:53", both,
			`1 dns.contoso.net. alpn="h2" port="443" dohpath="/dns-query{?dns}"|2 dns.contoso.net. alpn="dot" port="8853" ipv4hint="10.0.0.4"`},
	} {
		snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Designated: all})
		if err != nil {
			t.Fatal(err)
		}
		var listener netip.AddrPort
		if test.listener != any {
			listener = sock(test.listener)
		}
		q := resolver.NewClientQuery(zones.NameOf(strings.ToLower(test.name)), dns.TypeSVCB, zones.NewClient(addr(test.client), listener))
		q.Spelling = test.name
		answer := resolver.New(snapshot).Resolve(context.Background(), q)
		var got []string
		for _, record := range answer.Records {
			text := record.String()
			got = append(got, text[strings.Index(text, "SVCB\t")+len("SVCB\t"):])
			if record.Header().Name != test.name || answer.Reuse != resolver.Once {
				t.Errorf("%s: %s, to be used %v", test.why, record, answer.Reuse)
			}
		}
		if text := strings.Join(got, "|"); text != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.why, text, test.want)
		}
		if len(got) == 0 && test.name == both && (answer.Rcode != dns.RcodeSuccess || len(answer.Authority) != 1 || answer.Reuse != resolver.Once) {
			t.Errorf("%s: %s with %v, to be used %v, want NODATA", test.why, dns.RcodeToString[answer.Rcode], answer.Authority, answer.Reuse)
		}
	}
}
