package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// lister is the table [azure.corp] of a machine that may list.
func (l *learner) lister(state string) string {
	_, table, _ := strings.Cut(l.toml, "[azure.corp]")
	table, _, _ = strings.Cut(table, "[networks.europe]")
	var lines []string
	for _, line := range strings.Split(table, "\n") {
		if strings.HasPrefix(line, "state = ") {
			line = fmt.Sprintf("state = %q", state)
		}
		lines = append(lines, line)
	}
	return "[azure.corp]" + strings.Join(lines, "\n")
}

// released is what all instances of a fleet share: a network that learns from corp.
func (l *learner) released() string {
	return upstreamTable(l.upstream.Addr) + fmt.Sprintf("[networks.europe]\nazure = { from = [\"corp\"], vnets = [%q], clients = true }\n", l.hub)
}

// process runs an instance as a process of its own, which can be killed.
func process(t *testing.T, toml string) *os.Process {
	t.Helper()
	command := exec.Command("pldns", "serve", "-c", writeConfig(t, strings.Replace(toml, `admin = "127.0.0.1:0"`, `admin = "off"`, 1)))
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command.Process
}

// learnsFrom waits until an instance says by which one corp is listed.
func (r *running) learnsFrom(t *testing.T, instance string) {
	t.Helper()
	resolvertest.Until(t, instance+" lists for the fleet", func() bool {
		corp := r.sources(t)["azure.corp"]
		return corp.By == instance && corp.Error == ""
	})
}

// One instance lists Azure for all, also for those that cannot. When it is killed another
// one goes on from where it was, nothing is withdrawn meanwhile, and with nobody left who
// can list everybody serves what was published last.
func TestOneInstanceListsForAll(t *testing.T) {
	whenLong(t)
	f, _ := etcdFleet(t, 1)
	l := newLearner(t)
	state := func(name string) string { return filepath.Join(f.states, name+"-corp.json") }
	f.push(l.lister(state("pusher"))+l.released(), "--allow-warnings")
	tableless := f.machine("hub-3", "")
	third := start(t, tableless)
	resolvertest.Until(t, "/readyz waits for what is published", func() bool {
		return strings.Contains(third.get("/readyz"), "nothing has been learned yet from azure.corp")
	})
	first := process(t, f.machine("hub-1", l.lister(state("hub-1"))))
	third.until("db1.database.windows.net", saysDB("db1", "10.0.1.1"))
	third.learnsFrom(t, "hub-1")
	second := start(t, f.machine("hub-2", l.lister(state("hub-2"))))
	second.until("db2.database.windows.net", saysDB("db2", "10.0.1.2"))
	second.learnsFrom(t, "hub-1")
	if corp := second.sources(t)["azure.corp"]; corp.Calls > 0 {
		t.Errorf("an instance that was not elected asked Azure %d times", corp.Calls)
	}
	for _, form := range []url.Values{{"source": {"corp"}}, nil} {
		if code, said := second.post("/-/accept", form); code == http.StatusOK || !strings.Contains(said, "hub-1") {
			t.Errorf("what may go is accepted where nobody lists (%v): %d %s", form, code, said)
		}
	}
	l.add("fresh", "10.0.1.9")
	third.until("fresh.database.windows.net", saysDB("fresh", "10.0.1.9"))

	query := new(dns.Msg).SetQuestion("db1.database.windows.net.", dns.TypeA)
	flow := startFlow(t, europe, third.addrs[0], 500, query, func() int64 { return 0 }, func(reply *dns.Msg, _ int64) string {
		if len(reply.Answer) == 2 && strings.Contains(reply.Answer[1].String(), "10.0.1.1") {
			return ""
		}
		return reply.String()
	})
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	l.add("later", "10.0.1.10")
	third.until("later.database.windows.net", saysDB("later", "10.0.1.10"))
	t.Logf("what came after the leader was killed is served everywhere after %s", time.Since(killed).Round(time.Millisecond))
	third.learnsFrom(t, "hub-2")
	if asked, lost := flow.finish(); lost > 0 || asked == 0 {
		t.Errorf("%d of %d queries were lost", lost, asked)
	}
	second.end()
	for _, r := range []*running{third, start(t, tableless)} {
		if got := says(r.ask("udp", europe, "later.database.windows.net", dns.TypeA)); !saysDB("later", "10.0.1.10")(got) {
			t.Errorf("with nobody who lists: %s", got)
		}
	}
}

// What stands in the store in the place of a listing is not served, and put right by whoever
// lists; a listing of another tenant is not adopted.
func TestPublishedGarbage(t *testing.T) {
	whenLong(t)
	f, cluster := etcdFleet(t, 1)
	l := newLearner(t)
	f.push(l.lister("none")+l.released(), "--allow-warnings")
	third := start(t, f.machine("hub-3", ""))
	lists := start(t, f.machine("hub-1", l.lister(filepath.Join(f.states, "corp.json"))))
	third.until("db1.database.windows.net", saysDB("db1", "10.0.1.1"))
	garbage := func(text string) {
		t.Helper()
		put(t, cluster, "/pldns/listings/corp/current", text)
	}
	lists.end()
	garbage("garbage")
	resolvertest.Until(t, "/api/sources says that it is damaged", func() bool {
		return strings.Contains(third.sources(t)["azure.corp"].Error, "not what its digest says")
	})
	if got := says(third.ask("udp", europe, "db1.database.windows.net", dns.TypeA)); !saysDB("db1", "10.0.1.1")(got) {
		t.Errorf("with garbage in the store: %s", got)
	}
	l.add("fresh", "10.0.1.9")
	again := start(t, f.machine("hub-1", l.lister(filepath.Join(f.states, "corp.json"))))
	third.until("fresh.database.windows.net", saysDB("fresh", "10.0.1.9"))
	again.end()
	if _, err := cluster.Client().Delete(t.Context(), "/pldns/listings/corp/current"); err != nil {
		t.Fatal(err)
	}
	l.Move("99999999-0000-0000-0000-000000000000")
	l.add("foreign", "10.0.1.66")
	start(t, f.machine("hub-2", l.lister(filepath.Join(f.states, "other.json"))))
	resolvertest.Until(t, "/api/sources says that it is of another tenant", func() bool {
		return strings.Contains(third.sources(t)["azure.corp"].Error, "it is of tenant 99999999")
	})
	if got := says(third.ask("udp", europe, "foreign.database.windows.net", dns.TypeA)); strings.Contains(got, "10.0.1.66") {
		t.Errorf("with a listing of another tenant: %s", got)
	}
}
