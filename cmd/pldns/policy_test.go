package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

const (
	policyZone = `$TTL 300
@ SOA localhost. nobody.invalid. 1 1 1 1 30
bad.example CNAME .
*.bad.example CNAME .
ok.bad.example CNAME rpz-passthru.
drop.example CNAME rpz-drop.
tcp.example CNAME rpz-tcp-only.
walled.example CNAME garden.contoso.com.
momenta-eun.database.windows.net CNAME .
24.0.113.0.203.rpz-ip CNAME *.
`
	policyData = `
alias.contoso.com. 300 IN CNAME x.bad.example.
x.bad.example. 300 IN A 198.51.100.7
bad.example. 300 IN A 198.51.100.7
ok.bad.example. 300 IN A 198.51.100.8
ads.example. 300 IN A 198.51.100.9
new.example. 300 IN A 198.51.100.10
tcp.example. 300 IN A 198.51.100.11
drop.example. 300 IN A 198.51.100.12
watch.example. 300 IN A 198.51.100.13
walled.example. 300 IN A 198.51.100.14
garden.contoso.com. 300 IN A 10.0.0.80
address.example. 300 IN A 203.0.113.9
`
)

// policed is a server of which one network is held to policies, and the folder of their
// files.
func policed(t *testing.T) (*running, string) {
	dir := t.TempDir()
	for name, text := range map[string]string{"corp.rpz": policyZone, "ads.txt": "0.0.0.0 ads.example\n", "watch.txt": "watch.example\nbad.example\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData, policyData)
	head := upstreamTable(upstream.Addr) + fmt.Sprintf(`
[query_log]
mode = "all"
to = [%[1]q]
[policy.watch]
files = [%[2]q]
action = "log"
[policy.corp]
files = [%[3]q]
[policy.ads]
files = [%[4]q]
action = ["10.0.0.9"]
error = "filtered"
`, filepath.Join(dir, "queries.json"), filepath.Join(dir, "watch.txt"), filepath.Join(dir, "corp.rpz"), filepath.Join(dir, "ads.txt"))
	text := strings.Replace(regions(head), "[networks.europe]", "[networks.europe]\npolicy = [\"watch\", \"corp\", \"ads\", \"browser-doh\"]", 1)
	return start(t, text), dir
}

// Of two networks that are the same otherwise, one is held to policies: over each
// transport, decided and remembered, while what is known of the names serves both.
func TestPolicy(t *testing.T) {
	r, dir := policed(t)
	for _, test := range []struct {
		client, qname, want string
	}{
		{europe, "bad.example", "NXDOMAIN | EDE 15 | SOA bad.example."},
		{australia, "bad.example", "NOERROR | A 198.51.100.7"},
		{europe, "alias.contoso.com", "NXDOMAIN | EDE 15 | CNAME x.bad.example. | SOA x.bad.example."},
		{australia, "alias.contoso.com", "NOERROR | CNAME x.bad.example. | A 198.51.100.7"},
		{europe, "ok.bad.example", "NOERROR | A 198.51.100.8"},
		{europe, "ads.example", "NOERROR | EDE 17 | A 10.0.0.9"},
		{australia, "ads.example", "NOERROR | A 198.51.100.9"},
		{europe, "watch.example", "NOERROR | A 198.51.100.13"},
		{europe, "walled.example", "NOERROR | EDE 15 | CNAME garden.contoso.com. | A 10.0.0.80"},
		{australia, "walled.example", "NOERROR | A 198.51.100.14"},
		{europe, "address.example", "NOERROR | EDE 15 | SOA address.example."},
		{australia, "address.example", "NOERROR | A 203.0.113.9"},
		{europe, "momenta-eun.database.windows.net", saysEurope},
		{europe, "use-application-dns.net", "NXDOMAIN | EDE 15 | SOA use-application-dns.net."},
		{europe, "mask-h2.icloud.com", "NXDOMAIN | EDE 15 | SOA mask-h2.icloud.com."},
	} {
		for _, transport := range []string{"udp", "udp", "tcp", "tcp", "udp"} {
			if got := says(r.ask(transport, test.client, test.qname, dns.TypeA)); got != test.want {
				t.Errorf("%s over %s from %s:\n got %s\nwant %s", test.qname, transport, test.client, got, test.want)
			}
		}
	}
	r.policyIsSeen(t, dir)
}

// policyIsSeen: what policies said in TestPolicy is in metrics, explanations and the log.
func (r *running) policyIsSeen(t *testing.T, dir string) {
	t.Helper()
	page := r.get("/metrics")
	for _, want := range []string{
		`pldns_policy_matches_total{action="nxdomain",network="europe",policy="corp"} 10`,
		`pldns_policy_matches_total{action="passthru",network="europe",policy="corp"} 5`,
		`pldns_policy_matches_total{action="nodata",network="europe",policy="corp"} 5`,
		`pldns_policy_matches_total{action="data",network="europe",policy="ads"} 5`,
		`pldns_policy_matches_total{action="log",network="europe",policy="watch"} 5`,
		`pldns_policy_entries{policy="ads"} 1`, `pldns_policy_entries{policy="browser-doh"} 3`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(page, `network="australia",policy`) {
		t.Error("a network that is held to none is counted")
	}
	explained := r.get("/api/explain?name=a.bad.example&client=" + europe)
	for _, want := range []string{`"stage": "policy"`, `entry *.bad.example of policy corp: nxdomain`, `"policy": {`, `"entry": "*.bad.example"`} {
		if !strings.Contains(explained, want) {
			t.Errorf("no %s in %s", want, explained)
		}
	}
	if shown := r.get("/api/networks"); !strings.Contains(shown, `"name": "corp",`) || !strings.Contains(shown, `"entries": 8`) {
		t.Errorf("shown as %s", shown)
	}
	if shown := r.get("/networks/europe"); !strings.Contains(shown, "browser-doh <small>3 entries</small>") {
		t.Error("the page of the network does not name its policies")
	}
	resolvertest.Until(t, "the log says what policies did", func() bool {
		lines, _ := os.ReadFile(filepath.Join(dir, "queries.json"))
		text := string(lines)
		return strings.Contains(text, `"rule":"policy corp bad.example","policy":"corp","policy_entry":"bad.example","policy_action":"nxdomain"`) &&
			strings.Contains(text, `"rule":"forward .","policy":"watch","policy_entry":"watch.example","policy_action":"log"`) &&
			strings.Contains(text, `"policy":"corp","policy_entry":"203.0.113.0/24","policy_action":"nodata"`)
	})
}

// What is dropped is met with silence over UDP, and refused elsewhere, where others wait on
// the same connection; what is for TCP alone is truncated over UDP.
func TestPolicyByTransport(t *testing.T) {
	r, _ := policed(t)
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(europe)}, net.UDPAddrFromAddrPort(r.addrs[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := &dns.Conn{Conn: conn}
	if err := client.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		next := new(dns.Msg).SetQuestion("bad.example.", dns.TypeA)
		for _, query := range []*dns.Msg{new(dns.Msg).SetQuestion("drop.example.", dns.TypeA), next} {
			if err := client.WriteMsg(query); err != nil {
				t.Fatal(err)
			}
		}
		if reply, err := client.ReadMsg(); err != nil || reply.Id != next.Id {
			t.Errorf("the first reply is %v (%v), not that to the second query", reply, err)
		}
	}
	if got := says(r.ask("tcp", europe, "drop.example", dns.TypeA)); got != "REFUSED | EDE 15" {
		t.Errorf("over TCP: %s", got)
	}
	for range 3 {
		if reply := r.ask("udp", europe, "tcp.example", dns.TypeA); !reply.Truncated || len(reply.Answer) > 0 {
			t.Errorf("over UDP: %v", reply)
		}
		if got := says(r.ask("tcp", europe, "tcp.example", dns.TypeA)); got != "NOERROR | A 198.51.100.11" {
			t.Errorf("over TCP: %s", got)
		}
	}
	if page := r.get("/metrics"); !strings.Contains(page, `pldns_policy_matches_total{action="drop",network="europe",policy="corp"} 4`) {
		t.Error("what was dropped is not counted")
	}
}

// A file that changes counts at once; one that is none any more keeps what there was, and
// is told.
func TestPolicyReload(t *testing.T) {
	r, dir := policed(t)
	write := func(text string) {
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, "ads.txt")); err != nil {
			t.Fatal(err)
		}
	}
	if got := says(r.ask("udp", europe, "new.example", dns.TypeA)); got != "NOERROR | A 198.51.100.10" {
		t.Fatalf("before: %s", got)
	}
	write("new.example\n")
	const blocked = "NOERROR | EDE 17 | A 10.0.0.9"
	r.until("new.example", func(s string) bool { return s == blocked })
	if got := says(r.ask("udp", europe, "ads.example", dns.TypeA)); got != "NOERROR | A 198.51.100.9" {
		t.Errorf("what is not in the file any more: %s", got)
	}
	write("<html>\n")
	if code, said := r.post("/-/reload", nil); code == http.StatusOK || !strings.Contains(said, "ads.txt: no line of it is an entry of a list") {
		t.Errorf("a file that is none: %d %s", code, said)
	}
	if got := says(r.ask("udp", europe, "new.example", dns.TypeA)); got != blocked {
		t.Errorf("with a file that is none: %s", got)
	}
}

// TestPolicyRules asks for what config/README.md shows of each rule, of its own files.
func TestPolicyRules(t *testing.T) {
	dir := t.TempDir()
	for _, b := range blocks(t) {
		if b.file == filepath.Join("config", "README.md") && (b.language == "zone" || b.language == "list" || strings.HasPrefix(b.text, "# policies.toml")) {
			writeBlock(t, dir, b)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "policies.toml"))
	if err != nil {
		t.Fatal(err)
	}
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData, `
ok.bad.example. 300 IN CNAME x.bad.example.
x.bad.example. 300 IN A 203.0.113.7
alias.contoso.com. 300 IN CNAME bad.example.
www.stats.example. 300 IN A 198.51.100.1
ads.example. 300 IN A 198.51.100.2
www.shop.everything.example. 300 IN A 198.51.100.3
address.contoso.com. 300 IN A 203.0.113.9
six.contoso.com. 300 IN AAAA 2001:db8::7
garden.contoso.com. 300 IN A 198.51.100.4
www.walled.example.garden.contoso.com. 300 IN A 198.51.100.5
bad.example. 300 IN A 198.51.100.6
`)
	toml := strings.NewReplacer(`"10.0.0.0/16"`, `"127.0.1.0/24"`, `"10.1.0.0/16"`, `"127.0.2.0/24"`, `"10.2.0.0/16"`, `"127.0.3.0/24"`,
		`["ads.txt"]`, fmt.Sprintf("[%q]", filepath.Join(dir, "ads.txt")), `["corp.rpz"]`, fmt.Sprintf("[%q]", filepath.Join(dir, "corp.rpz"))).Replace(string(text))
	r := start(t, "[listen]\ndns = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n"+upstreamTable(upstream.Addr)+toml)
	const hub, branch, free = "127.0.1.1", "127.0.2.1", "127.0.3.1"
	for _, test := range []struct {
		client, qname string
		qtype         uint16
		want          string
	}{
		{hub, "mydb.database.windows.net", dns.TypeA, "NOERROR | CNAME mydb.privatelink.database.windows.net. | A 10.0.1.4"},
		{branch, "mydb.database.windows.net", dns.TypeA, "NXDOMAIN | EDE 15 | SOA mydb.database.windows.net."},
		{hub, "a.bad.example", dns.TypeMX, "NXDOMAIN | EDE 15 | SOA a.bad.example."},
		{hub, "ok.bad.example", dns.TypeA, "NOERROR | CNAME x.bad.example. | A 203.0.113.7"},
		{hub, "empty.example", dns.TypeA, "NOERROR | EDE 15 | SOA empty.example."},
		{hub, "walled.example", dns.TypeA, "NOERROR | EDE 15 | CNAME garden.contoso.com. | A 198.51.100.4"},
		{hub, "www.walled.example", dns.TypeA, "NOERROR | EDE 15 | CNAME www.walled.example.garden.contoso.com. | A 198.51.100.5"},
		{hub, "data.example", dns.TypeA, "NOERROR | EDE 15 | A 10.0.0.9"},
		{hub, "data.example", dns.TypeAAAA, "NOERROR | EDE 15 | SOA data.example."},
		{hub, "address.contoso.com", dns.TypeA, "NOERROR | EDE 15 | SOA address.contoso.com."},
		{hub, "six.contoso.com", dns.TypeAAAA, "NXDOMAIN | EDE 15 | SOA six.contoso.com."},
		{hub, "alias.contoso.com", dns.TypeA, "NXDOMAIN | EDE 15 | CNAME bad.example. | SOA bad.example."},
		{free, "alias.contoso.com", dns.TypeA, "NOERROR | CNAME bad.example. | A 198.51.100.6"},
		{hub, "track.example", dns.TypeA, "NOERROR | EDE 17 | A 10.0.0.9"},
		{hub, "stats.example", dns.TypeA, "NOERROR | EDE 17 | A 10.0.0.9"},
		{hub, "www.stats.example", dns.TypeA, "NOERROR | A 198.51.100.1"},
		{hub, "www.everything.example", dns.TypeA, "NOERROR | EDE 17 | A 10.0.0.9"},
		{hub, "wild.example", dns.TypeA, "NOERROR | EDE 17 | A 10.0.0.9"},
		{hub, "www.shop.everything.example", dns.TypeA, "NOERROR | A 198.51.100.3"},
		{branch, "ads.example", dns.TypeA, "NOERROR | A 198.51.100.2"},
		{hub, "use-application-dns.net", dns.TypeA, "NXDOMAIN | EDE 15 | SOA use-application-dns.net."},
	} {
		if got := says(r.ask("udp", test.client, test.qname, test.qtype)); got != test.want {
			t.Errorf("%s from %s:\n got %s\nwant %s", test.qname, test.client, got, test.want)
		}
	}
}
