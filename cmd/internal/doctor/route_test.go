package doctor_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pldns/cmd/internal/doctor"
	"pldns/cmd/internal/routes"
	"pldns/cmd/internal/vpn"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// tableOf is a machine whose packets leave by what a test says: by prefix, the longest
// first.
type tableOf struct {
	ways       []routes.Route // with Prefix
	interfaces []routes.Interface
}

func (t tableOf) Lookup(to netip.Addr) (routes.Route, error) {
	for _, way := range t.ways {
		if way.Prefix.Contains(to) {
			way.To, way.Tunnel = to, way.Kind.IsTunnel()
			return way, nil
		}
	}
	return routes.Route{}, routes.ErrNoRoute
}

func (t tableOf) Interfaces() ([]routes.Interface, error) { return t.interfaces, nil }

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// The machines of the stories. What answers is on a loopback address, which each of
// them sends by another way.
var (
	home   = routes.Interface{Name: "wlan0", Kind: routes.WiFi, Addresses: prefixes("192.168.1.23/24"), Routes: prefixes("0.0.0.0/0", "192.168.1.0/24")}
	tunnel = routes.Interface{Name: "tun0", Kind: routes.Tun, Addresses: prefixes("172.16.10.3/25"), Routes: prefixes("10.0.0.0/16", "172.16.10.0/25")}
	docker = routes.Interface{Name: "docker0", Kind: routes.Bridge, Addresses: prefixes("127.9.0.1/16"), Routes: prefixes("127.9.0.0/16")}
)

func over(i routes.Interface, gateway, prefix string) routes.Route {
	r := routes.Route{Interface: i.Name, Kind: i.Kind, Source: i.Addresses[0].Addr(), Prefix: netip.MustParsePrefix(prefix)}
	if gateway != "" {
		r.Gateway = netip.MustParseAddr(gateway)
	}
	return r
}

func assigned(client vpn.Client, address string, into ...string) vpn.Profile {
	return vpn.Profile{
		Client: client, Origin: "AzureVpnCxn.log", When: "11/26/2026 1:28:14 PM", Assigned: true, Routes: prefixes(into...),
		Addresses: []netip.Addr{netip.MustParseAddr(address)},
	}
}

// Every cause, by its name and with what to do, where something at another address
// answers in place of the endpoint, or refuses.
func TestEveryCauseOfAWrongWay(t *testing.T) {
	byHome := []routes.Route{over(home, "192.168.1.1", "0.0.0.0/0")}
	for _, test := range []struct {
		name     string
		table    tableOf
		profiles []vpn.Profile
		cause    doctor.Cause
		says     []string
	}{
		{"peered without gateway transit", tableOf{byHome, []routes.Interface{home, tunnel}}, nil, doctor.PeeringWithoutTransit, []string{
			"leaves by wlan0 (wifi) from 192.168.1.23 over gateway 192.168.1.1, by the route 0.0.0.0/0: the tunnel has no route to it (tun0: 10.0.0.0/16, 172.16.10.0/25)",
			`set "allow gateway transit" in the peering of the gateway's network and "use remote gateways" in that of the endpoint's`,
			"the way back to 172.16.10.0/25", "make a private endpoint in the gateway's own network",
		}},
		{"the client has the route, and the system not", tableOf{byHome, []routes.Interface{home, tunnel}},
			[]vpn.Profile{assigned(vpn.Azure, "172.16.10.3", "127.0.0.0/8")}, doctor.RouteNotApplied, []string{
				"the Azure VPN Client assigned 127.0.0.0/8 to its tunnel (AzureVpnCxn.log, 11/26/2026 1:28:14 PM), and the system sends it elsewhere",
				"ip route show table all",
			}},
		{"the tunnel of the log is gone", tableOf{byHome, []routes.Interface{home}},
			[]vpn.Profile{assigned(vpn.OpenVPN, "172.16.10.3", "127.0.0.0/8")}, doctor.TunnelDown, []string{
				"OpenVPN assigned 127.0.0.0/8 to its tunnel", "and no such tunnel is up => connect the VPN",
			}},
		{"a VPN is set up and not connected", tableOf{byHome, []routes.Interface{home}},
			[]vpn.Profile{{Client: vpn.OpenVPN, Origin: "hub.ovpn"}}, doctor.TunnelDown, []string{"OpenVPN is set up (hub.ovpn), and no such tunnel is up"}},
		{"no route", tableOf{nil, []routes.Interface{home}}, nil, doctor.NoRoute, []string{"the system has no route to 127.0.0.1: nothing is sent", "AllowedIPs of WireGuard"}},
		{"no route, and a tunnel without it", tableOf{nil, []routes.Interface{home, tunnel}}, nil, doctor.PeeringWithoutTransit, []string{"the system has no route to 127.0.0.1: the tunnel has no route to it"}},
		{"the home network has the same range", tableOf{[]routes.Route{over(home, "", "127.0.0.0/24")}, []routes.Interface{
			{Name: "wlan0", Kind: routes.WiFi, Addresses: prefixes("127.0.0.23/24"), Routes: prefixes("0.0.0.0/0")}, tunnel,
		}}, []vpn.Profile{assigned(vpn.Azure, "172.16.10.3", "127.0.0.0/16")}, doctor.Overlap, []string{
			"on its own link", "it lies in 127.0.0.0/24, a network of this machine, so that packets never go to Azure, though the Azure VPN Client has 127.0.0.0/16 for its tunnel",
			"give this network another range (at home, in the settings of the router); or have the tunnel carry 127.0.0.1/32",
		}},
		{"containers have the same range", tableOf{[]routes.Route{over(docker, "", "127.0.0.0/16")}, []routes.Interface{home, docker}}, nil,
			doctor.Overlap, []string{"give the containers or virtual machines behind docker0 another range"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t)
			config := at(t, sqlName, resolvertest.ClosedAddr(t).Port(), "", ca)
			config.Routes, config.Profiles, config.OS = test.table, test.profiles, "linux"
			report := examine(t, config, sqlName)
			expect(t, report, []string{"route"}, append(test.says, "skipped connect: 127.0.0.1:", ", which follows from the route")...)
			i := slices.IndexFunc(report.Steps, func(s doctor.Step) bool { return s.Name == "route" })
			if got := report.Steps[i].Cause; got != test.cause {
				t.Errorf("the cause is %q, want %q", got, test.cause)
			}
		})
	}
}

// Whatever the way, one that ends at the right certificate is right, and a refusal
// through the tunnel is no fault of the way.
func TestRightWays(t *testing.T) {
	ca := newAuthority(t)
	port := serve(t, sqlServer(t, 1, ca.issue([]string{sqlName}))).Port()
	for name, way := range map[string]routes.Route{
		"tunnel": over(tunnel, "", "127.0.0.0/8"), "default": over(home, "192.168.1.1", "0.0.0.0/0"), "link": over(home, "", "127.0.0.0/24"),
	} {
		t.Run(name, func(t *testing.T) {
			config := at(t, sqlName, port, "", ca)
			config.Routes = tableOf{[]routes.Route{way}, []routes.Interface{home, tunnel}}
			report := examine(t, config, sqlName)
			expect(t, report, nil, "ok route: 127.0.0.1 leaves by "+way.Interface)
			text, err := json.Marshal(report)
			if err != nil || !strings.Contains(string(text), `"route":{"to":"127.0.0.1","interface":"`+way.Interface+`"`) {
				t.Errorf("%v: no route in %s", err, text)
			}
		})
	}
	config := at(t, sqlName, resolvertest.ClosedAddr(t).Port(), "", ca)
	config.Routes = tableOf{[]routes.Route{over(tunnel, "", "127.0.0.0/8")}, []routes.Interface{home, tunnel}}
	expect(t, examine(t, config, sqlName), []string{"connect"}, "ok route: 127.0.0.1 leaves by tun0 (tun, a tunnel) from 172.16.10.3, by the route 127.0.0.0/8",
		"refuses connections")
}

// At the server its own subnet is no overlap, that of containers is.
func TestVerifyTellsTheWay(t *testing.T) {
	f := &fleet{t: t, ca: newAuthority(t)}
	f.map1("office", sqlName, resolvertest.ClosedAddr(t))
	verify := func(ways ...routes.Route) doctor.Result {
		return f.verify(func(c *doctor.VerifyConfig) {
			c.Routes = tableOf{ways, []routes.Interface{home, docker}}
		})[0]
	}
	for _, test := range []struct {
		way   routes.Route
		cause doctor.Cause
		says  []string
	}{
		{over(home, "", "127.0.0.0/24"), "", []string{"refuses connections"}},
		{over(home, "192.168.1.1", "0.0.0.0/0"), "", []string{"refuses connections"}},
		{over(docker, "", "127.0.0.0/16"), doctor.Overlap, []string{"refuses connections; 127.0.0.1 leaves by docker0 (bridge)", "a network of this machine", "default-address-pools"}},
	} {
		r := verify(test.way)
		wantResult(t, r, doctor.Fail, test.says...)
		if r.Cause != test.cause || r.Route == nil || r.Route.Interface != test.way.Interface {
			t.Errorf("%q by %+v, want %q", r.Cause, r.Route, test.cause)
		}
	}
	if r := verify(); r.Cause != doctor.NoRoute || !strings.Contains(r.Remedy, "give this machine a route") {
		t.Errorf("%+v", r)
	}
}

// A network at home inside what the tunnel carries is told before anything is lost.
func TestAnOverlapIsForetold(t *testing.T) {
	s := newScene(t, strings.ReplaceAll(vnet, "127.0.0.1", "10.0.9.9"))
	near := routes.Interface{Name: "eth0", Kind: routes.Ethernet, Addresses: prefixes("10.0.5.7/24"), Routes: prefixes("0.0.0.0/0")}
	s.config.Routes = tableOf{nil, []routes.Interface{near, tunnel}}
	s.config.System = nil
	ctx, cancel := context.WithCancel(t.Context()) // no address but loopback is to be connected to
	s.config.Told = func(step doctor.Step) {
		if step.Name == "tunnel" {
			cancel()
		}
	}
	report := doctor.Examine(ctx, s.config, zones.MustName(sqlName))
	if text := lines(report); !strings.Contains(text, "note tunnel: tun0 (tun) is up from 172.16.10.3 and carries 10.0.0.0/16, 172.16.10.0/25; "+
		"addresses of 10.0.0.0/16 in 10.0.5.0/24 are looked for in a network of this machine") {
		t.Error(text)
	}
	if len(report.Tunnels) != 1 || report.Tunnels[0].Name != "tun0" {
		t.Errorf("%+v", report.Tunnels)
	}
}
