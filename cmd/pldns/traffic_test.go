package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// traffic is what was answered in the last day, to a network or in all.
func (r *running) traffic(parameters string) admin.Traffic {
	r.tb.Helper()
	var read admin.Traffic
	if err := json.Unmarshal([]byte(r.get("/api/traffic?span=day"+parameters)), &read); err != nil {
		r.tb.Fatal(err)
	}
	return read
}

// awaitTraffic waits until so many queries are counted: a reply is counted when it has
// been sent.
func (r *running) awaitTraffic(queries uint64) (read admin.Traffic) {
	r.tb.Helper()
	resolvertest.Until(r.tb, fmt.Sprintf("%d queries are counted", queries), func() bool {
		read = r.traffic("")
		return read.Total.Queries >= queries
	}, &read.Total.Queries)
	if read.Total.Queries > queries {
		r.tb.Fatalf("%d queries are counted, want %d", read.Total.Queries, queries)
	}
	return read
}

// What is asked is counted by network, transport, code and source, as the metrics do, and
// is known after a restart, in a file that says nothing of names or clients.
func TestTrafficOutlivesARestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "traffic.json")
	toml := regions(fmt.Sprintf("[traffic]\nstate = %q\n", state))
	r := start(t, toml)
	for range 5 {
		r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	}
	r.ask("tcp", australia, "momenta-eun.database.windows.net", dns.TypeA)
	r.ask("udp", unlisted, "momenta-eun.database.windows.net", dns.TypeA)
	r.awaitTraffic(7)
	of := r.traffic("&network=europe").Total
	if of.Queries != 5 || of.Rcodes["noerror"] != 5 || of.Sources["local"] != 1 || of.Sources["replies"] != 4 || of.Transports["udp"] != 5 || of.P99 <= 0 {
		t.Errorf("europe was answered %+v", of)
	}
	if of := r.traffic("&network=").Total; of.Queries != 1 || of.Rcodes["refused"] != 1 {
		t.Errorf("clients of no network were answered %+v", of)
	}
	if of := r.traffic("&network=australia").Total; of.Queries != 1 || of.Transports["tcp"] != 1 {
		t.Errorf("australia was answered %+v", of)
	}
	for kind, want := range map[string]string{"names": "momenta-eun.database.windows.net", "clients": europe, "nxdomain": "", "slow": ""} {
		var top admin.Top
		if err := json.Unmarshal([]byte(r.get("/api/top?network=europe&kind="+kind)), &top); err != nil {
			t.Fatal(err)
		}
		if want == "" && len(top.Entries) > 0 || want != "" && (len(top.Entries) != 1 || top.Entries[0] != admin.TopEntry{Name: want, Count: 5, Least: 5}) {
			t.Errorf("%s: %+v", kind, top.Entries)
		}
	}
	r.stop()
	r.ended <- <-r.ended // for who looks at it when the test ends
	written, err := os.ReadFile(state)
	if err != nil || strings.Contains(string(written), "momenta") || strings.Contains(string(written), europe) {
		t.Errorf("the file says %s, %v", written, err)
	}
	r = start(t, toml)
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	r.awaitTraffic(8)
	if of := r.traffic("&network=europe").Total; of.Queries != 6 {
		t.Errorf("after the restart europe was answered %+v", of)
	}
}

// Where lists are switched off, numbers are counted and nothing is kept of who asks for
// what, from the reload on.
func TestTrafficWithoutLists(t *testing.T) {
	toml := regions("")
	r := start(t, toml)
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	if code := r.reconfigure(toml + "[traffic]\ntop = false\n"); code != http.StatusOK {
		t.Fatal(code)
	}
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	r.awaitTraffic(2)
	if got := r.get("/api/top?network=europe&kind=clients"); strings.Contains(got, europe) {
		t.Errorf("it is listed who asks: %s", got)
	}
}

// A history that cannot be used is set aside, and everything else goes on.
func TestTrafficThatIsDamaged(t *testing.T) {
	state := filepath.Join(t.TempDir(), "traffic.json")
	if err := os.WriteFile(state, []byte("{\"pldns_traffic\":1}\n{\"minutes\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	r := startLogging(t, regions(fmt.Sprintf("[traffic]\nstate = %q\n", state)), slog.New(slog.NewTextHandler(log, nil)))
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	r.awaitTraffic(1)
	said, err := os.ReadFile(log.Name())
	if _, gone := os.Stat(state + ".unused"); err != nil || gone != nil || !strings.Contains(string(said), "begins anew") {
		t.Errorf("%v, %v; the log says\n%s", err, gone, said)
	}
}

// Metrics say whether history is on disk, from the beginning on, and that each listener
// answers.
func TestTrafficSaved(t *testing.T) {
	for state, want := range map[string]string{
		filepath.Join(t.TempDir(), "traffic.json"):           "pldns_traffic_saved 1\n",
		filepath.Join(t.TempDir(), "absent", "traffic.json"): "pldns_traffic_saved 0\n",
	} {
		r := start(t, regions(fmt.Sprintf("[traffic]\nstate = %q\n", state)))
		resolvertest.Until(t, "a metric says "+want, func() bool { return strings.Contains(r.get("/metrics"), want) })
		for _, transport := range []string{"udp", "tcp"} {
			if want := fmt.Sprintf("pldns_listener_answers{listener=%q,transport=%q} 1\n", r.addrs[0], transport); !strings.Contains(r.get("/metrics"), want) {
				t.Errorf("no metric says %s", want)
			}
		}
	}
	if r := start(t, regions("")); strings.Contains(r.get("/metrics"), "pldns_traffic_saved") {
		t.Error("it is said whether history is on disk that is to be nowhere")
	}
}
