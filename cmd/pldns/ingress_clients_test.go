package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// command runs a program and gives what it prints; what it says when it fails is
// "failed".
func (b behindIngresses) command(name string, args ...string) string {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(b.tb.Context(), time.Minute)
	defer cancel()
	output, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		b.tb.Logf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
		return "failed"
	}
	return strings.TrimSpace(string(output))
}

// kdig asks as Knot's client does, and gives the last line of its answer.
func (b behindIngresses) kdig(at netip.AddrPort, args ...string) string {
	b.tb.Helper()
	args = append([]string{"@" + at.Addr().String(), "-p", fmt.Sprint(at.Port()), "-b", europe, "mydb.database.windows.net",
		"+short", "+timeout=20", "+retry=0", "+tls-ca=" + filepath.Join(b.dir, "clients.pem")}, args...)
	lines := strings.Split(b.command("kdig", args...), "\n")
	return lines[len(lines)-1]
}

// writeClient puts the certificate of a client, and its key, into files.
func (b behindIngresses) writeClient(host string) (certificate, key string) {
	b.tb.Helper()
	certificate, key = filepath.Join(b.dir, host+".crt"), filepath.Join(b.dir, host+".key")
	writePair(b.tb, certificate, key, b.authority.Certificate(b.tb, host))
	return certificate, key
}

// One client address, told apart by TLS name, certificate and path, as a client
// of another making asks.
func TestKdigAtTheIngresses(t *testing.T) {
	find(t, "kdig")
	b := startBehindIngresses(t, "")
	name := func(server string) []string {
		return []string{"+tls", "+tls-hostname=" + server, "+tls-sni=" + server}
	}
	certified := func(host string) []string {
		certificate, key := b.writeClient(host)
		return append(name("dns.contoso.net"), "+tls-certfile="+certificate, "+tls-keyfile="+key)
	}
	path := func(url string) []string { return []string{"+https=" + url, "+tls-hostname=dns.contoso.net"} }
	for _, row := range []struct {
		what string
		at   netip.AddrPort
		args []string
		want string
	}{
		{"server name of everybody", b.dot, name("dns.contoso.net"), "127.9.0.1"},
		{"server name a", b.dot, name("a.dns.contoso.net"), "127.9.0.2"},
		{"server name b", b.dot, name("b.dns.contoso.net"), "127.9.0.3"},
		{"unknown server name", b.dot, name("c.dns.contoso.net"), "failed"},
		{"certificate a", b.dot, certified("gw.a.com"), "127.9.0.2"},
		{"certificate b", b.dot, certified("gw.b.com"), "127.9.0.3"},
		{"unknown certificate", b.dot, certified("gw.c.com"), ""},
		{"no path", b.doh, path("/dns-query"), "127.9.0.1"},
		{"path a", b.doh, path("/dns-query/a"), "127.9.0.2"},
		{"path b", b.doh, path("/dns-query/b"), "127.9.0.3"},
		{"path b by GET", b.doh, append(path("/dns-query/b"), "+https-get"), "127.9.0.3"},
		{"unknown path", b.doh, path("/dns-query/c"), ""},
	} {
		if got := b.kdig(row.at, row.args...); got != row.want {
			t.Errorf("%s: %q, want %q", row.what, got, row.want)
		}
	}
}

// serveReal is the private endpoint of the real name in networks a and b: two web
// servers, on the same port, that hold its certificate and say which they are.
func serveReal(t *testing.T, authority *resolvertest.Authority) (port string) {
	t.Helper()
	certificate := authority.Certificate(t, "mydb.database.windows.net")
	var first net.Listener
	for range 20 {
		var err error
		if first, err = net.Listen("tcp", "127.9.0.2:0"); err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(first.Addr().String())
		second, err := net.Listen("tcp", "127.9.0.3:"+port)
		if err != nil {
			first.Close()
			continue
		}
		for _, listener := range []net.Listener{first, second} {
			server := &http.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(w, "%s at %s", r.Host[:strings.LastIndex(r.Host, ":")], listener.Addr().(*net.TCPAddr).IP)
				})}
			done := make(chan error, 1)
			go func() { done <- server.ServeTLS(listener, "", "") }()
			t.Cleanup(func() { server.Close(); <-done })
		}
		return port
	}
	t.Fatal("no port is free on both addresses")
	return ""
}

// curl finds the address by DNS over HTTPS, connects by the real name and verifies
// the certificate: the same question leads to another host by the path, and by the
// name of the server.
func TestCurlOverHTTPS(t *testing.T) {
	find(t, "curl")
	b := startBehindIngresses(t, "")
	port := serveReal(t, b.authority)
	url := "https://mydb.database.windows.net:" + port + "/"
	curl := func(dohURL string, more ...string) string {
		args := append([]string{"--silent", "--show-error", "--noproxy", "*", "--max-time", "40", "--cacert", filepath.Join(b.dir, "clients.pem"),
			"--resolve", fmt.Sprintf("a.dns.contoso.net:%d:127.0.0.1", b.doh.Port()),
			"--resolve", fmt.Sprintf("b.dns.contoso.net:%d:127.0.0.1", b.doh.Port()), "--doh-url", dohURL}, more...)
		return b.command("curl", args...)
	}
	at := func(host, path string) string { return fmt.Sprintf("https://%s:%d%s", host, b.doh.Port(), path) }
	for _, row := range []struct{ doh, want string }{
		{at("127.0.0.1", "/dns-query/a"), "mydb.database.windows.net at 127.9.0.2"},
		{at("127.0.0.1", "/dns-query/b"), "mydb.database.windows.net at 127.9.0.3"},
		{at("a.dns.contoso.net", "/dns-query"), "mydb.database.windows.net at 127.9.0.2"},
		{at("b.dns.contoso.net", "/dns-query"), "mydb.database.windows.net at 127.9.0.3"},
		{at("127.0.0.1", "/dns-query/nobody"), "failed"},
	} {
		if got := curl(row.doh, url); got != row.want {
			t.Errorf("curl --doh-url %s: %q, want %q", row.doh, got, row.want)
		}
	}
	// By the address and by the private name the certificate is not valid.
	for _, wrong := range []string{"127.9.0.2", "mydb.privatelink.database.windows.net"} {
		if got := curl(at("127.0.0.1", "/dns-query/a"), "https://"+wrong+":"+port+"/"); got != "failed" {
			t.Errorf("%s is reached: %q", wrong, got)
		}
	}
}

// A browser that is told to use secure DNS only, with the path of a network in it. It
// learns of HTTP/3 (Alt-Svc) and tries it, but speaks QUIC only to servers whose authority
// is a public one, or that its command line names. Else it stays with HTTP/2.
func TestChromiumOverHTTPS(t *testing.T) {
	if os.Getenv("PLDNS_BROWSER") == "" {
		t.Skip("a certificate authority of its own needs certutil: .ci/browser installs it and sets PLDNS_BROWSER")
	}
	// A browser that is asked for a certificate during secure DNS gives up.
	b := startBehindIngresses(t, "", "client_ca", "certificates")
	port := serveReal(t, b.authority)
	home := b.trustingHome()
	for _, row := range []struct{ path, quicAt, transport, want string }{
		{"a", "nobody:443", "https", "127.9.0.2"},
		{"b", fmt.Sprintf("127.0.0.1:%d", b.doh.Port()), "h3", "127.9.0.3"},
	} {
		profile := t.TempDir()
		settings, err := json.Marshal(map[string]any{"dns_over_https": map[string]string{
			"mode": "secure", "templates": fmt.Sprintf("https://127.0.0.1:%d/dns-query/%s", b.doh.Port(), row.path),
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(profile, "Local State"), settings, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		command := exec.CommandContext(ctx, find(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server",
			"--origin-to-force-quic-on="+row.quicAt, "--user-data-dir="+profile, "--dump-dom", "https://mydb.database.windows.net:"+port+"/")
		command.Env = append(os.Environ(), "HOME="+home)
		var talk strings.Builder
		command.Stderr = &talk
		output, err := command.Output()
		cancel()
		if want := "mydb.database.windows.net at " + row.want; err != nil || !strings.Contains(string(output), want) {
			t.Errorf("Chromium with path %s: %v, %q, want %q\n%s", row.path, err, output, want, talk.String())
		}
		over := regexp.MustCompile(`pldns_queries_total{network="`+row.path+`".*transport="(\w+)"}`).FindAllStringSubmatch(b.scrape(), -1)
		for _, found := range over {
			if found[1] != row.transport {
				t.Errorf("Chromium with path %s asks over %s, want %s alone", row.path, found[1], row.transport)
			}
		}
		if len(over) == 0 {
			t.Errorf("Chromium with path %s: no query is counted", row.path)
		}
	}
}

// trustingHome is the home of somebody whose browser trusts the authority of b.
func (b behindIngresses) trustingHome() string {
	b.tb.Helper()
	home := b.tb.TempDir()
	store := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(store, 0o700); err != nil {
		b.tb.Fatal(err)
	}
	for _, args := range [][]string{
		{"-N", "--empty-password"}, {"-A", "-n", "test", "-t", "C,,", "-i", filepath.Join(b.dir, "clients.pem")},
	} {
		if b.command("certutil", append([]string{"-d", "sql:" + store}, args...)...) == "failed" {
			b.tb.Fatal("certutil cannot make the store of authorities")
		}
	}
	return home
}

// run runs a program until the test ends, once there is an answer at an address
// over TCP.
func (b behindIngresses) run(at netip.AddrPort, program string, args ...string) {
	b.tb.Helper()
	runProgram(b.tb, program, args...)
	resolvertest.Until(b.tb, program+" answers", func() bool {
		reply, err := b.exchange("tcp", europe, at, mydb())
		return err == nil && reply.Rcode == dns.RcodeSuccess
	})
}

// digFrom is the last line that dig prints for a client, over UDP or TCP.
func (b behindIngresses) digFrom(at netip.AddrPort, from string, transport string) string {
	b.tb.Helper()
	lines := strings.Split(b.command("dig", "@"+at.Addr().String(), "-p", fmt.Sprint(at.Port()), "-b", from, transport, "+short", "+tries=1", "+time=20",
		"mydb.database.windows.net", "A"), "\n")
	return lines[len(lines)-1]
}

// HAProxy in front of the TCP and of the TLS listener, told to send who asks.
func TestHAProxySendsProxyV2(t *testing.T) {
	program := find(t, "haproxy")
	find(t, "dig")
	b := startBehindIngresses(t, "[trust]\nproxy_protocol = [\"127.0.3.1\"]\n")
	plain, secure := resolvertest.FreeAddr(t), resolvertest.FreeAddr(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	var text strings.Builder
	text.WriteString("defaults\n  mode tcp\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n")
	for name, way := range map[string][2]netip.AddrPort{"plain": {plain, b.addrs[0]}, "secure": {secure, b.dot}} {
		fmt.Fprintf(&text, "listen %s\n  bind %s\n  server pldns %s source 127.0.3.1 send-proxy-v2\n", name, way[0], way[1])
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(plain, program, "-db", "-f", file)
	for from, want := range map[string]string{europe: "127.9.0.1", australia: "127.9.0.4", unlisted: ""} {
		if got := b.digFrom(plain, from, "+tcp"); got != want {
			t.Errorf("%s behind HAProxy: %q, want %q", from, got, want)
		}
	}
	find(t, "kdig")
	if got := b.kdig(secure, "+tls", "+tls-hostname=a.dns.contoso.net", "+tls-sni=a.dns.contoso.net"); got != "127.9.0.2" {
		t.Errorf("server name a behind HAProxy: %q", got)
	}
}

// dnsdist in front, that says who asks in the one way or the other, and which link
// it came through.
func TestDnsdistSaysWhoAsks(t *testing.T) {
	program := find(t, "dnsdist")
	find(t, "dig")
	b := startBehindIngresses(t, "[trust]\nproxy_protocol = [\"127.0.3.1\"]\nclient_subnet = [\"127.0.3.2\"]\n")
	for how, row := range map[string]struct{ server, more string }{
		"client subnet": {`source="127.0.3.2", useClientSubnet=true`, "setECSSourcePrefixV4(32)\n"},
		"PROXY": {`source="127.0.3.1", useProxyProtocol=true`, `
for id, from in ipairs({"127.0.1.4/32", "127.0.1.5/32", "127.0.1.6/32"}) do
  local clients = newNMG()
  clients:addMask(from)
  addAction(NetmaskGroupRule(clients), SetAdditionalProxyProtocolValueAction(0xEE, "\1" .. string.char(6+id) .. "\0\0\0"))
end
`},
	} {
		t.Run(how, func(t *testing.T) {
			b.tb = t
			at := resolvertest.FreeAddr(t)
			file := filepath.Join(t.TempDir(), "dnsdist.conf")
			text := fmt.Sprintf("setLocal(%q)\nsetACL({\"127.0.0.0/8\"})\nsetSecurityPollSuffix(\"\")\nnewServer({address=%q, healthCheckMode=\"up\", %s})\n%s",
				at, b.addrs[0], row.server, row.more)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			b.run(at, program, "--supervised", "-C", file)
			wants := map[string]string{europe: "127.9.0.1", australia: "127.9.0.4", unlisted: ""}
			if how == "PROXY" {
				wants["127.0.1.4"], wants["127.0.1.5"], wants["127.0.1.6"] = "127.9.0.2", "127.9.0.3", ""
			}
			for range 2 { // the second time from memory, where there is one
				for from, want := range wants {
					for _, transport := range []string{"+notcp", "+tcp"} {
						if got := b.digFrom(at, from, transport); got != want {
							t.Errorf("%s behind dnsdist, dig %s: %q, want %q", from, transport, got, want)
						}
					}
				}
			}
		})
	}
}
