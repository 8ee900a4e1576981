package routes

import "strings"

// ofLinux is the kind of an interface by what rtnetlink calls its link. A tun link
// that carries Ethernet is a tap.
func ofLinux(link string, loopback, ethernet, wireless bool) Kind {
	switch link {
	case "wireguard":
		return WireGuard
	case "tun", "tuntap":
		if ethernet {
			return Tap
		}
		return Tun
	case "ppp":
		return PPP
	case "xfrm", "vti", "vti6":
		return IPsec
	case "gre", "gretap", "ip6gre", "ip6gretap", "ipip", "ip6tnl", "sit", "l2tp", "geneve", "vxlan", "ovpn", "erspan":
		return Tunnel
	case "bridge", "openvswitch":
		return Bridge
	}
	switch {
	case loopback:
		return Loopback
	case wireless:
		return WiFi
	case ethernet:
		return Ethernet
	default:
		return Other
	}
}

// ofMac is the kind of an interface of macOS, which says it in its name.
func ofMac(name string) Kind {
	switch strings.TrimRight(name, "0123456789") {
	case "lo":
		return Loopback
	case "utun", "tun":
		return Tun
	case "tap", "feth":
		return Tap
	case "ppp":
		return PPP
	case "ipsec":
		return IPsec
	case "gif", "stf":
		return Tunnel
	case "bridge", "vmenet":
		return Bridge
	case "en":
		return Ethernet // or Wi-Fi: the name does not say
	default:
		return Other
	}
}

// The interface types of IANA that Windows gives to adapters.
const (
	ianaEthernet = 6
	ianaPPP      = 23
	ianaLoopback = 24
	ianaVirtual  = 53 // propVirtual: Wintun
	ianaWiFi     = 71
	ianaTunnel   = 131
)

// ofWindows is the kind of an adapter of Windows, by its type and by what its driver
// calls it: drivers of tunnels call themselves Ethernet, or virtual.
func ofWindows(ianaType uint32, description string) Kind {
	text := strings.ToLower(description)
	for _, one := range []struct {
		part string
		kind Kind
	}{
		{"wireguard", WireGuard}, {"wan miniport", PPP}, {"wintun", Tun}, {"openvpn data channel", Tun}, {"tap-", Tap}, {"azure vpn", Tun},
		{"anyconnect", Tun}, {"cisco secure client", Tun}, {"pangp", Tun}, {"fortinet", Tun}, {"zscaler", Tun}, {"tailscale", Tun},
		{"hyper-v virtual ethernet", Bridge}, {"vmware virtual ethernet", Bridge}, {"virtualbox host-only", Bridge},
	} {
		if strings.Contains(text, one.part) {
			return one.kind
		}
	}
	switch ianaType {
	case ianaEthernet:
		return Ethernet
	case ianaPPP:
		return PPP
	case ianaLoopback:
		return Loopback
	case ianaVirtual:
		return Tun
	case ianaWiFi:
		return WiFi
	case ianaTunnel:
		return Tunnel
	default:
		return Other
	}
}
