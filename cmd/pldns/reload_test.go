package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// stamped is a configuration that shows in every answer which one it is: a name
// leads over another, which only this configuration has, to its address.
func stamped(stamp int, rest string) string {
	return fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
%s%s
[networks.europe]
clients = ["127.0.0.0/8"]
[networks.europe.endpoints]
"stamp-%d.contoso.com" = "10.0.%d.%d"
[zones."internal.contoso.com"]
records = ["db 10 IN CNAME stamp-%d.contoso.com."]
`, withToken, rest, stamp, stamp/256, stamp%256, stamp)
}

// saysStamp is what a configuration with a stamp answers.
func saysStamp(stamp int) string {
	return fmt.Sprintf("NOERROR | CNAME stamp-%d.contoso.com. | A 10.0.%d.%d", stamp, stamp/256, stamp%256)
}

func (r *running) vanity() string {
	return says(r.ask("udp", europe, "db.internal.contoso.com", dns.TypeA))
}

// rewrite replaces the configuration of a running server, by rename as editors and
// configuration management do.
func (r *running) rewrite(toml string) {
	r.tb.Helper()
	next := r.file + ".next"
	if err := os.WriteFile(next, []byte(toml), 0o600); err != nil {
		r.tb.Fatal(err)
	}
	if err := os.Rename(next, r.file); err != nil {
		r.tb.Fatal(err)
	}
}

// reload asks for a reload at the admin address.
func (r *running) reload() int {
	r.tb.Helper()
	code, _ := r.post("/-/reload", nil)
	return code
}

// The three ways to reload: the admin server, a signal, a change of the file.
func TestReload(t *testing.T) {
	t.Parallel()
	r := start(t, stamped(1, ""))
	if got := r.vanity(); got != saysStamp(1) {
		t.Fatalf("before: %s", got)
	}
	r.rewrite(stamped(2, ""))
	if code := r.reload(); code != http.StatusOK || r.vanity() != saysStamp(2) {
		t.Errorf("POST /-/reload answers %d, then %s", code, r.vanity())
	}
	r.rewrite(stamped(3, ""))
	r.hangUps <- syscall.SIGHUP
	r.until("db.internal.contoso.com", func(s string) bool { return s == saysStamp(3) })
	r.rewrite(stamped(4, ""))
	r.until("db.internal.contoso.com", func(s string) bool { return s == saysStamp(4) })
}

// Kubernetes replaces a mounted volume by swapping one link.
func TestReloadOfASwappedLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for stamp := 1; stamp <= 2; stamp++ {
		version := filepath.Join(dir, fmt.Sprint("version", stamp))
		if err := os.Mkdir(version, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(version, "hub.toml"), fmt.Appendf(nil, "[networks.europe.endpoints]\n\"stamp-%d.contoso.com\" = \"10.0.0.%d\"\n", stamp, stamp), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "..data")
	if err := os.Symlink("version1", link); err != nil {
		t.Fatal(err)
	}
	r := start(t, fmt.Sprintf("files = [%q]\n[listen]\ndns = [\"127.0.0.1:0\"]\nadmin = \"off\"\n[networks.europe]\nclients = [\"127.0.0.0/8\"]\n", filepath.Join(link, "*.toml")))
	ask := func(stamp int) string {
		return says(r.ask("udp", europe, fmt.Sprintf("stamp-%d.contoso.com", stamp), dns.TypeA))
	}
	if got := ask(1); got != "NOERROR | A 10.0.0.1" {
		t.Fatalf("before: %s", got)
	}
	if err := os.Symlink("version2", link+".next"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".next", link); err != nil {
		t.Fatal(err)
	}
	r.until("stamp-2.contoso.com", func(s string) bool { return s == "NOERROR | A 10.0.0.2" })
}

// Whatever is wrong with a new file, the old answers go on, and it is said why.
func TestBadReload(t *testing.T) {
	bad, err := filepath.Glob("../../config/testdata/bad/*.toml")
	if err != nil || len(bad) < 100 {
		t.Fatalf("%d bad files, %v", len(bad), err)
	}
	if testing.Short() { // each takes its time; config has tests of all
		bad = slices.DeleteFunc(bad, func(file string) bool { return len(file)%8 != 0 })
	}
	r := start(t, stamped(1, ""))
	files := []string{"[networks", strings.Replace(stamped(2, ""), "127.0.0.1:0", "127.0.0.1:5399", 1)}
	for _, file := range bad {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(text))
	}
	for i, text := range files {
		r.rewrite(text)
		if code := r.reload(); code != http.StatusUnprocessableEntity {
			t.Errorf("broken file %d: %d", i, code)
		}
		if got := r.vanity(); got != saysStamp(1) {
			t.Fatalf("after broken file %d: %s", i, got)
		}
	}
	if page := r.get("/readyz"); !strings.Contains(page, `"ready": true`) || !strings.Contains(page, `"ok": false`) {
		t.Errorf("/readyz says %s", page)
	}
	if r.metric("pldns_config_last_reload_successful") != 0 {
		t.Error("the metric says that the last reload is served")
	}
	r.rewrite(stamped(3, ""))
	if code := r.reload(); code != http.StatusOK || r.vanity() != saysStamp(3) {
		t.Errorf("a good file after all: %d, %s", code, r.vanity())
	}
}

// Many reloads under load: no query is lost, no answer mixes two configurations or
// is older than what was served when it was asked for. The cache and the upstreams
// that stay are kept. PLDNS_RELOADS and PLDNS_RATE say how many, and how many
// queries a second.
func TestReloadsUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("reloads for 6 s: make test-all runs it")
	}
	upstream := azureDNS(t)
	rest := upstreamTable(upstream.Addr)
	r := start(t, stamped(0, rest))
	r.ask("udp", europe, "www.contoso.com", dns.TypeA)
	var served atomic.Int64
	query := new(dns.Msg).SetQuestion("db.internal.contoso.com.", dns.TypeA)
	load := startFlow(t, europe, r.addrs[0], environmentNumber(t, "PLDNS_RATE", 1000), query, served.Load, func(reply *dns.Msg, since int64) string {
		got, stamp := says(reply), 0
		if _, err := fmt.Sscanf(got, "NOERROR | CNAME stamp-%d.", &stamp); err != nil || got != saysStamp(stamp) {
			return "an answer of no configuration: " + got
		}
		if int64(stamp) < since {
			return fmt.Sprintf("configuration %d was served when it was asked, and it got the answer of %d", since, stamp)
		}
		return ""
	})
	reloads := environmentNumber(t, "PLDNS_RELOADS", 200)
	for stamp := 1; stamp <= reloads; stamp++ {
		r.rewrite(stamped(stamp, rest))
		if code := r.reload(); code != http.StatusOK {
			t.Errorf("reload %d: %d", stamp, code)
		}
		served.Store(int64(stamp))
	}
	asked, lost := load.finish()
	if lost != 0 {
		t.Errorf("%d queries were lost", lost)
	}
	r.ask("udp", europe, "www.contoso.com", dns.TypeA)
	if n := upstream.Count("www.contoso.com", dns.TypeA); n != 1 {
		t.Errorf("the upstream was asked %d times: its cache did not survive", n)
	}
	t.Logf("%d reloads in %v under %d queries: %d lost, %d wrong", reloads, time.Since(load.began).Round(time.Millisecond), asked, lost, load.wrong.Load())
}

// environmentNumber is a number from the environment, or a default.
func environmentNumber(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	number, err := strconv.Atoi(text)
	if err != nil || number <= 0 {
		t.Fatalf("%s is %q: give a number above 0", name, text)
	}
	return number
}

// A group that asks other servers from now on forgets what the old ones said.
func TestReloadOfAnUpstream(t *testing.T) {
	before, after := azureDNS(t), resolvertest.StartUpstream(t, "www.contoso.com. 300 IN A 203.0.113.99")
	r := start(t, stamped(1, upstreamTable(before.Addr)))
	if got := says(r.ask("udp", europe, "www.contoso.com", dns.TypeA)); got != "NOERROR | A 203.0.113.80" {
		t.Fatalf("before: %s", got)
	}
	r.rewrite(stamped(1, upstreamTable(after.Addr)))
	if code := r.reload(); code != http.StatusOK {
		t.Fatalf("reload: %d", code)
	}
	if got := says(r.ask("udp", europe, "www.contoso.com", dns.TypeA)); got != "NOERROR | A 203.0.113.99" {
		t.Errorf("after: %s", got)
	}
}
