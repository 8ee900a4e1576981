package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pldns/cmd/internal/doctor"
	"pldns/cmd/internal/routes"
	"pldns/cmd/internal/vpn"
)

// system is an operating system that always gives the same addresses.
type system []netip.Addr

func (s system) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return s, nil }

// rootFile writes what a server shows to a PEM file. It certifies itself.
func rootFile(t *testing.T, server netip.AddrPort) string {
	t.Helper()
	conn, err := tls.Dial("tcp", server.String(), &tls.Config{InsecureSkipVerify: true}) // it is fetched to be trusted
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file := filepath.Join(t.TempDir(), "root.pem")
	writePEM(t, file, "CERTIFICATE", conn.ConnectionState().PeerCertificates[0].Raw)
	return file
}

// doctored runs doctor at a client with an operating system of the test's own.
func doctored(t *testing.T, answers system, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	command := newDoctorAt(machine{
		lookup: answers, nameservers: func(string) []netip.AddrPort { return nil },
		routes: routes.System{}, profiles: func(context.Context) []vpn.Profile { return nil },
	})
	command.SilenceUsage, command.SilenceErrors = true, true
	command.SetOut(&out)
	command.SetErr(&out)
	command.SetArgs(append(args, "--timeout", "30s"))
	err := command.ExecuteContext(t.Context())
	return out.String(), err
}

func wantParts(t *testing.T, output string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(output, part) {
			t.Errorf("no %q in\n%s", part, output)
		}
	}
}

// doctorConfig is the configuration of a server with one network and an upstream.
func doctorConfig(azure netip.AddrPort, network string) string {
	return `
[listen]
dns = ["127.0.0.1:0"]
admin = "off"
` + upstreamTable(azure) + `
[networks.vpn]
` + network
}

// Doctor and a real pldns: a client that ends at the right address with a valid
// certificate, and each refusal by the words that the server has for it.
func TestDoctorAtARealServer(t *testing.T) {
	database, _ := serveTLS(t, realName)
	root := rootFile(t, database)
	r := start(t, doctorConfig(azureDNS(t).Addr, fmt.Sprintf(`
clients = ["127.0.0.0/8"]
[networks.vpn.endpoints]
%q = %q
`, realName, database.Addr())))
	strict := func(missing string) string {
		return fmt.Sprintf(`
clients = ["127.0.0.0/8"]
missing = %q
[networks.vpn.endpoints]
"other.database.windows.net" = "10.0.0.4"
`, missing)
	}
	const unmapped = "contoso-sql.database.windows.net"
	here := system{database.Addr()}
	upstream := azureDNS(t).Addr
	at := func(r *running, name string) []string {
		return []string{name, "--server", r.addrs[0].String(), "--port", fmt.Sprint(database.Port()), "--protocol", "tls", "--ca", root, "--direct"}
	}

	out, err := doctored(t, here, slices.DeleteFunc(at(r, realName), func(arg string) bool { return arg == "--direct" })...)
	if err != nil {
		t.Errorf("doctor: %v", err)
	}
	wantParts(t, out, "ok       system       the operating system answers "+database.Addr().String(),
		"ok       dns-udp      "+r.addrs[0].String()+" answers mydatabase.database.windows.net 10 CNAME mydatabase.privatelink.database.windows.net, ",
		"ok       dns-tcp ", "ok       alias ", "skipped  public ",
		"ok       connect      "+database.String()+" accepts connections",
		"ok       certificate  "+database.String()+": the certificate is valid for "+realName)

	for _, test := range []struct {
		name, network, says string
	}{
		{"denied by the zone", strict("nxdomain"), " (extended error 0, Other: no endpoint here, and the zone denies missing names) -> map " + unmapped + " in the network"},
		{"refused by the zone", strict("refuse"), " (extended error 18, Prohibited: no endpoint here, and the zone refuses missing names) -> map " + unmapped + " in the network"},
		{"no network", `clients = ["10.0.0.0/8"]`, `REFUSED (extended error 18, Prohibited: this client belongs to no network) -> this client is in no network of the server: add its address to "clients"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := doctored(t, here, at(start(t, doctorConfig(upstream, test.network)), unmapped)...)
			if !errors.Is(err, errNo) {
				t.Errorf("doctor ends with %v, want a no", err)
			}
			wantParts(t, out, test.says, "skipped  system ", "skipped  certificate  there is no private address to connect to")
		})
	}
}

// JSON is one report, and as much a no as text is.
func TestDoctorAsJSON(t *testing.T) {
	database, _ := serveTLS(t, realName)
	r := start(t, doctorConfig(azureDNS(t).Addr, fmt.Sprintf(`
clients = ["127.0.0.0/8"]
[networks.vpn.endpoints]
%q = %q
`, realName, database.Addr())))
	out, err := doctored(t, system{netip.MustParseAddr("203.0.113.4")}, realName, "--json", "--server", r.addrs[0].String(),
		"--port", fmt.Sprint(database.Port()), "--protocol", "tls")
	if !errors.Is(err, errNo) {
		t.Errorf("doctor ends with %v, want a no", err)
	}
	var report doctor.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	failed := make(map[string]string)
	for _, step := range report.Steps {
		if step.Verdict == doctor.Fail {
			failed[step.Name] = step.Seen
		}
	}
	if len(failed) != 2 || report.OK {
		t.Errorf("failed: %v", failed)
	}
	wantParts(t, failed["alias"], "the alias is lost in the operating system: it answers 203.0.113.4")
	wantParts(t, failed["certificate"], "is not trusted here")
}

// Verify connects to what the file maps: on the port of the probe, else of the
// service; under one name for a mapping that is written under its private name.
func TestVerifyAFile(t *testing.T) {
	const ownName = "db.contoso.com" // nothing of the catalogue, so TLS at once
	database, _ := serveTLS(t, ownName)
	root := rootFile(t, database)
	file := writeConfig(t, fmt.Sprintf(`
[networks.a]
clients = ["10.1.0.0/16"]
[networks.a.endpoints]
%q = { addresses = [%q], probe = "tcp:%d" }
[networks.b]
clients = ["10.2.0.0/16"]
[networks.b.endpoints]
"contosokv.privatelink.vaultcore.azure.net" = { addresses = [%q], probe = "tcp:%d" }
`, "api.contoso.com", database.Addr(), database.Port(), database.Addr(), database.Port()))
	good := writeConfig(t, fmt.Sprintf(`
[networks.a]
clients = ["10.1.0.0/16"]
[networks.a.endpoints]
%q = { addresses = [%q], probe = "tcp:%d" }
`, ownName, database.Addr(), database.Port()))
	verify := func(want int, args ...string) string {
		var out bytes.Buffer
		if code := run(t.Context(), append([]string{"verify", "--ca", root, "--timeout", "30s"}, args...), &out, &out); code != want {
			t.Errorf("exit code %d, want %d: %s", code, want, out.String())
		}
		return out.String()
	}
	wantParts(t, verify(exitNo, "-c", file),
		"fail  a  api.contoso.com            "+database.String()+"  the certificate is for "+ownName+", not for api.contoso.com",
		"fail  b  contosokv.vault.azure.net  "+database.String()+"  ",
		"addresses: 2, ok: 0, failed: 2, noted: 0, skipped: 0")
	wantParts(t, verify(exitNo, "-c", file, "--network", "b"), "addresses: 1, ok: 0, failed: 1")
	wantParts(t, verify(exitNo, "-c", file, "--json"), `"ok": false`, `"network": "a"`, `"verdict": "fail"`)
	wantParts(t, verify(exitFine, "-c", good), "ok  a  "+ownName+"  "+database.String()+"  the certificate is valid for "+ownName, "ok: 1, failed: 0")
}
