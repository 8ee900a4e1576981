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

// edit replaces a part of the configuration of a running server, and reloads it.
func (r *running) edit(t *testing.T, from, to string) (code int, said string) {
	t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	next := strings.Replace(string(text), from, to, 1)
	if next == string(text) {
		t.Fatalf("the configuration has no %q", from)
	}
	r.rewrite(next)
	return r.post("/-/reload", nil)
}

// Addresses that are open cannot be changed while serving: that is refused, it is
// said which and why, and everything goes on as before.
func TestListenTakesARestart(t *testing.T) {
	b := startBehindIngresses(t, "")
	for key, to := range map[string]string{
		"dns": `dns = ["127.0.0.1:5399", "127.0.0.2:0"]`, "dot": `dot = ["127.0.0.1:0", "127.0.0.2:0"]`,
		"doh": `doh = []`, "admin": `admin = "off"`,
	} {
		text, err := os.ReadFile(b.file)
		if err != nil {
			t.Fatal(err)
		}
		from := ""
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, key+" = ") {
				from = strings.TrimSuffix(line, "\n")
			}
		}
		code, said := b.edit(t, from, to)
		if code != http.StatusUnprocessableEntity || !strings.Contains(said, "listen."+key+" is ") || !strings.Contains(said, "was 127.0.0.1:0, which takes a restart") ||
			strings.Count(said, "takes a restart") != 1 {
			t.Errorf("%s: %d %s", key, code, said)
		}
		if ready := b.get("/readyz"); !strings.Contains(ready, `"ok": false`) || !strings.Contains(ready, "listen."+key+" is ") {
			t.Errorf("%s: /readyz says %s", key, ready)
		}
		if got := b.overTLS(b.settings("a.dns.contoso.net", ""), nil); got != "127.9.0.2" {
			t.Errorf("%s: %s over TLS", key, got)
		}
		if code, said := b.edit(t, to, from); code != http.StatusOK {
			t.Errorf("%s, put back: %d %s", key, code, said)
		}
	}
}

// Everything else is applied while serving: who may call the admin server how, who
// signs the certificates of clients, who may speak for others.
func TestAppliedWhileServing(t *testing.T) {
	b := startBehindIngresses(t, "")
	call := func() int {
		request, err := http.NewRequest(http.MethodGet, "http://"+b.admin+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "pldns.contoso.com"
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if code := call(); code == http.StatusOK {
		t.Errorf("a name that is not listed: %d", code)
	}
	if code, said := b.edit(t, withToken, withToken+"admin_hosts = [\"pldns.contoso.com\"]\n"); code != http.StatusOK || call() != http.StatusOK {
		t.Errorf("admin_hosts: %d %s, then %d", code, said, call())
	}

	old, next := b.authority, resolvertest.NewAuthority(t)
	shows := func(authority *resolvertest.Authority) string {
		settings := b.settings("dns.contoso.net", "")
		settings.Certificates = append(settings.Certificates, authority.Certificate(t, "gw.a.com"))
		return b.overTLS(settings, nil)
	}
	if got := shows(old) + " " + shows(next); got != "127.9.0.2 failed" {
		t.Errorf("before client_ca changes: %s", got)
	}
	writePEM(t, filepath.Join(b.dir, "clients.pem"), "CERTIFICATE", next.Root())
	if code := b.reload(); code != http.StatusOK {
		t.Errorf("client_ca: %d", code)
	}
	if got := shows(old) + " " + shows(next); got != "failed 127.9.0.2" {
		t.Errorf("after client_ca has changed: %s", got)
	}

	behind := func() string {
		reply := b.ask("udp", unlisted, "mydb.database.windows.net", dns.TypeA, func(m *dns.Msg) {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 32, Address: net.ParseIP(europe)})
		})
		return says(reply)
	}
	if got := behind(); !strings.HasPrefix(got, "REFUSED") {
		t.Errorf("a client subnet of somebody who is not trusted: %s", got)
	}
	if code, said := b.edit(t, "[networks.open]", "[trust]\nclient_subnet = [\""+unlisted+"/32\"]\n[networks.open]"); code != http.StatusOK || !strings.HasSuffix(behind(), "A 127.9.0.1") {
		t.Errorf("trust: %d %s, then %s", code, said, behind())
	}

	if code, said := b.edit(t, withToken, ""); code != http.StatusOK {
		t.Errorf("no token any more: %d %s", code, said)
	}
	if code := b.reload(); code != http.StatusForbidden {
		t.Errorf("a reload without a token to know: %d", code)
	}
}

// A file that is written in place is noticed, too, and so is one of the authorities
// of endpoints.
func TestReloadInPlace(t *testing.T) {
	t.Parallel()
	r := start(t, stamped(1, ""))
	if err := os.WriteFile(r.file, []byte(stamped(2, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	r.until("db.internal.contoso.com", func(s string) bool { return s == saysStamp(2) })
}

func TestProbeAuthorityIsReloaded(t *testing.T) {
	t.Parallel()
	authority := resolvertest.NewAuthority(t)
	_, _, port := twoSites(t, authority.Certificate(t, "contoso.blob.core.windows.net"))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, ca, "CERTIFICATE", resolvertest.NewAuthority(t).Root())
	r := start(t, failover("tls:"+port, fmt.Sprintf("[probe]\ninterval = \"100ms\"\ntimeout = \"30s\"\nca = %q\n", ca)))
	resolvertest.Until(t, "the fault of a stranger who signs", func() bool { return strings.Contains(r.fault(nearby), "unknown authority") })
	writePEM(t, ca, "CERTIFICATE", authority.Root())
	resolvertest.Until(t, "no fault", func() bool { return r.fault(nearby) == "" })
}

// A query that is under way ends as it began, with the records and the upstream of
// then, whatever is reloaded meanwhile.
func TestOldSnapshotLivesOn(t *testing.T) {
	upstream := resolvertest.StartUpstream(t, "slow.contoso.com. 300 IN CNAME stamp-1.contoso.com.")
	release := make(chan struct{})
	upstream.On("slow.contoso.com", resolvertest.Delay(release))
	r := start(t, stamped(1, upstreamTable(upstream.Addr)))
	answered := make(chan string, 1)
	go func() {
		query := new(dns.Msg).SetQuestion("slow.contoso.com.", dns.TypeA)
		reply, err := r.exchange("udp", europe, r.addrs[0], query)
		if err != nil {
			answered <- err.Error()
			return
		}
		answered <- says(reply)
	}()
	upstream.Wait(t, "slow.contoso.com", dns.TypeA, 1)
	r.rewrite(stamped(2, upstreamTable(azureDNS(t).Addr)))
	if code := r.reload(); code != http.StatusOK || r.vanity() != saysStamp(2) {
		t.Errorf("reload: %d, then %s", code, r.vanity())
	}
	close(release)
	if got := <-answered; got != saysStamp(1) {
		t.Errorf("the query that was under way: %s", got)
	}
}

// What is known of upstreams that stay is kept.
func TestUpstreamHealthOutlivesReload(t *testing.T) {
	rest := upstreamTable(resolvertest.ClosedAddr(t), azureDNS(t).Addr)
	r := start(t, stamped(1, rest))
	ill := func() bool { return strings.Contains(r.get("/api/upstreams"), `"healthy": false`) }
	resolvertest.Until(t, "a server that does not answer is unhealthy", func() bool {
		r.ask("udp", europe, fmt.Sprintf("n%d.contoso.com", time.Now().UnixNano()), dns.TypeA)
		return ill()
	})
	r.rewrite(stamped(2, rest))
	if code := r.reload(); code != http.StatusOK || !ill() {
		t.Errorf("reload: %d, and then it is healthy: %s", code, r.get("/api/upstreams"))
	}
}
