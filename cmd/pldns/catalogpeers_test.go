package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// producer is a server that gives catalogs and zones to those who have the key.
type producer struct {
	t   *testing.T
	dir string
	at  netip.AddrPort
}

func newProducer(t *testing.T) *producer {
	return &producer{t: t, dir: t.TempDir(), at: resolvertest.FreeAddr(t)}
}

func (p *producer) write(file, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, file), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// zone writes the file of a zone.
func (p *producer) zone(name, text string) {
	p.t.Helper()
	p.write(name+".zone", fmt.Sprintf("$ORIGIN %s.\n$TTL 60\n@ SOA ns.invalid. nobody.invalid. 1 3600 600 86400 30\n@ NS ns.invalid.\n%s", name, text))
}

// run runs a command to its end.
func (p *producer) run(stdin, command string, args ...string) {
	p.t.Helper()
	c := exec.CommandContext(p.t.Context(), command, args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// startBIND runs BIND as the primary of zones that are changed by updates.
func (p *producer) startBIND(tell netip.AddrPort, zones ...string) {
	p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `
key "transfer.corp" { algorithm hmac-sha256; secret %q; };
options {
  directory %q;
  listen-on port %d { %s; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  pid-file none;
  session-keyfile none;
  notify explicit;
  also-notify { %s port %d; };
  notify-delay 0;
  allow-transfer { key "transfer.corp"; };
  allow-update { 127.0.0.1; };
};
controls { };
`, siteSecret, p.dir, p.at.Port(), p.at.Addr(), tell.Addr(), tell.Port())
	for _, zone := range zones {
		fmt.Fprintf(&b, "zone %q { type primary; file %q; };\n", zone, zone+".zone")
	}
	p.write("named.conf", b.String())
	runProgram(p.t, find(p.t, "named"), "-g", "-c", filepath.Join(p.dir, "named.conf"))
}

// update changes a zone of BIND.
func (p *producer) update(zone, text string) {
	p.t.Helper()
	p.run(fmt.Sprintf("server %s %d\nzone %s\n%ssend\n", p.at.Addr(), p.at.Port(), zone, text), find(p.t, "nsupdate"))
}

// knot writes a configuration by which Knot makes a catalog of zones.
func (p *producer) knot(tell netip.AddrPort, catalog string, members ...string) {
	p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `
server:
  listen: %s@%d
  rundir: %s
control:
  listen: knot.sock
log:
  - target: stderr
    any: info
database:
  storage: %s/db
key:
  - id: transfer.corp
    algorithm: hmac-sha256
    secret: %s
remote:
  - id: pldns
    address: %s@%d
acl:
  - id: pldns
    key: transfer.corp
    action: transfer
template:
  - id: default
    storage: %s
    notify: pldns
    acl: pldns
    semantic-checks: off
zone:
  - domain: %s
    catalog-role: generate
`, p.at.Addr(), p.at.Port(), p.dir, p.dir, siteSecret, tell.Addr(), tell.Port(), p.dir, catalog)
	for _, member := range members {
		fmt.Fprintf(&b, "  - domain: %s\n    file: %s.zone\n    catalog-role: member\n    catalog-zone: %s\n    catalog-group: hub\n", member, member, catalog)
	}
	p.write("knot.conf", b.String())
}

// BIND and Knot list zones in catalogs, and BIND has a response policy zone, all of them
// signed for: what they add and remove counts here, and a large change of the policy comes
// as what has changed.
func TestCatalogsOfServers(t *testing.T) {
	find(t, "named")
	find(t, "knotd")
	t.Parallel()
	bind, knot := newProducer(t), newProducer(t)
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData, "bad7.example. 300 IN A 198.51.100.7\n")
	text := strings.Replace(regions(upstreamTable(upstream.Addr)), "[networks.europe]\n", "[networks.europe]\npolicy = [\"corp\"]\n", 1) + fmt.Sprintf(`
[tsig."transfer.corp"]
secret = %q
[catalogs."cat.bind.example"]
from = [%[2]q]
tsig = "transfer.corp"
[catalogs."cat.knot.example"]
from = [%[3]q]
tsig = "transfer.corp"
[policy.corp]
zone = "rpz.example"
from = [%[2]q]
tsig = "transfer.corp"
`, siteSecret, bind.at, knot.at)
	r := start(t, text)

	bind.zone("cat.bind.example", catalogVersion+"1.zones PTR b1.example.\n")
	bind.zone("rpz.example", "bad.example CNAME .\n")
	bind.zone("b1.example", "host A 10.20.0.1\n")
	bind.zone("b2.example", "host A 10.20.0.2\n")
	bind.startBIND(r.addrs[0], "cat.bind.example", "rpz.example", "b1.example", "b2.example")
	knot.zone("k1.example", "host A 10.21.0.1\n")
	knot.zone("k2.example", "host A 10.21.0.2\n")
	if err := os.Mkdir(filepath.Join(knot.dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	knot.knot(r.addrs[0], "cat.knot.example", "k1.example")
	runProgram(t, find(t, "knotd"), "-c", filepath.Join(knot.dir, "knot.conf"))

	r.wait("udp", europe, "host.b1.example", "NOERROR | A 10.20.0.1", "from BIND")
	r.wait("udp", europe, "host.k1.example", "NOERROR | A 10.21.0.1", "from Knot")
	r.wait("udp", europe, "bad.example", "NXDOMAIN | EDE 15 | SOA bad.example.", "from BIND")

	bind.update("cat.bind.example", "del 1.zones.cat.bind.example. PTR\nadd 2.zones.cat.bind.example. 0 PTR b2.example.\n")
	var entries strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&entries, "add bad%d.example.rpz.example. 60 CNAME .\n", i)
		if i%500 == 499 {
			bind.update("rpz.example", entries.String())
			entries.Reset()
		}
	}
	knot.knot(r.addrs[0], "cat.knot.example", "k1.example", "k2.example")
	knot.run("", find(t, "knotc"), "-s", filepath.Join(knot.dir, "knot.sock"), "reload")
	r.wait("udp", europe, "host.b2.example", "NOERROR | A 10.20.0.2", "when BIND lists it")
	r.wait("udp", europe, "host.b1.example", "NXDOMAIN | SOA .", "when BIND does not list it any more")
	r.wait("udp", europe, "host.k2.example", "NOERROR | A 10.21.0.2", "when Knot lists it")
	r.wait("udp", europe, "bad7.example", "NXDOMAIN | EDE 15 | SOA bad7.example.", "when BIND has it")
	resolvertest.Until(t, "all entries are there", func() bool {
		return strings.Contains(r.get("/metrics"), `pldns_policy_entries{policy="corp"} 2001`)
	})
	if page := r.get("/metrics"); !strings.Contains(page, `pldns_zone_transfers_total{kind="ixfr"}`) {
		t.Log(page)
		t.Error("no change came as what has changed")
	}
	if got := says(r.ask("udp", europe, "host.k1.example", dns.TypeA)); got != "NOERROR | A 10.21.0.1" {
		t.Errorf("a member that stays: %s", got)
	}
}
