package routes

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What an interface is, as each system says it.
func TestKinds(t *testing.T) {
	for _, test := range []struct {
		name      string
		got, want Kind
		tunnel    bool
	}{
		{"WireGuard", ofLinux("wireguard", false, false, false), WireGuard, true},
		{"OpenVPN", ofLinux("tuntap", false, false, false), Tun, true},
		{"OpenVPN, bridged", ofLinux("tun", false, true, false), Tap, true},
		{"OpenVPN in the kernel", ofLinux("ovpn", false, false, false), Tunnel, true},
		{"L2TP", ofLinux("ppp", false, false, false), PPP, true},
		{"strongSwan with interfaces", ofLinux("xfrm", false, false, false), IPsec, true},
		{"a network card", ofLinux("device", false, true, false), Ethernet, false},
		{"Wi-Fi", ofLinux("device", false, true, true), WiFi, false},
		{"Docker", ofLinux("bridge", false, true, false), Bridge, false},
		{"loopback", ofLinux("device", true, false, false), Loopback, false},
		{"something new", ofLinux("device", false, false, false), Other, false},
		{"macOS: WireGuard, Azure, iCloud", ofMac("utun4"), Tun, true},
		{"macOS: IKEv2", ofMac("ipsec0"), IPsec, true},
		{"macOS: L2TP", ofMac("ppp0"), PPP, true},
		{"macOS: Ethernet or Wi-Fi", ofMac("en0"), Ethernet, false},
		{"macOS: sharing", ofMac("bridge100"), Bridge, false},
		{"macOS: loopback", ofMac("lo0"), Loopback, false},
		{"macOS: AirDrop", ofMac("awdl0"), Other, false},
		{"Windows: IKEv2", ofWindows(23, "WAN Miniport (IKEv2)"), PPP, true},
		{"Windows: the Azure VPN Client, SSTP", ofWindows(23, "contoso-hub-weu"), PPP, true},
		{"Windows: WireGuard", ofWindows(53, "WireGuard Tunnel"), WireGuard, true},
		{"Windows: OpenVPN", ofWindows(6, "TAP-Windows Adapter V9"), Tap, true},
		{"Windows: OpenVPN 2.6", ofWindows(6, "OpenVPN Data Channel Offload"), Tun, true},
		{"Windows: Wintun", ofWindows(53, "Wintun Userspace Tunnel"), Tun, true},
		{"Windows: a network card", ofWindows(6, "Intel(R) Ethernet Connection I219-LM"), Ethernet, false},
		{"Windows: Wi-Fi", ofWindows(71, "Intel(R) Wi-Fi 6 AX201 160MHz"), WiFi, false},
		{"Windows: WSL", ofWindows(6, "Hyper-V Virtual Ethernet Adapter"), Bridge, false},
		{"Windows: loopback", ofWindows(24, "Software Loopback Interface 1"), Loopback, false},
		{"Windows: Teredo", ofWindows(131, "Microsoft Teredo Tunneling Adapter"), Tunnel, true},
	} {
		if test.got != test.want || test.got.IsTunnel() != test.tunnel {
			t.Errorf("%s: %s, a tunnel: %t; want %s, %t", test.name, test.got, test.got.IsTunnel(), test.want, test.tunnel)
		}
	}
}

// Of a table counts what leads beyond an interface, and the longest prefix decides.
func TestTables(t *testing.T) {
	var lines []entry
	for _, text := range []string{
		"10.1.0.0/16", "10.0.0.0/16", "10.1.0.0/16", "0.0.0.0/0", "172.16.10.3/32", "172.16.10.0/25", "224.0.0.0/4", "fe80::/64",
		"ff00::/8", "255.255.255.255/32", "fd00:10::/48",
	} {
		lines = append(lines, entry{netip.MustParsePrefix(text), 7})
	}
	lines = append(lines, entry{netip.MustParsePrefix("10.1.1.0/24"), 8})
	own := []netip.Prefix{netip.MustParsePrefix("172.16.10.3/25")}
	var got []string
	for _, prefix := range routesInto(7, own, lines) {
		got = append(got, prefix.String())
	}
	want := []string{"0.0.0.0/0", "10.0.0.0/16", "10.1.0.0/16", "172.16.10.0/25", "fd00:10::/48"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for to, want := range map[string]string{"10.1.1.4": "10.1.0.0/16", "192.0.2.1": "0.0.0.0/0", "fd00:10::1": "fd00:10::/48", "2001:db8::1": "invalid Prefix"} {
		if got := longest(netip.MustParseAddr(to), 7, lines).String(); got != want {
			t.Errorf("%s by %s, want %s", to, got, want)
		}
	}
}

// Addresses of interfaces come in two lengths, and those of the link do not count.
func TestAddressesOfInterfaces(t *testing.T) {
	got := prefixesOf([]net.Addr{
		&net.IPNet{IP: net.ParseIP("192.168.1.23"), Mask: net.CIDRMask(24, 32)},
		&net.IPNet{IP: net.ParseIP("10.0.0.4"), Mask: net.CIDRMask(96+16, 128)},
		&net.IPNet{IP: net.ParseIP("fe80::1"), Mask: net.CIDRMask(64, 128)},
		&net.IPNet{IP: net.ParseIP("fd00::4"), Mask: net.CIDRMask(64, 128)},
		&net.IPNet{IP: net.ParseIP("10.0.0.5"), Mask: net.IPMask{255, 0, 255, 0}},
		&net.IPAddr{IP: net.ParseIP("10.0.0.6")},
	})
	want := []netip.Prefix{netip.MustParsePrefix("192.168.1.23/24"), netip.MustParsePrefix("10.0.0.4/16"), netip.MustParsePrefix("fd00::4/64")}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The system on which the test runs sends what is for itself to itself.
func TestThisSystem(t *testing.T) {
	route, err := System{}.Lookup(netip.MustParseAddr("::ffff:127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	if route.Kind != Loopback || route.Tunnel || route.OnLink() || route.To.String() != "127.0.0.1" || route.Source.String() != "127.0.0.1" {
		t.Errorf("%+v", route)
	}
	interfaces, err := System{}.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(interfaces, func(i Interface) bool { return i.Kind == Loopback && i.Name == route.Interface }) {
		t.Errorf("no loopback in %+v", interfaces)
	}
}
