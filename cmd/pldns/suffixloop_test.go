package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// A forwarder on-prem that leads one suffix back, as conditional forwarders do that
// were meant for others: the loop is found and named with its suffix, questions for
// names there are cut at once, and all others are answered as ever.
func TestALoopOfOneSuffix(t *testing.T) {
	t.Parallel()
	upstream := azureDNS(t)
	forwarder := resolvertest.StartUpstream(t)
	r := start(t, behindForwarder(forwarder.Addr))
	forwarder.Always(func(a *resolvertest.Asked) {
		to := upstream.Addr
		if dns.IsSubDomain("blob.core.windows.net.", strings.ToLower(a.Msg.Question[0].Name)) {
			to = r.addrs[0]
		}
		client := &dns.Client{Timeout: 4 * time.Second}
		if reply, _, err := client.Exchange(a.Msg, to.String()); err == nil {
			a.Send(reply)
		}
	})
	r.findsSuffixLoop(forwarder.Addr)
}

// The same with a real forwarder.
func TestALoopOfOneSuffixBehindDnsmasq(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for dnsmasq for 10 s: make test-all runs it")
	}
	path := find(t, "dnsmasq")
	upstream := azureDNS(t)
	forwarder := resolvertest.FreeAddr(t)
	r := start(t, behindForwarder(forwarder))
	_, args := dnsmasqArguments("", forwarder, upstream.Addr, "127.0.0.1")
	runProgram(t, path, append(args, fmt.Sprintf("--server=/blob.core.windows.net/%s#%d@127.0.0.1", r.addrs[0].Addr(), r.addrs[0].Port()))...)
	awaitAnswer(t, "dnsmasq", forwarder, upstream)
	r.findsSuffixLoop(forwarder)
}

// behindForwarder is a configuration whose upstream is a forwarder at an address of
// a network.
func behindForwarder(at netip.AddrPort) string {
	return strings.Replace(regions(upstreamTable(at)), "[\"127.0.1.0/24\"]", "[\"127.0.1.0/24\", \"127.0.0.1\"]", 1)
}

// findsSuffixLoop asks for names of a suffix that a forwarder leads back, and others.
func (r *running) findsSuffixLoop(forwarder netip.AddrPort) {
	t := r.tb
	t.Helper()
	want := fmt.Sprintf("server %s of upstream azure forwards the names of blob.core.windows.net back to this program: "+
		"remove its forwarder for them", forwarder)
	number := 0
	loops := func() []string {
		var status admin.Status
		if err := json.Unmarshal([]byte(r.get("/readyz")), &status); err != nil {
			t.Fatal(err)
		}
		return status.Loops
	}
	unmapped := func() string {
		number++
		return fmt.Sprintf("unmapped%d.blob.core.windows.net", number)
	}
	resolvertest.Until(t, "/readyz names the loop", func() bool {
		r.ask("udp", europe, unmapped(), dns.TypeA)
		return len(loops()) > 0
	})
	if got := loops(); len(got) != 1 || got[0] != want {
		t.Errorf("/readyz names %q", got)
	}
	if got := r.get("/api/upstreams"); !strings.Contains(got, `"blob.core.windows.net"`) {
		t.Errorf("/api/upstreams says %s", got)
	}
	if !strings.Contains(r.get("/metrics"), fmt.Sprintf(`pldns_upstream_failures_total{group="azure",reason="loop",server="%s"}`, forwarder)) {
		t.Error("no metric names the loop")
	}
	quickest := time.Minute
	for range 3 {
		began := time.Now()
		got := says(r.ask("udp", europe, unmapped(), dns.TypeA))
		quickest = min(quickest, time.Since(began))
		if !strings.HasPrefix(got, "SERVFAIL | EDE") {
			t.Errorf("a name that goes round: %s", got)
		}
	}
	if quickest > time.Second { // the deadline is 2.5 s
		t.Errorf("names that go round are answered after %v", quickest)
	}
	if got := says(r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)); got != inEurope {
		t.Errorf("a mapped name beside a loop: %s", got)
	}
	if got := says(r.ask("udp", europe, "www.contoso.com", dns.TypeA)); !strings.HasPrefix(got, "NOERROR") {
		t.Errorf("a name of another suffix: %s", got)
	}
}
