package zones_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/zones"
)

func spec(name, clients string, listeners ...string) zones.NetworkSpec {
	s := zones.NetworkSpec{Name: name}
	for _, prefix := range strings.Fields(clients) {
		s.Clients = append(s.Clients, netip.MustParsePrefix(prefix))
	}
	for _, listener := range listeners {
		s.Listeners = append(s.Listeners, netip.MustParseAddrPort(listener))
	}
	return s
}

func TestNetworkFor(t *testing.T) {
	table := build(t,
		spec("hub", "10.0.0.0/8 fd00::/8"),
		spec("europe", "10.0.0.0/16"),
		spec("pool", "10.0.200.0/25 fd00:1::/32"),
		spec("fabrikam", "10.0.0.0/16", "10.9.0.5:53"),
		spec("guests", "", "10.9.0.6:53"),
		spec("tailspin", "10.0.0.0/16", "[::]:5353"),
	)
	for _, test := range []struct{ name, client, listener, want string }{
		{"longest prefix wins", "10.0.200.7", "10.9.0.4:53", "pool 10.0.200.0/25"},
		{"next longer", "10.0.1.1", "10.9.0.4:53", "europe 10.0.0.0/16"},
		{"shortest", "10.200.1.1", "10.9.0.4:53", "hub 10.0.0.0/8"},
		{"IPv6", "fd00:1::7", "10.9.0.4:53", "pool fd00:1::/32"},
		{"IPv6, shorter", "fd00:2::7", "10.9.0.4:53", "hub fd00::/8"},
		{"IPv4 in IPv6", "::ffff:10.0.1.1", "10.9.0.4:53", "europe 10.0.0.0/16"},
		{"zone of an address is nothing", "fd00:2::7%eth0", "10.9.0.4:53", "hub fd00::/8"},
		{"the ingress narrows first", "10.0.200.7", "10.9.0.5:53", "fabrikam 10.0.0.0/16 by listener 10.9.0.5:53"},
		{"the ingress in IPv6 form", "10.0.200.7", "[::ffff:10.9.0.5]:53", "fabrikam 10.0.0.0/16 by listener 10.9.0.5:53"},
		{"a claimed ingress takes nobody else", "10.200.1.1", "10.9.0.5:53", "none"},
		{"an ingress without prefixes takes all", "203.0.113.9", "10.9.0.6:53", "guests 0.0.0.0/0 by listener 10.9.0.6:53"},
		{"every address of a port", "10.0.1.1", "192.0.2.1:5353", "tailspin 10.0.0.0/16 by listener [::]:5353"},
		{"unlisted", "203.0.113.9", "10.9.0.4:53", "none"},
		{"unlisted IPv6", "2001:db8::1", "10.9.0.4:53", "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := zones.NewClient(netip.MustParseAddr(test.client), netip.MustParseAddrPort(test.listener))
			match, found := table.NetworkFor(client)
			got := "none"
			if found {
				got = fmt.Sprint(match.Network.Name(), " ", match.Prefix)
				if !match.Ingress.IsZero() {
					got += " by " + match.Ingress.String()
				}
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if network, same := table.NetworkOf(client); same != found || network != match.Network {
				t.Errorf("NetworkOf gives %v, %v", network, same)
			}
		})
	}
	if _, found := table.NetworkFor(zones.Client{}); found {
		t.Error("a client without an address has a network")
	}
	if _, found := table.NetworkOf(zones.Client{}); found {
		t.Error("a client without an address has a network, to be quick")
	}
	for i, network := range table.Networks() {
		if network.Number() != uint32(i) {
			t.Errorf("network %d has the number %d", i, network.Number())
		}
	}
}

// mapping is a network with endpoints, and with the records of one zone.
func mapping(records []dns.RR, endpoints ...zones.Endpoint) zones.NetworkSpec {
	s := spec("n", "10.0.0.0/8")
	s.Endpoints = endpoints
	if records != nil {
		s.Zones = []zones.ZoneSpec{{Name: zones.MustName("contoso.com"), Records: records}}
	}
	return s
}

// TestClashes shows what keeps networks from being one table, and who is told of.
func TestClashes(t *testing.T) {
	const private, zone = "p.privatelink.contoso.com", "privatelink.contoso.com"
	path := spec("b", "10.1.0.0/16")
	path.Paths = []string{"a"}
	for _, test := range []struct {
		name      string
		specs     []zones.NetworkSpec
		listeners string
		want      []string
	}{
		{"one prefix, two networks", []zones.NetworkSpec{spec("a", "10.0.0.0/16"), spec("b", "10.0.0.0/16")}, "",
			[]string{"network b: the same clients as another network: 10.0.0.0/16: a"}},
		{"one prefix and ingress, two networks", []zones.NetworkSpec{spec("a", "10.0.0.0/16", "10.9.0.5:53"), spec("b", "10.0.0.0/16", "10.9.0.5:53")}, "",
			[]string{"network b: the same clients as another network: 10.0.0.0/16: listener 10.9.0.5:53: a"}},
		{"the path of another", []zones.NetworkSpec{spec("a", "10.0.0.0/16"), path}, "",
			[]string{"network b: the name of another network: path /dns-query/a: a"}},
		{"no clients", []zones.NetworkSpec{{Name: "a"}}, "", []string{"network a: neither clients nor ingresses"}},
		{"covered", []zones.NetworkSpec{spec("a", "10.0.0.0/8"), spec("b", "10.0.0.0/9 10.1.0.0/16"), spec("c", "10.128.0.0/9")}, "",
			[]string{"network a: longer prefixes cover all clients: b, c"}},
		{"not covered by its own", []zones.NetworkSpec{spec("a", "10.0.0.0/8 10.0.0.0/9"), spec("b", "10.128.0.0/9")}, "", nil},
		{"no listener", []zones.NetworkSpec{spec("a", "10.0.0.0/16"), spec("b", "10.0.0.0/16", "10.9.0.5:53")}, "10.9.0.5:53",
			[]string{"network a: no listener is left"}},
		{"one of two listeners", []zones.NetworkSpec{spec("a", "10.0.0.0/16"), spec("b", "10.0.0.0/16", "10.9.0.5:53")}, "10.9.0.5:53 10.9.0.6:53", nil},
		{"every address", []zones.NetworkSpec{spec("a", "10.0.0.0/16"), spec("b", "10.0.0.0/16", "10.9.0.5:53")}, "0.0.0.0:53", nil},
		{"every address of a port", []zones.NetworkSpec{spec("a", "10.0.0.0/16"), spec("b", "10.0.0.0/16", "[::]:53")}, "0.0.0.0:53",
			[]string{"network a: no listener is left"}},
		{"mapped twice", []zones.NetworkSpec{mapping(nil, endpoint("b.contoso.com", "", "", "10.0.0.1"),
			endpoint("a.contoso.com", "", "", "10.0.0.1"), endpoint("B.contoso.com", "", "", "10.0.0.2"))}, "",
			[]string{"network n: mapped twice: b.contoso.com: endpoint 2 after endpoint 0"}},
		{"mapped and recorded", []zones.NetworkSpec{mapping(records(t, "a.contoso.com. A 10.0.0.2"), endpoint("a.contoso.com", "", "", "10.0.0.1"))}, "",
			[]string{"network n: mapped twice: a.contoso.com: endpoint 0 after a.contoso.com. A"}},
		{"a private name, shared", []zones.NetworkSpec{mapping(nil, endpoint("a.contoso.com", private, zone, "10.0.0.1"),
			endpoint("b.contoso.com", private, zone, "10.0.0.1"))}, "", nil},
		{"a private name, otherwise", []zones.NetworkSpec{mapping(nil, endpoint("b.contoso.com", private, zone, "10.0.0.1"),
			endpoint("a.contoso.com", private, zone, "10.0.0.2"))}, "",
			[]string{"network n: different settings of one private name: p.privatelink.contoso.com: endpoint 1 after endpoint 0"}},
		{"a private name that is mapped", []zones.NetworkSpec{mapping(nil, endpoint("a.contoso.com", private, zone, "10.0.0.1"),
			endpoint(private, "", "", "10.0.0.1"))}, "", []string{"network n: mapped twice: p.privatelink.contoso.com: endpoint 1 after endpoint 0"}},
		{"wildcards", []zones.NetworkSpec{mapping(nil, endpoint("*.contoso.com", "", "", "10.0.0.1"), endpoint("*.contoso.com", "", "", "10.0.0.1"))}, "",
			[]string{"network n: mapped twice: *.contoso.com: endpoint 1 after endpoint 0"}},
		{"two at once", []zones.NetworkSpec{mapping(nil, endpoint("a.contoso.com", "", "", "10.0.0.1"), endpoint("a.contoso.com", "", "", "10.0.0.1")),
			spec("a", "10.0.0.0/8")}, "", []string{
			"network n: mapped twice: a.contoso.com: endpoint 1 after endpoint 0",
			"network a: the same clients as another network: 10.0.0.0/8: n",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var listeners []netip.AddrPort
			for _, listener := range strings.Fields(test.listeners) {
				listeners = append(listeners, netip.MustParseAddrPort(listener))
			}
			_, err := zones.Build(test.specs, listeners...)
			var clashes zones.Clashes
			if errors.As(err, &clashes); err != nil && len(clashes) == 0 {
				t.Fatalf("Build gives %v", err)
			}
			var got []string
			for _, clash := range clashes {
				text := clash.String()
				if !clash.Name.IsZero() {
					text += fmt.Sprintf(": %s after %s", claimed(clash.Later), claimed(clash.First))
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("clashes (-want +got):\n%s", diff)
			}
		})
	}
}

func claimed(c zones.Claim) string {
	if c.Record != nil {
		return c.Record.Header().Name + " " + dns.Type(c.Record.Header().Rrtype).String()
	}
	return fmt.Sprint("endpoint ", c.Endpoint)
}

func BenchmarkNetworkFor(b *testing.B) {
	for _, count := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			var specs []zones.NetworkSpec
			for i := range count {
				specs = append(specs, spec(fmt.Sprint(i), fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)))
			}
			table := build(b, specs...)
			client := zones.NewClient(netip.MustParseAddr("10.0.0.77"), netip.AddrPort{})
			b.Run("for", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					table.NetworkFor(client)
				}
			})
			b.Run("of", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					table.NetworkOf(client)
				}
			})
		})
	}
}
