package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pldns/cmd/internal/daemon"
	"pldns/cmd/internal/doctor"
	"pldns/resolver"
	"pldns/resolver/resolvertest"
)

// onEveryTransport serves over all of them, with a certificate for some hosts, and gives
// the folder with the root that signed it, and a query log. The ports have to be in the
// configuration to be told (RFC 9462), so they are ones that were free a moment before.
func onEveryTransport(t *testing.T, network string, hosts ...string) (r *running, s *daemon.Server, dir string) {
	t.Helper()
	dir = t.TempDir()
	writeKeys(t, dir, resolvertest.NewAuthority(t), hosts...)
	for {
		var ports []any
		for range 2 {
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer free.Close()
			ports = append(ports, free.Addr().String())
			free.Close()
		}
		r, s, err := tryStartServer(t, fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
dot = [%[1]q]
doq = [%[1]q]
doh = [%[2]q]
admin = "127.0.0.1:0"
[tls]
cert = %[3]q
key = %[4]q
[query_log]
mode = "all"
to = %[5]q
%[6]s`, ports[0], ports[1], filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "queries.json"), network), eager)
		if err == nil {
			return r, s, dir
		}
		if !strings.Contains(err.Error(), "in use") {
			t.Fatal(err)
		}
	}
}

// Doctor and probe over every transport of a real server, as which it tells of itself: the
// steps are well, and those who count and name transports know each of them.
func TestDoctorOverEveryTransport(t *testing.T) {
	t.Parallel()
	database, _ := serveTLS(t, realName)
	r, s, dir := onEveryTransport(t, fmt.Sprintf("[networks.near]\nclients = [\"127.0.0.0/8\"]\n[networks.near.endpoints]\n%q = %q\n", realName,
		database.Addr()), "dns.contoso.net", "127.0.0.1")
	roots := filepath.Join(dir, "roots.pem")
	both := read(t, rootFile(t, database)) + read(t, filepath.Join(dir, "clients.pem"))
	if err := os.WriteFile(roots, []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	at := []string{"--server", r.addrs[0].String(), "--transport", "all", "--ca", roots}
	out, err := doctored(t, system{database.Addr()}, append([]string{realName, "--port", fmt.Sprint(database.Port()), "--protocol", "tls", "--json"}, at...)...)
	var report doctor.Report
	if err != nil || json.Unmarshal([]byte(out), &report) != nil {
		t.Fatalf("doctor: %v\n%s", err, out)
	}
	verdicts := make(map[string]doctor.Verdict)
	for _, step := range report.Steps {
		verdicts[step.Name] = step.Verdict
	}
	for _, transport := range resolver.Transports() {
		for _, step := range []string{"dns-" + transport.Short(), "ddr-" + transport.Short()} {
			if (strings.HasPrefix(step, "dns-") || transport.IsEncrypted()) && verdicts[step] != doctor.OK {
				t.Errorf("step %s is %q\n%s", step, verdicts[step], out)
			}
		}
	}
	wantEveryTransport(t, r, s, read(t, filepath.Join(dir, "queries.json")))

	at = append(at, "--timeout", "30s", "--transport", "udp") // the last one counts, too
	if out := commanded(t, exitNo, append([]string{"probe"}, at...)...); !strings.Contains(out, "fail     dns-dot      port-closed: nothing listens at 127.0.0.1:853 over TLS") {
		t.Errorf("probe at the usual ports prints\n%s", out)
	}
	at = []string{"probe", "--ca", roots, "--server-name", "dns.contoso.net", "--timeout", "30s", "--transport", encrypted(t, r)}
	if out := commanded(t, exitFine, at...); strings.Count(out, "the certificate is valid for dns.contoso.net") != 4 {
		t.Errorf("probe prints\n%s", out)
	}
	at[4] = "other.contoso.net"
	if out := commanded(t, exitNo, at...); strings.Count(out, "handshake-refused: ") != 4 {
		t.Errorf("probe by another name prints\n%s", out)
	}
}

// encrypted are the encrypted transports of a server, with their ports, as a flag.
func encrypted(t *testing.T, r *running) string {
	t.Helper()
	var all []string
	for _, l := range readiness(t, r).Listening {
		if l.Over != "dns" {
			all = append(all, fmt.Sprintf("%s:%d", l.Over, l.Address.Port()))
		}
	}
	return strings.Join(all, ",")
}

// wantEveryTransport: whoever counts and names transports has seen all of them.
func wantEveryTransport(t *testing.T, r *running, s *daemon.Server, log string) {
	t.Helper()
	metrics, traffic, listening := r.get("/metrics"), r.get("/api/traffic?span=minute"), r.get("/readyz")
	for _, transport := range resolver.Transports() {
		resolvertest.Until(t, "the program asks itself over "+string(transport), func() bool { return s.Checker().Answered(transport) > 0 })
		for where, has := range map[string]bool{
			"/metrics":      strings.Contains(metrics, `transport="`+string(transport)+`"`),
			"/api/traffic":  strings.Contains(traffic, `"`+string(transport)+`": `),
			"the query log": strings.Contains(log, `"transport":"`+string(transport)+`"`),
			"/readyz":       strings.Contains(listening, `"over": "`+transport.Short()+`"`) || !transport.IsEncrypted(),
		} {
			if !has {
				t.Errorf("%s does not know %s", where, transport)
			}
		}
	}
}

// A client of no network is refused over every transport, which the causes say.
func TestDoctorOfNoNetwork(t *testing.T) {
	t.Parallel()
	r, _, dir := onEveryTransport(t, "[networks.far]\nclients = [\"10.0.0.0/8\"]\n", "dns.contoso.net", "127.0.0.1")
	at := []string{realName, "--direct", "--server", r.addrs[0].String(), "--ca", filepath.Join(dir, "clients.pem"), "--transport"}
	out, err := doctored(t, nil, append(at, encrypted(t, r))...)
	if err == nil || strings.Count(out, " gives the same answer over ") != 3 {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	wantParts(t, out, "skipped  ddr          no-network: "+r.addrs[0].String()+" answers REFUSED (extended error 18", "fail     dns-dot      no-network: 127.0.0.1:")
	out, err = doctored(t, nil, append(at, "udp:1")...)
	if err == nil {
		t.Error("a closed port is well")
	}
	wantParts(t, out, "fail     dns-udp      port-closed: nothing listens at 127.0.0.1:1 over UDP")
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// commanded runs a command and gives what it prints.
func commanded(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), args, &out, &out); code != want {
		t.Errorf("%v: exit code %d, want %d: %s", args, code, want, out.String())
	}
	return out.String()
}
