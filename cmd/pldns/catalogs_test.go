package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// manyPrimary is a primary of any number of zones, for everybody.
type manyPrimary struct {
	addr   netip.AddrPort
	server *dns.Server

	mu    sync.Mutex
	zones map[string][]dns.RR // by name; the SOA record first
}

func startMany(t *testing.T) *manyPrimary {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &manyPrimary{addr: netip.MustParseAddrPort(listener.Addr().String()), zones: make(map[string][]dns.RR)}
	p.server = &dns.Server{Listener: listener, Handler: p}
	ended := make(chan error, 1)
	go func() { ended <- p.server.ActivateAndServe() }()
	t.Cleanup(func() {
		p.stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}

// stop has nobody there any more.
func (p *manyPrimary) stop() { _ = p.server.Shutdown() } // an error says that it was stopped before

// has gives a zone a content: records relative to it.
func (p *manyPrimary) has(t *testing.T, zone string, serial uint32, text string) {
	t.Helper()
	head := fmt.Sprintf("$ORIGIN %s.\n$TTL 60\n@ SOA ns.invalid. nobody.invalid. %d 5 5 86400 30\n@ NS ns.invalid.\n", zone, serial)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.zones[zone] = resolvertest.RRs(t, head+text)
}

// ServeDNS implements [dns.Handler].
func (p *manyPrimary) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	p.mu.Lock()
	records := p.zones[strings.TrimSuffix(strings.ToLower(q.Question[0].Name), ".")]
	p.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	if len(records) == 0 {
		m.Rcode = dns.RcodeRefused
		_ = w.WriteMsg(m) // who has gone asks again
		return
	}
	switch q.Question[0].Qtype {
	case dns.TypeAXFR, dns.TypeIXFR:
		for part := range slices.Chunk(append(slices.Clone(records), records[0]), 400) {
			m.Answer = part
			_ = w.WriteMsg(m)
		}
	default:
		m.Answer = records[:1]
		_ = w.WriteMsg(m)
	}
}

// copiesOf are the copies that /api/zones has.
func (r *running) copiesOf(t *testing.T) []admin.Zone {
	t.Helper()
	var all admin.Zones
	if err := json.Unmarshal([]byte(r.get("/api/zones")), &all); err != nil {
		t.Fatal(err)
	}
	return all.Copies
}

// copyNamed is the copy of a zone; zero where there is none.
func (r *running) copyNamed(t *testing.T, zone string) (found admin.Zone) {
	t.Helper()
	for _, z := range r.copiesOf(t) {
		if z.Name == zone {
			found = z
		}
	}
	return found
}

const catalogVersion = "version TXT \"2\"\n"

// Zones come and go as a catalog says, for all networks and for one; what a network has of
// its own stays. A catalog that is broken changes nothing, and after a restart with the
// primary away all is as before.
func TestCatalogs(t *testing.T) {
	t.Parallel()
	p := startMany(t)
	for _, zone := range []string{"a.example", "b.example", "c.example", "own.example"} {
		p.has(t, zone, 1, "host A 10.20.0."+fmt.Sprint(len(p.zones)+1)+"\n")
	}
	p.has(t, "cat.example", 1, catalogVersion+"1.zones PTR a.example.\n2.zones PTR own.example.\n")
	p.has(t, "europe.example", 1, catalogVersion+"1.zones PTR b.example.\n")
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData)
	text := regions(upstreamTable(upstream.Addr)) + fmt.Sprintf(`
[secondary]
state = %q
[catalogs."cat.example"]
from = [%[2]q]
[zones."own.example"]
records = ["host A 10.9.9.9"]
[networks.europe.catalogs."europe.example"]
from = [%[2]q]
`, filepath.Join(t.TempDir(), "zones"), p.addr)
	r := start(t, text)
	r.wait("udp", europe, "host.a.example", "NOERROR | A 10.20.0.1", "at first")
	r.wait("udp", australia, "host.a.example", "NOERROR | A 10.20.0.1", "at first")
	r.wait("udp", europe, "host.b.example", "NOERROR | A 10.20.0.2", "at first")
	r.wait("udp", australia, "host.b.example", "NXDOMAIN | SOA .", "at first")
	r.wait("udp", europe, "host.own.example", "NOERROR | A 10.9.9.9", "at first")
	if z := r.copyNamed(t, "a.example"); z.Catalog != "cat.example" || !slices.Equal(z.Networks, []string{"australia", "europe", "strict"}) {
		t.Errorf("a member: %+v", z)
	}
	if z := r.copyNamed(t, "cat.example"); z.Use != "a catalog" || z.State != admin.ZoneHeld {
		t.Errorf("the catalog: %+v", z)
	}
	if ready := r.get("/readyz"); !strings.Contains(ready, "zone own.example of its own: the one that catalog cat.example lists is left out") {
		t.Errorf("/readyz does not tell what is left out: %s", ready)
	}

	if page := r.get("/metrics"); !strings.Contains(page, `pldns_zone_held{network="",zone="cat.example"} 1`) ||
		!strings.Contains(page, `pldns_zone_held{network="europe",zone="europe.example"} 1`) {
		t.Error("the catalogs have no metrics, and so no alerts")
	}
	p.has(t, "cat.example", 2, catalogVersion+"3.zones PTR c.example.\n")
	r.notify(t, "cat.example.")
	r.wait("udp", australia, "host.c.example", "NOERROR | A 10.20.0.3", "when it is added")
	r.wait("udp", australia, "host.a.example", "NXDOMAIN | SOA .", "when it is removed")
	if z := r.copyNamed(t, "a.example"); z.Name != "" {
		t.Errorf("a member that was removed is held: %+v", z)
	}

	p.has(t, "cat.example", 3, "version TXT \"1\"\n")
	r.notify(t, "cat.example.")
	resolvertest.Until(t, "the fault is told", func() bool {
		return strings.Contains(r.copyNamed(t, "cat.example").Error, `its version 3 is not taken: its version is "1"`)
	})
	r.wait("udp", australia, "host.c.example", "NOERROR | A 10.20.0.3", "with a broken catalog")

	r.stop()
	r.ended <- <-r.ended // for who waits at the end of the test
	p.stop()
	r = start(t, text)
	for _, from := range []string{europe, australia} {
		if got := says(r.ask("udp", from, "host.c.example", dns.TypeA)); got != "NOERROR | A 10.20.0.3" {
			t.Errorf("after a restart with the primary away: %s", got)
		}
	}
}

// A catalog of thousands of zones is followed, and one more of them is held while the others
// go on.
func TestLargeCatalog(t *testing.T) {
	t.Parallel()
	const members = 2000
	p := startMany(t)
	catalog := strings.Builder{}
	catalog.WriteString(catalogVersion)
	for i := range members {
		zone := fmt.Sprintf("z%d.example", i)
		p.has(t, zone, 1, fmt.Sprintf("host A 10.20.%d.%d\n", i/256, i%256))
		fmt.Fprintf(&catalog, "m%d.zones PTR %s.\n", i, zone)
	}
	p.has(t, "cat.example", 1, catalog.String())
	r := start(t, regions("")+fmt.Sprintf("[catalogs.\"cat.example\"]\nfrom = [%q]\n", p.addr))
	begun := time.Now()
	resolvertest.Until(t, "all are held", func() bool {
		held := 0
		for _, z := range r.copiesOf(t) {
			if z.State == admin.ZoneHeld && z.Catalog != "" {
				held++
			}
		}
		return held == members
	})
	t.Logf("%d zones after %v", members, time.Since(begun).Round(time.Millisecond))
	r.wait("udp", europe, "host.z1999.example", "NOERROR | A 10.20.7.207", "with all")
	p.has(t, "new.example", 1, "host A 10.30.0.1\n")
	p.has(t, "cat.example", 2, catalog.String()+"new.zones PTR new.example.\n")
	r.notify(t, "cat.example.")
	r.wait("udp", europe, "host.new.example", "NOERROR | A 10.30.0.1", "with one more")
	r.wait("udp", europe, "host.z0.example", "NOERROR | A 10.20.0.0", "with one more")
}

// A policy is taken from a primary: until it is there it says nothing, and that is told; it
// changes with its zone; and it goes on when the primary is away, also over a restart.
func TestPolicyFromPrimary(t *testing.T) {
	t.Parallel()
	p := startMany(t)
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData, "bad.example. 300 IN A 198.51.100.7\nworse.example. 300 IN A 198.51.100.8\n")
	text := strings.Replace(regions(upstreamTable(upstream.Addr)), "[networks.europe]\n", "[networks.europe]\npolicy = [\"corp\"]\n", 1) + fmt.Sprintf(`
[secondary]
state = %q
[policy.corp]
zone = "rpz.example"
from = [%q]
error = "filtered"
`, filepath.Join(t.TempDir(), "zones"), p.addr)
	r := start(t, text)
	r.wait("udp", europe, "bad.example", "NOERROR | A 198.51.100.7", "without the zone")
	if ready := r.get("/readyz"); !strings.Contains(ready, "zone rpz.example of policy corp has no copy yet") {
		t.Errorf("/readyz without the zone: %s", ready)
	}
	p.has(t, "rpz.example", 1, "bad.example CNAME .\n*.bad.example CNAME .\n24.0.113.0.203.rpz-ip CNAME *.\nbad.rpz-nsdname CNAME .\n")
	r.notify(t, "rpz.example.")
	const blocked = "NXDOMAIN | EDE 17 | SOA bad.example."
	r.wait("udp", europe, "bad.example", blocked, "with the zone")
	if got := says(r.ask("udp", australia, "bad.example", dns.TypeA)); got != "NOERROR | A 198.51.100.7" {
		t.Errorf("a network that is not held to it: %s", got)
	}
	if z := r.copyNamed(t, "rpz.example"); z.Use != "policy corp" || len(z.Networks) != 0 {
		t.Errorf("the zone of the policy: %+v", z)
	}
	if got := says(r.ask("udp", europe, "bad.example.rpz.example", dns.TypeA)); got != "NXDOMAIN | SOA ." {
		t.Errorf("the zone itself is served: %s", got)
	}
	resolvertest.Until(t, "the entries are counted", func() bool {
		return strings.Contains(r.get("/metrics"), `pldns_policy_entries{policy="corp"} 3`) && strings.Contains(r.get("/api/networks"), `"entries": 3`)
	})
	if page := r.get("/metrics"); !strings.Contains(page, `pldns_zone_held{network="",zone="rpz.example"} 1`) {
		t.Error("the zone of the policy has no metrics, and so no alerts")
	}
	p.has(t, "rpz.example", 2, "worse.example CNAME .\n")
	r.notify(t, "rpz.example.")
	r.wait("udp", europe, "worse.example", "NXDOMAIN | EDE 17 | SOA worse.example.", "with another version")
	r.wait("udp", europe, "bad.example", "NOERROR | A 198.51.100.7", "with another version")
	r.edit(t, `error = "filtered"`, `error = "censored"`)
	r.wait("udp", europe, "worse.example", "NXDOMAIN | EDE 16 | SOA worse.example.", "after a reload")

	r.stop()
	r.ended <- <-r.ended // for who waits at the end of the test
	p.stop()
	r = start(t, text)
	if got := says(r.ask("udp", europe, "worse.example", dns.TypeA)); got != "NXDOMAIN | EDE 17 | SOA worse.example." {
		t.Errorf("after a restart with the primary away: %s", got)
	}
}
