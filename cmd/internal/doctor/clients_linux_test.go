package doctor_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pldns/cmd/internal/doctor"
	"pldns/cmd/internal/routes"
	"pldns/cmd/internal/vpn"
	"pldns/resolver/resolvertest"
	"pldns/zones"
	"pldns/zones/azure"
)

// The clients themselves: what they log and show is what the readers take it for.
func TestRealVPNClients(t *testing.T) {
	clients := map[string]func(*world){"wireguard": throughWireGuard, "openvpn": throughOpenVPN}
	if client := os.Getenv(sceneVariable); client != "" {
		clients[client](newWorld(t))
		return
	}
	for client := range clients {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			asLaptop(t, "TestRealVPNClients", client)
		})
	}
}

// start runs a program on a host until the test ends.
func (h *host) start(program string, arguments ...string) {
	h.t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		h.t.Skipf("this needs %s", program)
	}
	command := exec.Command(program, arguments...)
	h.do(func() {
		if err := command.Start(); err != nil {
			h.t.Fatal(err)
		}
	})
	h.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
}

// run runs a program of the laptop and gives what it says.
func (w *world) run(input, program string, arguments ...string) string {
	w.Helper()
	command := exec.Command(program, arguments...)
	command.Stdin = strings.NewReader(input)
	output, err := command.CombinedOutput()
	if err != nil {
		w.Fatalf("%s %q: %v: %s", program, arguments, err, output)
	}
	return strings.TrimSpace(string(output))
}

// reach examines the way to an address, where a name leads.
func (w *world) reach(ca *authority, address string, profiles []vpn.Profile, timeout time.Duration) doctor.Step {
	w.Helper()
	server := resolvertest.StartUpstream(w.T, sqlName+". 10 IN A "+address)
	report := doctor.Examine(w.Context(), doctor.Config{
		Catalogue: azure.New(), Server: server.Addr, Roots: ca.roots, Timeout: timeout, OS: "linux", Port: 1433,
		Routes: routes.System{}, Profiles: profiles,
	}, zones.MustName(sqlName))
	i := slices.IndexFunc(report.Steps, func(s doctor.Step) bool { return s.Name == "route" })
	return report.Steps[i]
}

// hold fails the test unless a way has a cause, or none.
func (w *world) hold(step doctor.Step, cause doctor.Cause, says string) {
	w.Helper()
	if step.Cause != cause || !strings.Contains(step.Seen, says) {
		w.Errorf("%s %q: %s, want %q: %s", step.Verdict, step.Cause, step.Seen, cause, says)
	}
}

// shown is what one profile of the system, or of a file, says.
func (w *world) shown(profiles []vpn.Profile, device string) vpn.Profile {
	w.Helper()
	i := slices.IndexFunc(profiles, func(p vpn.Profile) bool { return p.Interface == device && p.Assigned })
	if i < 0 {
		w.Fatalf("nothing of %s in %+v", device, profiles)
	}
	return profiles[i]
}

// throughWireGuard: before the peer knows the laptop, after that, and to what the
// peer is not to carry.
func throughWireGuard(w *world) {
	ca := newAuthority(w.T)
	near, far := fmt.Sprintf("wgl%d", os.Getpid()), fmt.Sprintf("wgr%d", os.Getpid())
	(&host{t: w.T}).start("wireguard-go", "-f", near)
	w.router.start("wireguard-go", "-f", far)
	for _, device := range []string{near, far} {
		resolvertest.Until(w, device+" listens to wg", func() bool { return exec.Command("wg", "show", device).Run() == nil })
	}
	keys := make(map[string]string)
	for _, device := range []string{near, far} {
		key := w.run("", "wg", "genkey")
		keys[device] = w.run(key, "wg", "pubkey")
		w.run(key, "wg", "set", device, "private-key", "/dev/stdin")
	}
	w.run("", "wg", "set", far, "listen-port", "51820")
	w.run("", "wg", "set", near, "peer", keys[far], "endpoint", "192.168.1.1:51820", "allowed-ips", "10.4.0.0/16")
	w.router.ip("addr add 10.4.0.4/32 dev lo", "addr add 172.16.11.1/24 dev "+far, "link set "+far+" up")
	w.ip("addr add 172.16.11.2/32 dev "+near, "link set "+near+" up", "route add 10.4.0.0/16 dev "+near, "route add 10.5.0.0/16 dev "+near)
	w.router.do(func() { serveAt(w.T, "10.4.0.4:1433", sqlServer(w.T, 1, ca.issue([]string{sqlName}))) })

	found := vpn.Find(w.Context())
	if p := w.shown(found, near); !p.Silent || !slices.Equal(p.Routes, prefixes("10.4.0.0/16")) {
		w.Errorf("%+v", p)
	}
	w.hold(w.reach(ca, "10.4.0.4", found, impatience), doctor.TunnelSilent, "no peer of "+near+" has ever answered")

	w.run("", "wg", "set", far, "peer", keys[near], "allowed-ips", "172.16.11.2/32")
	w.hold(w.reach(ca, "10.4.0.4", found, patience), "", "leaves by "+near)
	found = vpn.Find(w.Context())
	if p := w.shown(found, near); p.Silent {
		w.Errorf("after a handshake: %+v", p)
	}
	w.hold(w.reach(ca, "10.5.0.4", found, impatience), doctor.NotAllowed, "no peer of "+near+" has it among its AllowedIPs")
}

// throughOpenVPN: what the server pushed, and then without the route.
func throughOpenVPN(w *world) {
	ca := newAuthority(w.T)
	dir := w.TempDir()
	file := func(name string, blocks ...*pem.Block) string {
		var text []byte
		for _, block := range blocks {
			text = append(text, pem.EncodeToMemory(block)...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			w.Fatal(err)
		}
		return path
	}
	proof := func(name string, usage x509.ExtKeyUsage) []string {
		issued := ca.issue([]string{name}, func(c *x509.Certificate) { // OpenVPN takes nobody without a common name
			c.ExtKeyUsage, c.Subject.CommonName = []x509.ExtKeyUsage{usage}, name
		})
		return []string{
			"--ca", file(name+"-ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: ca.certificate.Raw}),
			"--cert", file(name+".pem", &pem.Block{Type: "CERTIFICATE", Bytes: issued.Certificate[0]}),
			"--key", file(name+".key", keyBlock(w, issued)), "--verb", "3", "--log", filepath.Join(dir, name+".log"),
		}
	}
	w.router.start("openvpn", append(proof("hub", x509.ExtKeyUsageServerAuth), "--dev", "tun7", "--server", "172.16.12.0", "255.255.255.0",
		"--topology", "subnet", "--dh", "none", "--proto", "udp", "--push", "route 10.4.0.0 255.255.0.0", "--keepalive", "10", "60")...)
	(&host{t: w.T}).start("openvpn", append(proof("laptop", x509.ExtKeyUsageClientAuth), "--client", "--dev", "tun7", "--remote", "192.168.1.1",
		"--nobind", "--remote-cert-tls", "server", "--connect-retry", "1")...)
	log := filepath.Join(dir, "laptop.log")
	resolvertest.Until(w, "OpenVPN is connected: "+log, func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), "Initialization Sequence Completed")
	})
	profiles, err := vpn.File(log)
	if err != nil {
		w.Fatal(err)
	}
	p := w.shown(profiles, "tun7")
	if !slices.Equal(p.Addresses, []netip.Addr{netip.MustParseAddr("172.16.12.2")}) || !slices.Equal(p.Routes, prefixes("10.4.0.0/16")) || p.When == "" {
		w.Errorf("%+v", p)
	}
	w.router.ip("addr add 10.4.0.4/32 dev lo")
	w.router.do(func() { serveAt(w.T, "10.4.0.4:1433", sqlServer(w.T, 1, ca.issue([]string{sqlName}))) })
	w.hold(w.reach(ca, "10.4.0.4", profiles, patience), "", "leaves by tun7 (tun, a tunnel) from 172.16.12.2 over gateway 172.16.12.1, by the route 10.4.0.0/16")
	w.ip("route del 10.4.0.0/16")
	w.router.ip("addr del 10.4.0.4/32 dev lo")
	w.hold(w.reach(ca, "10.4.0.4", profiles, impatience), doctor.RouteNotApplied, "OpenVPN assigned 10.4.0.0/16 to its tunnel ("+p.Origin)
}

func keyBlock(w *world, issued tls.Certificate) *pem.Block {
	w.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	if err != nil {
		w.Fatal(err)
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}
}
