package doctor_test

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"pldns/cmd/internal/doctor"
	"pldns/cmd/internal/routes"
	"pldns/cmd/internal/vpn"
	"pldns/zones"
	"pldns/zones/azure"
)

// wayStory is something that goes wrong between a laptop and a private endpoint.
type wayStory struct {
	breaks func(w *world)
	log    []string // routes that the log of the Azure VPN Client says were assigned
	port   uint16   // that is connected to; 0 is the right one
	server string   // that is asked; empty is the hub
	quick  bool     // an answer is not waited for long, because none comes
	cause  doctor.Cause
	fails  []string
	says   []string
}

var wayStories = map[string]wayStory{
	"all is well": {says: []string{
		"ok tunnel: tun0 (tun) is up from 172.16.10.3 and carries 10.0.0.0/16, 10.1.0.0/16, 172.16.10.0/25",
		"ok route: 10.1.1.4 leaves by tun0 (tun, a tunnel) from 172.16.10.3, by the route 10.1.0.0/16", "ok certificate",
	}},
	"nothing listens there": {
		port: 1444, fails: []string{"connect"}, says: []string{"ok route: 10.1.1.4 leaves by tun0", "10.1.1.4:1444 refuses connections"},
	},
	"peered without gateway transit": {
		breaks: func(w *world) { w.ip("route del 10.1.0.0/16") }, log: []string{"10.0.0.0 / 255.255.0.0"}, quick: true,
		cause: doctor.PeeringWithoutTransit, fails: []string{"route"}, says: []string{
			"10.1.1.4 leaves by wlan0 (ethernet) from 192.168.1.23 over gateway 192.168.1.1, by the route 0.0.0.0/0: the tunnel has no route to it (tun0: 10.0.0.0/16, 172.16.10.0/25)",
			`"allow gateway transit"`, `"use remote gateways"`, "the Azure VPN Client was assigned 10.0.0.0/16 (AzureVpnCxn.log",
		},
	},
	"the route is handed out, and the way back is missing": {
		breaks: func(w *world) { w.spoke.ip("route del 172.16.10.0/25") }, log: []string{"10.0.0.0 / 255.255.0.0", "10.1.0.0 / 255.255.0.0"}, quick: true,
		cause: doctor.WayBackMissing, fails: []string{"route"}, says: []string{
			"10.1.1.4 leaves by tun0 (tun, a tunnel) from 172.16.10.3, by the route 10.1.0.0/16: nothing comes back, while 10.0.0.53:53 answers over the same way",
			"give the endpoint's network the way back to 172.16.10.3 (172.16.10.0/25)",
			"skipped connect: 10.1.1.4:1433 does not answer within", ", which follows from the route",
		},
	},
	"the home network overlaps": {
		breaks: func(w *world) { w.ip("addr add 10.1.1.23/24 dev wlan0") }, quick: true,
		cause: doctor.Overlap, fails: []string{"route"}, says: []string{
			"note tunnel: ", "addresses of 10.1.0.0/16 in 10.1.1.0/24 are looked for in a network of this machine",
			"10.1.1.4 leaves by wlan0 (ethernet) from 10.1.1.23 on its own link, by the route 10.1.1.0/24: it lies in 10.1.1.0/24, a network of this machine",
			"have the tunnel carry 10.1.1.4/32",
		},
	},
	"the home network overlaps, and something answers there": {
		breaks: func(w *world) {
			w.ip("addr add 10.1.1.23/24 dev wlan0")
			w.router.ip("addr add 10.1.1.4/24 dev lan")
		},
		cause: doctor.Overlap, fails: []string{"route"}, says: []string{"skipped connect: 10.1.1.4:1433 refuses connections, which follows from the route"},
	},
	"a longer route in the tunnel wins over the home network": {
		breaks: func(w *world) {
			w.ip("addr add 10.1.1.23/24 dev wlan0", "route add 10.1.1.4/32 dev tun0 src 172.16.10.3")
		},
		says: []string{"ok route: 10.1.1.4 leaves by tun0 (tun, a tunnel) from 172.16.10.3, by the route 10.1.1.4/32", "ok certificate"},
	},
	"the log has the route, and the system not": {
		breaks: func(w *world) { w.ip("route del 10.1.0.0/16") }, log: []string{"10.1.0.0 / 255.255.0.0"}, quick: true,
		cause: doctor.RouteNotApplied, fails: []string{"route"}, says: []string{
			"the Azure VPN Client assigned 10.1.0.0/16 to its tunnel (AzureVpnCxn.log, 11/26/2026 1:28:14 PM), and the system sends it elsewhere",
		},
	},
	"the tunnel is down": {
		breaks: func(w *world) { w.ip("link set tun0 down") }, log: []string{"10.1.0.0 / 255.255.0.0"}, quick: true,
		cause: doctor.TunnelDown, fails: []string{"dns-udp", "dns-tcp", "route"}, says: []string{
			"the server: 10.0.0.53 leaves by wlan0 (ethernet) from 192.168.1.23 over gateway 192.168.1.1, by the route 0.0.0.0/0: the Azure VPN Client is set up (AzureVpnCxn.log), and no such tunnel is up => connect the VPN",
		},
	},
	"no VPN is known, and the server is at home": {
		breaks: func(w *world) {
			w.ip("link set tun0 down")
			w.router.answerDNS("192.168.1.1:53", endpoint)
			w.router.ip("route add blackhole 10.1.0.0/16")
		},
		server: "192.168.1.1:53", quick: true, cause: doctor.NoTunnel, fails: []string{"route"}, says: []string{
			"ok dns-udp: 192.168.1.1:53 answers", "skipped tunnel: no tunnel to a private network is up",
			"10.1.1.4 leaves by wlan0 (ethernet) from 192.168.1.23 over gateway 192.168.1.1, by the route 0.0.0.0/0: no tunnel is up and no VPN profile was found, so that it is left to the default gateway",
			"=> connect the VPN (--vpn names its log or profile where it is not found)", "the way back to 192.168.1.23",
			"skipped connect: 10.1.1.4:1433 does not answer within", ", which follows from the route",
		},
	},
	"no VPN is known, and the server is not reached either": {
		breaks: func(w *world) {
			w.ip("link set tun0 down")
			w.router.ip("route add blackhole 10.0.0.0/8")
		}, quick: true,
		cause: doctor.NoTunnel, fails: []string{"dns-udp", "dns-tcp", "route"}, says: []string{
			"the server: 10.0.0.53 leaves by wlan0 (ethernet) from 192.168.1.23 over gateway 192.168.1.1, by the route 0.0.0.0/0: no tunnel is up and no VPN profile was found",
		},
	},
	"there is no route at all": {
		breaks: func(w *world) {
			w.ip("route del 10.1.0.0/16", "route del default", "route add unreachable 10.1.0.0/16")
		},
		cause: doctor.PeeringWithoutTransit, fails: []string{"route"}, says: []string{"the system has no route to 10.1.1.4: the tunnel has no route to it"},
	},
}

// What the two regions of a VPN go through, on real interfaces: each trap has its name,
// and what is not broken is not blamed.
func TestRealWays(t *testing.T) {
	if story := os.Getenv(sceneVariable); story != "" {
		wayStories[story].play(t)
		return
	}
	for name := range wayStories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asLaptop(t, "TestRealWays", name)
		})
	}
}

var endpoint = netip.MustParseAddr("10.1.1.4")

// play is a run of doctor on the laptop.
func (s wayStory) play(t *testing.T) {
	w := newWorld(t)
	ca := newAuthority(t)
	w.spoke.do(func() { serveAt(t, endpoint.String()+":1433", sqlServer(t, 1, ca.issue([]string{sqlName}))) })
	w.hub.answerDNS("10.0.0.53:53", endpoint)
	if s.breaks != nil {
		s.breaks(w)
	}
	config := doctor.Config{
		Catalogue: azure.New(), Server: netip.MustParseAddrPort("10.0.0.53:53"), Roots: ca.roots, Timeout: patience, OS: "linux",
		Routes: routes.System{}, Port: s.port, Protocol: doctor.SQLServer,
	}
	if s.server != "" {
		config.Server = netip.MustParseAddrPort(s.server)
	}
	if s.quick {
		config.Timeout = impatience
	}
	var err error
	if len(s.log) > 0 {
		if config.Profiles, err = vpn.Read("AzureVpnCxn.log", azureLog(s.log)); err != nil {
			t.Fatal(err)
		}
	}
	report := doctor.Examine(t.Context(), config, zones.MustName(sqlName))
	expect(t, report, s.fails, s.says...)
	cause := doctor.Cause("")
	for _, step := range report.Steps {
		if step.Name == "route" && cause == "" {
			cause = step.Cause
		}
	}
	if cause != s.cause {
		t.Errorf("the cause is %q, want %q", cause, s.cause)
	}
}

// azureLog is what the client writes of a connection with these routes.
func azureLog(assigned []string) []byte {
	var text strings.Builder
	for _, message := range append(slices.Clone(assigned), "") {
		line := "Assigned Route: " + message
		if message == "" {
			line = "Assigned IP address: 172.16.10.3 / 255.255.255.128"
		}
		text.WriteString("[11/26/2026 1:28:14 PM] PId:[00011204] TId:[00009100] [contoso-hub-weu] [{5a0f3c9e-77b1-4c0e-9d55-2b8f60a1d4c2}] [Verbose] " + line + "\r\n")
	}
	return []byte(text.String())
}

// The server's seat: what is mapped is silent behind a right route, refuses, has no
// route, or lies in a network of containers.
func TestRealWaysOfTheServer(t *testing.T) {
	if os.Getenv(sceneVariable) == "" {
		t.Parallel()
		asLaptop(t, "TestRealWaysOfTheServer", "server")
		return
	}
	w := newWorld(t)
	ca := newAuthority(t)
	w.spoke.ip("addr add 10.1.1.5/32 dev lo", "addr add 10.1.1.6/32 dev lo")
	w.spoke.do(func() {
		serveAt(t, endpoint.String()+":443", plainTLS(ca.issue([]string{"good.contoso.com"})))
	})
	w.spoke.ip("rule add from 10.1.1.6 blackhole") // no way back from one of the three
	w.ip("link add br0 type bridge", "addr add 10.7.0.1/16 dev br0", "link set br0 up", "route add unreachable 10.8.0.0/16")
	var targets []doctor.Target
	for name, address := range map[string]string{
		"good.contoso.com": "10.1.1.4", "refused.contoso.com": "10.1.1.5", "silent.contoso.com": "10.1.1.6",
		"bridge.contoso.com": "10.7.0.9", "away.contoso.com": "10.8.0.9",
	} {
		targets = append(targets, doctor.Target{Network: "office", Name: zones.MustName(name), Addresses: []netip.Addr{netip.MustParseAddr(address)}, Port: 443})
	}
	results := doctor.Verify(t.Context(), doctor.VerifyConfig{Catalogue: azure.New(), Roots: ca.roots, Timeout: impatience, Routes: routes.System{}}, targets)
	for _, r := range results {
		verdict, cause, says := doctor.Fail, doctor.Cause(""), []string{}
		switch r.Name {
		case "good.contoso.com":
			verdict = doctor.OK
		case "refused.contoso.com":
			says = []string{"refuses connections"}
		case "silent.contoso.com":
			cause, says = doctor.WayBackMissing, []string{"does not answer within", "nothing comes back, while 10.1.1.", "the way back to 172.16.10.3"}
		case "bridge.contoso.com":
			cause, says = doctor.Overlap, []string{"it lies in 10.7.0.0/16, a network of this machine", "behind br0"}
		case "away.contoso.com":
			cause, says = doctor.NoRoute, []string{"the system has no route to 10.8.0.9"}
		}
		wantResult(t, r, verdict, says...)
		if r.Cause != cause {
			t.Errorf("%s: %q, want %q", r.Name, r.Cause, cause)
		}
		if r.Name != "away.contoso.com" && (r.Route == nil || !r.Route.Source.IsValid()) {
			t.Errorf("%s: by %+v", r.Name, r.Route)
		}
	}
}
