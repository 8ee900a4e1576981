package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/config/release"
	"pldns/config/store/storetest"
	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// fleetOf is a fleet on an etcd cluster, and the file that is pushed to it.
type fleetOf struct {
	t      *testing.T
	store  string // the table [store] of those who push
	file   string // that is pushed
	states string // the folder of the instances' states
}

// newFleetOf makes a fleet of a store, with where it is in the table.
func newFleetOf(t *testing.T, where string) *fleetOf {
	t.Helper()
	dir := t.TempDir()
	return &fleetOf{t: t, store: "[store]\n" + where + "\n", file: filepath.Join(dir, "fleet.toml"), states: t.TempDir()}
}

func etcdFleet(t *testing.T, members int, more ...string) (*fleetOf, *storetest.Cluster) {
	t.Helper()
	cluster := storetest.Etcd(t, members, more...)
	quoted := strings.ReplaceAll(fmt.Sprintf("%q", cluster.URLs()), " ", ", ")
	return newFleetOf(t, "etcd = "+quoted), cluster
}

// hub is a configuration in which the hub's clients are told one address of a name, with
// more behind it.
func hub(address, more string) string {
	return fmt.Sprintf("[networks.hub]\nclients = [\"127.0.1.0/24\"]\n[networks.hub.endpoints]\n\"db.database.windows.net\" = %q\n%s", address, more)
}

// run runs a command of the program, and gives its exit code and what it printed.
func (f *fleetOf) run(args ...string) (code int, out, talk string) {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(f.t.Context(), append(args, "-c", f.file), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// write writes the file that is pushed.
func (f *fleetOf) write(toml string) {
	f.t.Helper()
	if err := os.WriteFile(f.file, []byte(f.store+"state = \"none\"\n"+toml), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// push pushes a configuration, and gives its release.
func (f *fleetOf) push(toml string, more ...string) string {
	f.t.Helper()
	f.write(toml)
	code, out, talk := f.run(append([]string{"push", "--json"}, more...)...)
	var result changed
	if err := json.Unmarshal([]byte(out), &result); code != exitFine || err != nil {
		f.t.Fatalf("push ends with %d: %s%s", code, out, talk)
	}
	return string(result.Release)
}

// machine is the file of an instance, with more behind it.
func (f *fleetOf) machine(name, more string) string {
	return "[listen]\ndns = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n" + withToken + f.store +
		fmt.Sprintf("state = %q\nname = %q\n", filepath.Join(f.states, name), name) + more
}

// db is what the hub's clients are told.
func (r *running) db() string {
	return says(r.ask("udp", europe, "db.database.windows.net", dns.TypeA))
}

// told waits until the hub's clients are told an address.
func (r *running) told(t *testing.T, address string) {
	t.Helper()
	resolvertest.Until(t, "the name has address "+address, func() bool { return strings.HasSuffix(r.db(), "A "+address) })
}

// end ends an instance, and waits until it has ended.
func (r *running) end() {
	r.tb.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		r.tb.Errorf("serve: %v", err)
	}
	r.ended <- nil // for the end of the test
}

// fleetStore is what /readyz says of the store, and whether the instance is ready.
func (r *running) fleetStore(t *testing.T) (ready bool, s admin.Store) {
	t.Helper()
	response, err := http.Get("http://" + r.admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var status admin.Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil || status.Store == nil {
		t.Fatalf("/readyz says nothing of the store: %v", err)
	}
	return status.Ready, *status.Store
}

// faulty waits until /readyz has a line about the store.
func (r *running) faulty(t *testing.T, want string) {
	t.Helper()
	resolvertest.Until(t, "/readyz says "+want, func() bool {
		_, s := r.fleetStore(t)
		for _, fault := range s.Faults {
			if strings.Contains(fault.Text, want) {
				return true
			}
		}
		return false
	})
}

// well waits until /readyz has nothing to say against the store.
func (r *running) well(t *testing.T) {
	t.Helper()
	resolvertest.Until(t, "/readyz has nothing to say against the store", func() bool {
		ready, s := r.fleetStore(t)
		return ready && len(s.Faults) == 0
	})
}

// What is pushed is served, what is pushed next as well, and what was there before comes
// back; and everybody can see which release that is.
func TestFleet(t *testing.T) {
	f, _ := etcdFleet(t, 1)
	r := start(t, f.machine("hub-1", ""))
	r.faulty(t, "channel stable has no release")
	if ready, _ := r.fleetStore(t); ready {
		t.Error("an instance without a release is ready")
	}
	if code, out, _ := f.run("fleet"); code != exitNo {
		t.Errorf("fleet without a release ends with %d: %s", code, out)
	}
	first := f.push(hub("10.0.1.4", ""), "--note", "the first <one>")
	r.told(t, "10.0.1.4")
	r.well(t)
	second := f.push(hub("10.0.1.5", ""))
	r.told(t, "10.0.1.5")
	if _, s := r.fleetStore(t); s.Release != second || s.Wanted != second || s.Channel != "stable" || s.Instance != "hub-1" {
		t.Errorf("/readyz says %+v, and %s is served", s, second)
	}
	resolvertest.Until(t, "pldns fleet finds the instance at the release", func() bool {
		code, out, _ := f.run("fleet")
		return code == exitFine && strings.Contains(out, "hub-1") && strings.Contains(out, release.Digest(second).Short())
	})
	if code, out, talk := f.run("rollback"); code != exitFine || !strings.Contains(out, release.Digest(first).Short()) {
		t.Fatalf("rollback ends with %d: %s%s", code, out, talk)
	}
	r.told(t, "10.0.1.4")
	short := release.Digest(first).Short()
	for path, want := range map[string]string{
		"/metrics": `pldns_store_release_info{channel="stable",release="` + short + `"} 1`, "/sources": "the first &lt;one&gt;",
		"/sources?": " by " + html.EscapeString(whoami()) + ": the first",
		"/":         "stable at release <code>" + short, "/api/sources": `"name": "store"`,
		"/api/explain?name=db.database.windows.net&client=127.0.1.1": "release " + short + "/fleet.toml",
	} {
		if got := r.get(path); !strings.Contains(got, want) {
			t.Errorf("%s does not say %s:\n%s", path, want, got)
		}
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"explain", "db.database.windows.net", "--client", europe, "--server", r.admin}, &out, &out); code != exitFine ||
		!strings.Contains(out.String(), "by release "+short) {
		t.Errorf("explain --server ends with %d: %s", code, &out)
	}
	if code, out, _ := f.run("explain", "db.database.windows.net", "--client", europe, "--release", second[:8]); code != exitFine ||
		!strings.Contains(out, "10.0.1.5") {
		t.Errorf("explain --release ends with %d: %s", code, out)
	}
}

// whenLong leaves a test out under -short: it loses parts of a fleet, and waits until that
// is noticed.
func whenLong(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("parts of a fleet fail: left out under -short")
	}
}

// An instance that starts while the store is away serves the last good release at once,
// and follows again when the store is back.
func TestStartWithTheStoreAway(t *testing.T) {
	whenLong(t)
	f, cluster := etcdFleet(t, 3)
	f.push(hub("10.0.1.4", ""))
	machine := f.machine("hub-1", "")
	r := start(t, machine)
	r.told(t, "10.0.1.4")
	r.well(t)
	resolvertest.Until(t, "the release is on disk", func() bool { _, s := r.fleetStore(t); return s.Saved })
	r.end()
	for _, m := range cluster.Members {
		m.Kill()
	}
	again := start(t, machine)
	if got := again.db(); !strings.HasSuffix(got, "A 10.0.1.4") {
		t.Errorf("the first answer is %s", got)
	}
	again.faulty(t, "the store cannot be followed")
	if ready, _ := again.fleetStore(t); !ready {
		t.Error("the store is away, and the instance is not ready")
	}
	if got := again.metric(`pldns_store_reachable{channel="stable"}`); got != 0 {
		t.Errorf("the metric says %v", got)
	}
	for _, m := range cluster.Members {
		m.Start()
	}
	cluster.Ready()
	f.push(hub("10.0.1.5", ""))
	again.told(t, "10.0.1.5")
	again.well(t)
}

// A release that cannot be served here is refused and reported, and the one before goes
// on; a file of the machine that is mended, or another release, ends that.
func TestReleaseThatCannotBeServedHere(t *testing.T) {
	f, _ := etcdFleet(t, 1)
	f.push(hub("10.0.1.4", ""))
	r := start(t, f.machine("hub-1", "# more\n"))
	r.told(t, "10.0.1.4")
	f.push("[listen]\ndns = [\"127.0.0.1:0\", \"127.0.0.5:53\"]\n" + hub("10.0.1.5", "[networks.five]\nlisteners = [\"127.0.0.5:53\"]\n"))
	r.faulty(t, `listen.dns does not open "127.0.0.5:53"`)
	if got := r.db(); !strings.HasSuffix(got, "A 10.0.1.4") {
		t.Errorf("the answer is %s", got)
	}
	resolvertest.Until(t, "pldns fleet says why", func() bool {
		code, out, _ := f.run("fleet")
		return code == exitNo && strings.Contains(out, "does not open")
	})
	if got := r.metric(`pldns_store_release_refused{channel="stable"}`); got != 1 {
		t.Errorf("the metric says %v", got)
	}
	if code, said := r.edit(t, "# more", "[networks.five]\nlisteners = []\nclients = [\"127.0.8.0/24\"]"); code != http.StatusOK {
		t.Fatalf("%d %s", code, said)
	}
	r.told(t, "10.0.1.5")
	r.well(t)
}

// Releases at a URL are followed as those in etcd, and come from a folder.
func TestFleetWithoutEtcd(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	f := newFleetOf(t, fmt.Sprintf("url = %q\nevery = \"1s\"", server.URL))
	f.push(hub("10.0.1.4", ""), "--to", dir)
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	second := f.push(hub("10.0.1.5", ""), "--to", dir)
	r.told(t, "10.0.1.5")
	r.well(t)
	if code, out, _ := f.run("history"); code != exitFine || !strings.Contains(out, release.Digest(second).Short()) {
		t.Errorf("history over HTTP ends with %d: %s", code, out)
	}
	if code, _, talk := f.run("push"); code != exitNo || !strings.Contains(talk, "push --to") {
		t.Errorf("push to a URL ends with %d: %s", code, talk)
	}
	if code, _, talk := f.run("fleet"); code != exitNo || !strings.Contains(talk, "takes a store in etcd") {
		t.Errorf("fleet at a URL ends with %d: %s", code, talk)
	}
}
