package zones_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

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
		{"the door narrows first", "10.0.200.7", "10.9.0.5:53", "fabrikam 10.0.0.0/16 by listener 10.9.0.5:53"},
		{"the door in IPv6 form", "10.0.200.7", "[::ffff:10.9.0.5]:53", "fabrikam 10.0.0.0/16 by listener 10.9.0.5:53"},
		{"a claimed door takes nobody else", "10.200.1.1", "10.9.0.5:53", "none"},
		{"a door without prefixes takes all", "203.0.113.9", "10.9.0.6:53", "guests 0.0.0.0/0 by listener 10.9.0.6:53"},
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
				if !match.Door.IsZero() {
					got += " by " + match.Door.String()
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

func TestBuildRefuses(t *testing.T) {
	twice := spec("n", "10.0.0.0/8")
	twice.Endpoints = []zones.Endpoint{endpoint("a.contoso.com", "", "", "10.0.0.1"), endpoint("A.contoso.com", "", "", "10.0.0.2")}
	for _, test := range []struct {
		name  string
		specs []zones.NetworkSpec
		want  string
	}{
		{"one prefix, two networks", []zones.NetworkSpec{spec("a", "10.0.0.0/16"), spec("b", "10.0.0.0/16")}, "networks a and b both match clients of 10.0.0.0/16"},
		{"one prefix and door, two networks", []zones.NetworkSpec{spec("a", "10.0.0.0/16", "10.9.0.5:53"), spec("b", "10.0.0.0/16", "10.9.0.5:53")}, "both match"},
		{"nobody matches", []zones.NetworkSpec{{Name: "a"}}, "nobody can match it"},
		{"mapped twice", []zones.NetworkSpec{twice}, "a.contoso.com is mapped twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := zones.Build(test.specs); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
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
