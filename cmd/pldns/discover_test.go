package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/config/azuregraph/graphtest"
	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// learner is an Azure, and a configuration that learns from it.
type learner struct {
	*graphtest.Server
	sub, hub string
	toml     string
	upstream *resolvertest.Upstream
}

// newLearner makes one with a VNet and two endpoints, db1 and db2. The name of its server
// is known to the program's own upstream alone: the system's resolver has never heard of
// it, or knows another address.
func newLearner(t *testing.T) *learner {
	t.Helper()
	l := &learner{Server: graphtest.New(t), upstream: resolvertest.StartUpstream(t, "example.com. 300 IN A 127.0.0.1")}
	l.Environment(t)
	l.sub = l.Subscription(1)
	l.hub = l.VNet(l.sub, "hub", "westeurope", []string{"127.0.0.0/8"}, nil)
	l.add("db1", "10.0.1.1")
	l.add("db2", "10.0.1.2")
	at, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	l.toml = fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
%s%s
[azure.corp]
client_id = "00000000-0000-0000-0003-%012d"
scopes = ["/providers/Microsoft.Management/managementGroups/corp"]
every = "1s"
state = %q
endpoint = "https://example.com:%s"
ca = %q
[networks.europe]
azure = { vnets = [%q], clients = true }
`, withToken, upstreamTable(l.upstream.Addr), rand.IntN(1e9), filepath.Join(t.TempDir(), "corp.json"), at.Port(), l.CA, l.hub)
	return l
}

func (l *learner) add(name, address string) string {
	return l.Add(graphtest.Endpoint{Subscription: l.sub, Name: name, VNet: l.hub, Address: address, Names: []string{name + ".database.windows.net"}})
}

// saysDB is what is answered about a database.
func saysDB(name, address string) func(string) bool {
	want := fmt.Sprintf("NOERROR | CNAME %s.privatelink.database.windows.net. | A %s", name, address)
	return func(got string) bool { return got == want }
}

func (r *running) sources(t *testing.T) map[string]admin.Source {
	t.Helper()
	var list []admin.Source
	if err := json.Unmarshal([]byte(r.get("/api/sources")), &list); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]admin.Source)
	for _, s := range list {
		all[s.Name] = s
	}
	return all
}

// A server learns clients and endpoints by itself: what is new within a listing and what
// is gone after two; it says where each comes from; and it goes on without Azure, over a
// restart as well.
func TestLearning(t *testing.T) {
	l := newLearner(t)
	r := start(t, l.toml)
	r.until("db1.database.windows.net", saysDB("db1", "10.0.1.1"))
	if ready := r.get("/readyz"); !strings.Contains(ready, `"ready": true`) {
		t.Errorf("/readyz says %s", ready)
	}
	l.add("fresh", "10.0.1.9")
	if took := r.until("fresh.database.windows.net", saysDB("fresh", "10.0.1.9")); took > 6*time.Second {
		t.Errorf("a new endpoint is answered after %s", took)
	}
	explained := r.get("/api/explain?name=fresh.database.windows.net&client=" + europe)
	if !strings.Contains(explained, "endpoint fresh.database.windows.net (azure.corp: /subscriptions/"+l.sub) || !strings.Contains(explained, "/privateEndpoints/fresh, seen 20") {
		t.Errorf("explain says %s", explained)
	}
	if listed := r.get("/api/endpoints?search=fresh"); !strings.Contains(listed, `"origin": "azure.corp: /subscriptions/`) {
		t.Errorf("/api/endpoints says %s", listed)
	}
	s := r.sources(t)
	if corp := s["azure.corp"]; corp.Error != "" || corp.Serving != 3 || corp.Calls == 0 || corp.Taken.IsZero() || len(corp.Subscriptions) != 1 || corp.Subscriptions[0].Endpoints["Approved"] != 3 {
		t.Errorf("/api/sources says %+v", corp)
	}
	if s["file"].Serving != 0 || s["file"].Taken.IsZero() || len(s) != 3 {
		t.Errorf("/api/sources says %+v", s)
	}
	for _, want := range []string{
		`pldns_source_endpoints{source="azure.corp",state="Approved"} 3`, `pldns_source_last_run_successful{source="azure.corp"} 1`,
		`pldns_source_removals_held{source="azure.corp"} 0`,
	} {
		if !strings.Contains(r.scrape(), want) {
			t.Errorf("no series %s", want)
		}
	}
	l.Delete(graphtest.Endpoint{Subscription: l.sub, Name: "fresh"}.ID())
	r.until("fresh.database.windows.net", func(got string) bool { return strings.HasPrefix(got, "NXDOMAIN") })

	l.Hide(l.sub, true)
	resolvertest.Until(t, "it is told that the subscription is gone", func() bool { return !r.sources(t)["azure.corp"].Subscriptions[0].Gone.IsZero() })
	if got := says(r.ask("udp", europe, "db1.database.windows.net", dns.TypeA)); !saysDB("db1", "10.0.1.1")(got) {
		t.Errorf("without its subscription: %s", got)
	}
	restarted := start(t, l.toml)
	if got := says(restarted.ask("udp", europe, "db1.database.windows.net", dns.TypeA)); !saysDB("db1", "10.0.1.1")(got) {
		t.Errorf("after a restart: %s", got)
	}
}

// Removals that are too many wait, are listed, and go when somebody with the token
// accepts them.
func TestAcceptRemovals(t *testing.T) {
	l := newLearner(t)
	r := start(t, l.toml)
	r.until("db1.database.windows.net", saysDB("db1", "10.0.1.1"))
	l.Delete(graphtest.Endpoint{Subscription: l.sub, Name: "db1"}.ID(), graphtest.Endpoint{Subscription: l.sub, Name: "db2"}.ID())
	resolvertest.Until(t, "two removals are held", func() bool { return len(r.sources(t)["azure.corp"].Held) == 2 })
	if got := says(r.ask("udp", europe, "db1.database.windows.net", dns.TypeA)); !saysDB("db1", "10.0.1.1")(got) {
		t.Errorf("while it is held: %s", got)
	}
	response, err := http.Post("http://"+r.admin+"/-/accept", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body.Close(); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("somebody without the token gets %s", response.Status)
	}
	if code, said := r.post("/-/accept", url.Values{"source": {"nobody"}}); code != http.StatusNotFound {
		t.Errorf("a source that is not there: %d %s", code, said)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(adminToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, talk bytes.Buffer
	if code := run(t.Context(), []string{"discover", "accept", "--server", r.admin, "--token-file", token, "--source", "corp"}, &out, &talk); code != exitFine || out.String() != "accepted: 2 resources\n" {
		t.Errorf("discover accept: %d %s%s", code, &out, &talk)
	}
	r.until("db1.database.windows.net", func(got string) bool { return strings.HasPrefix(got, "NXDOMAIN") })
}

// A server that has never learned anything is not ready, answers what is written by
// hand, and is ready as soon as it has.
func TestNotReadyBeforeTheFirstListing(t *testing.T) {
	l := newLearner(t)
	for range 1000 {
		l.Fail(graphtest.Status(http.StatusForbidden))
	}
	r := start(t, l.toml+"[networks.office]\nclients = [\"127.0.5.0/24\"]\n[networks.office.endpoints]\n\"db9.database.windows.net\" = \"10.0.9.9\"\n")
	if got := says(r.ask("udp", "127.0.5.1", "db9.database.windows.net", dns.TypeA)); !saysDB("db9", "10.0.9.9")(got) {
		t.Errorf("what is written by hand: %s", got)
	}
	if got := says(r.ask("udp", europe, "db1.database.windows.net", dns.TypeA)); !strings.HasPrefix(got, "REFUSED") {
		t.Errorf("a client of a network whose clients nobody knows yet: %s", got)
	}
	if ready := r.get("/readyz"); !strings.Contains(ready, `"ready": false`) || !strings.Contains(ready, "nothing has been learned yet from azure.corp") {
		t.Errorf("/readyz says %s", ready)
	}
	l.Heal()
	r.until("db1.database.windows.net", saysDB("db1", "10.0.1.1"))
	if ready := r.get("/readyz"); !strings.Contains(ready, `"ready": true`) {
		t.Errorf("/readyz says %s", ready)
	}
	if warnings := r.get("/readyz"); !strings.Contains(warnings, "127.0.5.0/24 of network office lie in 127.0.0.0/8 of network europe") {
		t.Errorf("no warning of the overlap: %s", warnings)
	}
}

// Discover lists once and prints what would be served; with --into it writes a file that
// a server without an identity can use, and remembers what it saw.
func TestDiscover(t *testing.T) {
	l := newLearner(t)
	file := writeConfig(t, l.toml)
	discover := func(args ...string) (int, string, string) {
		var out, talk bytes.Buffer
		code := run(t.Context(), append([]string{"discover", "-c", file}, args...), &out, &talk)
		return code, out.String(), talk.String()
	}
	want := "[networks.europe]\nclients = [\"127.0.0.0/8\"]\n[networks.europe.endpoints]\n" +
		"\"db1.database.windows.net\" = \"10.0.1.1\" # rg/db1\n\"db2.database.windows.net\" = \"10.0.1.2\" # rg/db2\n\n"
	if code, out, talk := discover(); code != exitFine || out != want || talk != "" {
		t.Errorf("discover: %d\n%s%s", code, out, talk)
	}
	code, out, talk := discover("--json")
	var found struct {
		Networks []struct {
			Endpoints []struct{ Origin struct{ Place string } }
		}
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil || code != exitFine || len(found.Networks) != 1 || len(found.Networks[0].Endpoints) != 2 ||
		!strings.HasSuffix(found.Networks[0].Endpoints[0].Origin.Place, "/privateEndpoints/db1") {
		t.Errorf("--json: %d %v\n%s%s", code, err, out, talk)
	}
	dir := t.TempDir()
	into := filepath.Join(dir, "learned.toml")
	if code, _, talk := discover("--into", into); code != exitFine || talk != into+": written\n" {
		t.Errorf("--into: %d %s", code, talk)
	}
	beside := filepath.Join(dir, "pldns.toml")
	if err := os.WriteFile(beside, []byte("files = [\"learned.toml\"]\n"+upstreamTable(l.upstream.Addr)), 0o600); err != nil {
		t.Fatal(err)
	}
	var checked bytes.Buffer
	if code := run(t.Context(), []string{"check", "-c", beside}, &checked, &checked); code != exitFine || !strings.Contains(checked.String(), "1 network, 2 endpoints") {
		t.Errorf("what was written: %s", &checked)
	}
	if code, _, talk := discover("--into", into); code != exitFine || talk != into+": nothing to change\n" {
		t.Errorf("again: %d %s", code, talk)
	}
	l.Delete(graphtest.Endpoint{Subscription: l.sub, Name: "db2"}.ID())
	for _, still := range []bool{true, false} { // it takes two runs
		if code, _, talk := discover("--into", into); code != exitFine {
			t.Errorf("without db2: %d %s", code, talk)
		}
		if text, err := os.ReadFile(into); err != nil || strings.Contains(string(text), "db2") != still {
			t.Errorf("db2 is there: %v\n%s", !still, text)
		}
	}
	hosts := filepath.Join(dir, "europe.hosts")
	if code, _, talk := discover("--into", hosts, "--format", "hosts", "--network", "europe"); code != exitFine {
		t.Errorf("hosts: %d %s", code, talk)
	}
	if text, err := os.ReadFile(hosts); err != nil || string(text) != "# for hosts = [...] in [networks.europe]\n10.0.1.1 db1.database.windows.net # rg/db1\n" {
		t.Errorf("hosts: %v\n%s", err, text)
	}
	l.Fail(graphtest.Status(http.StatusForbidden))
	if code, out, talk := discover(); code != exitNo || !strings.Contains(talk, "azure.corp: list subscriptions: Azure answers 403") || !strings.Contains(out, "db1") {
		t.Errorf("without the role: %d\n%s%s", code, out, talk)
	}
}

// Whoever asks is answered as before, all of it, while endpoints come and go. The rate is
// PLDNS_RATE.
func TestLearningDisturbsNobody(t *testing.T) {
	l := newLearner(t)
	r := start(t, l.toml)
	r.until("db1.database.windows.net", saysDB("db1", "10.0.1.1"))
	finish := l.load(t, r.addrs[0])
	for i := range 5 {
		name, address := fmt.Sprint("fresh", i), fmt.Sprintf("10.0.2.%d", i)
		l.add(name, address)
		r.until(name+".database.windows.net", saysDB(name, address))
	}
	finish()
}

// load asks for db1 again and again, until what it gives is called: whether all were
// answered as they should be. The rate is PLDNS_RATE.
func (l *learner) load(t *testing.T, at netip.AddrPort) (finish func()) {
	t.Helper()
	query := new(dns.Msg).SetQuestion("db1.database.windows.net.", dns.TypeA)
	rate := environmentNumber(t, "PLDNS_RATE", 1000)
	load := startFlow(t, europe, at, rate, query, func() int64 { return 0 }, func(reply *dns.Msg, _ int64) string {
		if got := says(reply); !saysDB("db1", "10.0.1.1")(got) {
			return "mixed: " + got
		}
		return ""
	})
	return func() {
		t.Helper()
		if asked, lost := load.finish(); lost > 0 || load.wrong.Load() > 0 {
			t.Errorf("%d of %d queries are lost, %d mixed", lost, asked, load.wrong.Load())
		} else {
			t.Logf("%d queries at %d a second, none lost, none mixed", asked, rate)
		}
	}
}
