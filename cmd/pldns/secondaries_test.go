package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// What the site's servers sign with.
const (
	siteKeyName   = "site.copy."
	siteKeySecret = "c2VjcmV0IG9mIDMyIG9jdGV0cywgZm9yIHRlc3RzISE="
)

// The servers of a site, as they are known to pldns: one is a client of Europe, one of Australia.
const (
	bindAddr = "127.0.0.1" // BIND listens at addresses of interfaces alone
	knotAddr = "127.0.2.6"
)

// giver is a server that zones are taken from, in one of several ways.
type giver struct {
	plain, tls netip.AddrPort
	ca         string // file
}

// The ways to take a zone.
const (
	unsigned = "plain"
	signed   = "signed"
	overTLS  = "tls" // and signed
)

// sites is a configuration of two networks with one server each that takes what its network sees.
// Each takes one zone with a signature and one without. The certificate is in the folder.
func sites(eun, host, dir string, bind, knot netip.AddrPort) string {
	return fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
dot = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
%s
[tls]
cert = "%[8]s/tls.crt"
key = "%[8]s/tls.key"
[tsig.%[2]q]
secret = %[3]q
[networks.europe]
clients = ["127.0.0.1", "127.0.1.0/24"]
[networks.europe.endpoints]
"momenta-eun.database.windows.net" = %[4]q
"contoso.blob.core.windows.net" = "10.0.5.4"
"*.env.northeurope.azurecontainerapps.io" = "10.0.4.4"
[networks.europe.zones."privatelink.database.windows.net"]
transfer = [%[5]q]
transfer_tsig = %[2]q
[networks.europe.zones."privatelink.blob.core.windows.net"]
transfer = [%[5]q]
transfer_tsig = %[2]q
[networks.europe.zones."privatelink.northeurope.azurecontainerapps.io"]
transfer = [%[5]q]
[networks.australia]
clients = ["127.0.2.0/24"]
[networks.australia.endpoints]
"momenta-eun.database.windows.net" = "10.1.1.5"
[networks.australia.zones."privatelink.database.windows.net"]
transfer = [%[6]q]
[networks.australia.zones."corp.example"]
missing = "nxdomain"
records = ["host 60 IN A %[7]s", "mail 60 IN MX 10 host", "@ 60 IN TXT \"a; b\""]
transfer = [%[6]q]
transfer_tsig = %[2]q
`, withToken, siteKeyName, siteKeySecret, eun, bind, knot, host, dir)
}

// bindSecondary configures BIND to take zones, each in its way.
func bindSecondary(dir string, at netip.AddrPort, from giver, list map[string]string) (map[string]string, []string) {
	var b strings.Builder
	fmt.Fprintf(&b, `
options {
  directory %q;
  listen-on port %d { %s; };
  listen-on-v6 { none; };
  transfer-source %[3]s;
  recursion no;
  dnssec-validation no;
  notify no;
  pid-file none;
  session-keyfile none;
};
controls { };
key %q { algorithm hmac-sha256; secret %q; };
tls site { ca-file %q; remote-hostname %[3]q; };
`, dir, at.Port(), at.Addr(), siteKeyName, siteKeySecret, from.ca)
	ways := map[string]string{
		unsigned: fmt.Sprintf("%s port %d", from.plain.Addr(), from.plain.Port()),
		signed:   fmt.Sprintf("%s port %d key %q", from.plain.Addr(), from.plain.Port(), siteKeyName),
		overTLS:  fmt.Sprintf("%s port %d key %q tls site", from.tls.Addr(), from.tls.Port(), siteKeyName),
	}
	for zone, way := range list {
		fmt.Fprintf(&b, "zone %q { type secondary; file %q; masterfile-format text; primaries { %s; }; };\n", zone, zone, ways[way])
	}
	file := filepath.Join(dir, "named.conf")
	return map[string]string{file: b.String()}, []string{"-g", "-c", file}
}

// knotSecondary is the same for Knot.
func knotSecondary(dir string, at netip.AddrPort, from giver, list map[string]string) (map[string]string, []string) {
	var b strings.Builder
	fmt.Fprintf(&b, `
server:
  rundir: %[1]q
  listen: %[2]s@%[7]d
log:
  - target: stderr
    any: info
database:
  storage: %[1]q
key:
  - id: %[3]q
    algorithm: hmac-sha256
    secret: %[4]q
remote:
  - id: plain
    address: %[5]s@%[6]d
    via: %[2]s
  - id: signed
    address: %[5]s@%[6]d
    via: %[2]s
    key: %[3]q
acl:
  - id: notified-plain
    address: %[5]s
    action: notify
  - id: notified-signed
    address: %[5]s
    key: %[3]q
    action: notify
zone:
`, dir, at.Addr(), siteKeyName, siteKeySecret, from.plain.Addr(), from.plain.Port(), at.Port())
	for zone, way := range list {
		fmt.Fprintf(&b, "  - domain: %s\n    storage: %q\n    master: %s\n    acl: notified-%[3]s\n", zone, dir, way)
	}
	file := filepath.Join(dir, "knot.conf")
	return map[string]string{file: b.String()}, []string{"-c", file}
}

// answersThere asks another server, and gives what stands in the answer.
func answersThere(at netip.AddrPort, name string, qtype uint16) string {
	client := &dns.Client{Timeout: time.Second}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype), at.String())
	if err != nil {
		return err.Error()
	}
	return says(reply)
}

// BIND and Knot hold what their networks see, signed and unsigned, are told when it changes, and
// take what has changed; others take nothing.
func TestServersTakeZones(t *testing.T) {
	named, knotd := find(t, "named"), find(t, "knotd")
	port := func(addr string) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(addr), resolvertest.FreeAddr(t).Port())
	}
	bind, knot := port(bindAddr), port(knotAddr)
	dir, authority := t.TempDir(), resolvertest.NewAuthority(t)
	writePair(t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), authority.Certificate(t, "127.0.0.1"))
	r, server := startServer(t, sites("10.0.1.4", "10.9.0.1", dir, bind, knot))
	from := giver{r.addrs[0], server.TLSAddrs()[0], filepath.Join(dir, "ca.crt")}
	writePEM(t, from.ca, "CERTIFICATE", authority.Root())
	run := func(program string, configure func(string, netip.AddrPort, giver, map[string]string) (map[string]string, []string),
		at netip.AddrPort, list map[string]string,
	) {
		files, args := configure(t.TempDir(), at, from, list)
		for file, text := range files {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		runProgram(t, program, args...)
	}
	run(named, bindSecondary, bind, map[string]string{
		"privatelink.database.windows.net": signed, "privatelink.northeurope.azurecontainerapps.io": unsigned,
		"privatelink.blob.core.windows.net": overTLS,
	})
	run(knotd, knotSecondary, knot, map[string]string{"privatelink.database.windows.net": unsigned, "corp.example": signed})
	wait := func(at netip.AddrPort, name string, qtype uint16, want string) {
		t.Helper()
		got := ""
		resolvertest.Until(t, fmt.Sprintf("%s of %s is %s", name, at, want), func() bool {
			got = answersThere(at, name, qtype)
			return strings.HasPrefix(got, want)
		}, &got)
	}
	const database = "momenta-eun.privatelink.database.windows.net"
	wait(bind, database, dns.TypeA, "NOERROR | A 10.0.1.4")
	wait(bind, "any.env.privatelink.northeurope.azurecontainerapps.io", dns.TypeA, "NOERROR | A 10.0.4.4")
	wait(bind, "contoso.privatelink.blob.core.windows.net", dns.TypeA, "NOERROR | A 10.0.5.4")
	wait(bind, "none.privatelink.database.windows.net", dns.TypeA, "NXDOMAIN")
	wait(knot, database, dns.TypeA, "NOERROR | A 10.1.1.5")
	wait(knot, "mail.corp.example", dns.TypeMX, "NOERROR | MX 10 host.corp.example.")
	wait(knot, "corp.example", dns.TypeTXT, `NOERROR | TXT "a; b"`)

	r.rewrite(sites("10.0.1.9", "10.9.0.2", dir, bind, knot))
	if code := r.reload(); code != 200 {
		t.Fatalf("the reload is answered %d: %s", code, r.get("/readyz"))
	}
	wait(bind, database, dns.TypeA, "NOERROR | A 10.0.1.9")
	wait(knot, "host.corp.example", dns.TypeA, "NOERROR | A 10.9.0.2")
	if got := answersThere(knot, database, dns.TypeA); got != "NOERROR | A 10.1.1.5" {
		t.Errorf("Australia has seen what changed in Europe: %s", got)
	}
	r.haveTaken(t)
	r.noneOfTheirs(t)
	token := filepath.Join(filepath.Dir(r.file), "admin.token")
	file := commanded(t, exitFine, "export", "zone", "privatelink.database.windows.net", "--network", "europe", "--server", r.admin, "--token-file", token)
	reply, err := dns.Exchange(new(dns.Msg).SetQuestion("privatelink.database.windows.net.", dns.TypeSOA), bind.String())
	if err != nil || len(reply.Answer) != 1 || !strings.Contains(file, reply.Answer[0].String()+"\n") {
		t.Errorf("the zone file is\n%s\nand BIND has %v, %v", file, reply, err)
	}
}

// haveTaken waits until both servers have said that they know of the last changes, and checks that
// they took those alone.
func (r *running) haveTaken(t *testing.T) {
	t.Helper()
	var shown admin.Zones
	resolvertest.Until(t, "all are told", func() bool {
		shown = admin.Zones{}
		if err := json.Unmarshal([]byte(r.get("/api/zones")), &shown); err != nil {
			t.Fatal(err)
		}
		for _, g := range shown.Given {
			if len(g.Told) != 1 || g.Told[0].Serial != g.Serial {
				return false
			}
		}
		return len(shown.Given) == 5
	}, &shown)
	for _, g := range shown.Given {
		changed := g.Network == "europe" && g.Name == "privatelink.database.windows.net" || g.Name == "corp.example"
		if g.Whole == 0 || changed && g.Changes == 0 {
			t.Errorf("zone %s of %s was taken %d times whole and %d times as changes", g.Name, g.Network, g.Whole, g.Changes)
		}
	}
}

// noneOfTheirs checks what others get that ask for the zones.
func (r *running) noneOfTheirs(t *testing.T) {
	t.Helper()
	for _, row := range []struct {
		what, from, zone, secret string
		want                     string
	}{
		{"another client of the network", "127.0.1.6", "privatelink.database.windows.net.", siteKeySecret, "REFUSED"},
		{"nobody's client", "127.0.9.9", "privatelink.database.windows.net.", siteKeySecret, "REFUSED"},
		{"the server, unsigned", bindAddr, "privatelink.database.windows.net.", "", "REFUSED"},
		{"the server, with another secret", bindAddr, "privatelink.database.windows.net.", "b3RoZXI=", "NOTAUTH"},
		{"the server, a zone of another network", bindAddr, "corp.example.", siteKeySecret, "NOTAUTH"},
		{"the server of another network", knotAddr, "privatelink.northeurope.azurecontainerapps.io.", "", "NOTAUTH"},
	} {
		local := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(row.from)}}
		client := &dns.Client{Net: "tcp", Timeout: time.Minute, Dialer: local}
		query := new(dns.Msg).SetAxfr(row.zone)
		if row.secret != "" {
			query.SetTsig(siteKeyName, dns.HmacSHA256, 300, time.Now().Unix())
			client.TsigSecret = map[string]string{siteKeyName: row.secret}
		}
		reply, _, err := client.Exchange(query, r.addrs[0].String())
		if reply == nil || dns.RcodeToString[reply.Rcode] != row.want || len(reply.Answer) > 0 {
			t.Errorf("%s, %s: %v, %v, want %s", row.what, row.zone, err, reply, row.want)
		}
	}
}
