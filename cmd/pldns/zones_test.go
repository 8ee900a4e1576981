package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

const (
	siteKey    = "transfer.corp."
	siteSecret = "mZ1Q7u8nM6yqf9pC0kM2yJ4Qk2m1bP6rX9sT3vW5zY8="
)

// corpPrimary is a primary of one zone, which it gives to those who have its key.
type corpPrimary struct {
	addr   netip.AddrPort
	server *dns.Server

	mu      sync.Mutex
	records []dns.RR // the SOA record first
	taken   int
}

// startCorp starts a primary. What text says of host names is the zone's.
func startCorp(t *testing.T, text string) *corpPrimary {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &corpPrimary{addr: netip.MustParseAddrPort(listener.Addr().String())}
	s.has(t, 1, text)
	s.server = &dns.Server{Listener: listener, Handler: s, TsigSecret: map[string]string{siteKey: siteSecret}}
	ended := make(chan error, 1)
	go func() { ended <- s.server.ActivateAndServe() }()
	t.Cleanup(func() {
		s.stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// stop has nobody there any more.
func (s *corpPrimary) stop() { _ = s.server.Shutdown() } // an error says that it was stopped before

// has gives the zone another content.
func (s *corpPrimary) has(t *testing.T, serial uint32, text string) {
	t.Helper()
	head := fmt.Sprintf("corp.example. 60 SOA ns.corp.example. admin.corp.example. %d 3600 600 86400 30\ncorp.example. 60 NS ns.corp.example.\n", serial)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = resolvertest.RRs(t, head+text)
}

// ServeDNS implements [dns.Handler].
func (s *corpPrimary) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	records := slices.Clone(s.records)
	s.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	switch kind := q.Question[0].Qtype; {
	case q.IsTsig() == nil || w.TsigStatus() != nil:
		m.Rcode = dns.RcodeRefused
	case kind == dns.TypeAXFR || kind == dns.TypeIXFR:
		s.mu.Lock()
		s.taken++
		s.mu.Unlock()
		m.Answer = append(records, records[0])
	default:
		m.Answer = records[:1]
	}
	if signed := q.IsTsig(); signed != nil {
		m.SetTsig(signed.Hdr.Name, signed.Algorithm, 300, int64(signed.TimeSigned))
	}
	_ = w.WriteMsg(m) // who has gone asks again
}

// copied is the configuration of a hub of which one network has the zone of a site, another
// that of another site, and a third none. Strict is given to nobody.
func copied(state string, head string, one, other netip.AddrPort) string {
	text := strings.Replace(regions(head), "[networks.europe]\n", fmt.Sprintf("[networks.europe]\nzones.\"corp.example\" = { from = [%q], tsig = \"transfer.corp\" }\n", one), 1)
	text = strings.Replace(text, "[networks.australia]\n", fmt.Sprintf("[networks.australia]\nzones.\"corp.example\" = { from = [%q], tsig = \"transfer.corp\" }\n", other), 1)
	return text + fmt.Sprintf("[secondary]\nstate = %q\n[tsig.\"transfer.corp\"]\nsecret = %q\n", state, siteSecret)
}

// wait waits until clients at an address are answered something.
func (r *running) wait(network, from, name, want, when string) {
	r.tb.Helper()
	got := ""
	resolvertest.Until(r.tb, when+", "+from+" is answered "+want, func() bool {
		got = says(r.ask(network, from, name, dns.TypeA))
		return got == want
	}, &got)
}

// notify tells the server that a zone has changed, and gives what it says to that.
func (r *running) notify(t *testing.T, zone string) int {
	t.Helper()
	reply, err := r.exchange("udp", "127.0.0.1", r.addrs[0], new(dns.Msg).SetNotify(zone))
	if err != nil {
		t.Fatal(err)
	}
	return reply.Rcode
}

// zoneOf is what /api/zones says of the copy that a network is answered from.
func (r *running) zoneOf(t *testing.T, network string) admin.Zone {
	t.Helper()
	var all admin.Zones
	if err := json.Unmarshal([]byte(r.get("/api/zones")), &all); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all.Copies, func(z admin.Zone) bool { return slices.Contains(z.Networks, network) })
	if at < 0 {
		return admin.Zone{}
	}
	return all.Copies[at]
}

// Zones of two sites, of one name, are answered to a network each, from copies: after a
// restart as well, with all sites and upstreams away. An alias that leads to a mapped name
// ends at its private address; who has no zone is told what the outside says, and a zone
// without a copy fails with the reason.
func TestZonesFromPrimaries(t *testing.T) {
	dir := t.TempDir()
	one := startCorp(t, "host.corp.example. 60 A 10.20.0.7\ndb.corp.example. 60 CNAME momenta-eun.database.windows.net.\n")
	other := startCorp(t, "host.corp.example. 60 A 10.21.0.7\n")
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData, "host.corp.example. 60 A 198.51.100.7\n")
	queries := filepath.Join(dir, "queries.json")
	head := upstreamTable(upstream.Addr) + fmt.Sprintf("[query_log]\nmode = \"all\"\nto = [%q]\n", queries)
	r := start(t, copied(filepath.Join(dir, "zones"), head, one.addr, other.addr))
	resolvertest.Until(t, "both copies are held", func() bool {
		return r.zoneOf(t, "europe").State == admin.ZoneHeld && r.zoneOf(t, "australia").State == admin.ZoneHeld
	})
	answers := []struct{ from, name, want string }{
		{europe, "host.corp.example", "NOERROR | A 10.20.0.7"},
		{australia, "host.corp.example", "NOERROR | A 10.21.0.7"},
		{europe, "db.corp.example", "NOERROR | CNAME momenta-eun.database.windows.net. | " + alias + " | A 10.0.1.4"},
		{europe, "absent.corp.example", "NXDOMAIN | SOA corp.example."},
		{australia, "db.corp.example", "NXDOMAIN | SOA corp.example."},
	}
	check := func(when string) {
		t.Helper()
		for _, a := range answers {
			for _, network := range []string{"udp", "tcp"} {
				r.wait(network, a.from, a.name, a.want, when)
			}
		}
	}
	check("at first")
	if got := says(r.ask("udp", strict, "host.corp.example", dns.TypeA)); got != "NOERROR | A 198.51.100.7" {
		t.Errorf("a network without the zone: %s", got)
	}
	if z := r.zoneOf(t, "europe"); z.Serial != 1 || z.Records != 4 || z.Primary != one.addr.String() || z.Confirmed.IsZero() || z.Key != "transfer.corp" {
		t.Errorf("the copy of europe: %+v", z)
	}
	if metrics := r.get("/metrics"); !strings.Contains(metrics, `pldns_zone_records{network="europe",zone="corp.example"} 4`) {
		t.Error("the metrics do not tell the records of the zone")
	}
	if explained := r.get("/api/explain?name=host.corp.example&client=" + europe); !strings.Contains(explained, fmt.Sprintf("zone corp.example, serial 1, 4 records from %s: answered", one.addr)) {
		t.Errorf("the explanation does not tell the serial and the primary: %s", explained)
	}

	resolvertest.Until(t, "the query log has the rule", func() bool {
		logged, err := os.ReadFile(queries)
		return err == nil && strings.Contains(string(logged), `"rule":"zone corp.example"`)
	})
	one.has(t, 2, "host.corp.example. 60 A 10.20.0.8\ndb.corp.example. 60 CNAME momenta-eun.database.windows.net.\n")
	if got := r.notify(t, "corp.example."); got != dns.RcodeSuccess {
		t.Errorf("NOTIFY is answered %s", dns.RcodeToString[got])
	}
	if got := r.notify(t, "others.example."); got != dns.RcodeRefused {
		t.Errorf("NOTIFY for a zone that is not held is answered %s", dns.RcodeToString[got])
	}
	answers[0].want = "NOERROR | A 10.20.0.8"
	check("after NOTIFY")
	if z := r.zoneOf(t, "europe"); z.Serial != 2 {
		t.Errorf("the copy after NOTIFY: %+v", z)
	}

	r.stop()
	r.ended <- <-r.ended // for who waits at the end of the test
	one.stop()
	other.stop()
	upstream.Always(resolvertest.Drop)
	file := writeConfig(t, copied(filepath.Join(dir, "zones"), head, one.addr, other.addr))
	var out bytes.Buffer
	if run(t.Context(), []string{"explain", "host.corp.example", "--client", europe, "-c", file}, &out, &out); !strings.Contains(out.String(), "10.20.0.8") {
		t.Errorf("explain without a server does not use the copy on disk:\n%s", &out)
	}
	r = start(t, copied(filepath.Join(dir, "zones"), head, one.addr, other.addr))
	check("after a restart with everything away")

	r = start(t, copied(filepath.Join(dir, "empty"), head, one.addr, other.addr))
	if got := says(r.ask("udp", europe, "host.corp.example", dns.TypeA)); got != "SERVFAIL | EDE 14" {
		t.Errorf("without a copy: %s", got)
	}
	if ready := r.get("/readyz"); !strings.Contains(ready, "zone corp.example of europe has no copy yet") || !strings.Contains(ready, `"ready": true`) {
		t.Errorf("/readyz without a copy: %s", ready)
	}
}

// A reload changes which zones are held, goes on with those that stay, and refuses to move
// them to another folder.
func TestReloadOfZones(t *testing.T) {
	dir := t.TempDir()
	one := startCorp(t, "host.corp.example. 60 A 10.20.0.7\n")
	other := startCorp(t, "host.corp.example. 60 A 10.21.0.7\n")
	r := start(t, regions(""))
	text := copied(filepath.Join(dir, "zones"), "", one.addr, one.addr)
	r.rewrite(text)
	if code := r.reload(); code != 200 {
		t.Fatalf("the reload is answered %d: %s", code, r.get("/readyz"))
	}
	r.wait("udp", europe, "host.corp.example", "NOERROR | A 10.20.0.7", "after a reload")
	if z := r.zoneOf(t, "europe"); !slices.Equal(z.Networks, []string{"australia", "europe"}) {
		t.Errorf("networks that say the same share a copy: %+v", z)
	}
	r.rewrite(copied(filepath.Join(dir, "zones"), "", one.addr, other.addr))
	if code := r.reload(); code != 200 {
		t.Fatalf("the second reload is answered %d: %s", code, r.get("/readyz"))
	}
	r.wait("udp", australia, "host.corp.example", "NOERROR | A 10.21.0.7", "after another reload")
	r.wait("udp", europe, "host.corp.example", "NOERROR | A 10.20.0.7", "after another reload")
	one.mu.Lock()
	if one.taken != 1 {
		t.Errorf("the zone that stays was taken %d times", one.taken)
	}
	one.mu.Unlock()
	r.rewrite(copied(filepath.Join(dir, "elsewhere"), "", one.addr, other.addr))
	if code := r.reload(); code == 200 || !strings.Contains(r.get("/readyz"), "which takes a restart while zones are held") {
		t.Errorf("another folder is answered %d: %s", code, r.get("/readyz"))
	}
}

// givingHub is the configuration of a hub that gives a zone of its own and what it has in one of
// Azure's to a site, which is a client of it.
func givingHub(to, address string) string {
	return fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
%[1]s
[tsig."site.copy"]
secret = %[2]q
[zones."internal.contoso.com"]
records = ["host 60 A 10.9.0.1"]
transfer = [%[3]q]
transfer_tsig = "site.copy"
[networks.hub]
clients = ["127.0.0.1"]
[networks.hub.endpoints]
"mydb.database.windows.net" = %[4]q
[networks.hub.zones."privatelink.database.windows.net"]
transfer = [%[3]q]
transfer_tsig = "site.copy"
[networks.others]
clients = ["127.0.2.0/24"]
`, withToken, siteSecret, to, address)
}

// A site takes zones of a hub and is told when they change; nobody else takes them, nor does
// who cannot sign. What the site has is what the hub answers, with the hub away as well.
func TestZonesForOthers(t *testing.T) {
	hub := start(t, givingHub("127.0.0.1", "10.0.1.4"))
	taking := func(zone string) string {
		return fmt.Sprintf("[zones.%q]\nfrom = [%q]\ntsig = \"site.copy\"\n", zone, hub.addrs[0])
	}
	site := start(t, regions(taking("internal.contoso.com")+taking("privatelink.database.windows.net")+
		fmt.Sprintf("[tsig.\"site.copy\"]\nsecret = %q\n", siteSecret)))
	const private = "mydb.privatelink.database.windows.net"
	site.wait("udp", europe, private, "NOERROR | A 10.0.1.4", "from the hub")
	site.wait("udp", europe, "host.internal.contoso.com", "NOERROR | A 10.9.0.1", "from the hub")

	hub.rewrite(givingHub(site.addrs[0].String(), "10.0.1.5"))
	if code := hub.reload(); code != 200 {
		t.Fatalf("the reload is answered %d: %s", code, hub.get("/readyz"))
	}
	site.wait("udp", europe, private, "NOERROR | A 10.0.1.5", "after NOTIFY")
	var shown admin.Zones
	resolvertest.Until(t, "the site has said that it was told", func() bool {
		if err := json.Unmarshal([]byte(hub.get("/api/zones")), &shown); err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(shown.Given, func(g admin.Given) bool {
			return g.Network == "hub" && (len(g.Told) != 1 || g.Told[0].Serial != g.Serial)
		})
	}, &shown)
	if !strings.Contains(hub.get("/metrics"), `pldns_zone_given_untold{network="hub",zone="privatelink.database.windows.net"} 0`) {
		t.Error("the metrics do not tell of the zone that is given")
	}
	for from, want := range map[string]int{"127.0.0.1": dns.RcodeRefused, "127.0.2.1": dns.RcodeRefused, "127.0.9.9": dns.RcodeRefused} {
		query := new(dns.Msg).SetAxfr("privatelink.database.windows.net.")
		reply, err := hub.exchange("tcp", from, hub.addrs[0], query)
		if err != nil || reply.Rcode != want || len(reply.Answer) > 0 {
			t.Errorf("an unsigned transfer to %s: %v, %v", from, reply, err)
		}
	}
	hub.stop()
	site.wait("udp", australia, private, "NOERROR | A 10.0.1.5", "with the hub away")
}
