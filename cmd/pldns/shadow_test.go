package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// shadowTable is the configuration of an upstream that is asked for comparison alone.
func shadowTable(server netip.AddrPort, settings string) string {
	return fmt.Sprintf("[upstreams.before]\nservers = [%q]\n[shadow]\nupstream = \"before\"\n%s", server, settings)
}

// inEurope waits until something holds of how the answers of europe compare.
func (r *running) inEurope(what string, holds func(admin.ShadowNetwork) bool) admin.ShadowNetwork {
	r.tb.Helper()
	var shadow admin.Shadow
	at := -1
	resolvertest.Until(r.tb, what, func() bool {
		shadow = admin.Shadow{}
		if err := json.Unmarshal([]byte(r.get("/api/shadow")), &shadow); err != nil {
			r.tb.Fatal(err)
		}
		at = slices.IndexFunc(shadow.Networks, func(n admin.ShadowNetwork) bool { return n.Network == "europe" && holds(n) })
		return at >= 0
	}, &shadow)
	return shadow.Networks[at]
}

// shadowed runs the command.
func (r *running) shadowed(args ...string) (code int, out, talk string) {
	r.tb.Helper()
	var stdout, stderr bytes.Buffer
	code = run(r.tb.Context(), append([]string{"shadow", "--server", r.admin}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// What the server that clients asked before answers otherwise is listed by name and
// network, on the page, for programs, by the command and in the metrics; clients are
// answered as without it, and what is mended agrees. A reload turns it off and on.
func TestShadow(t *testing.T) {
	azure, before := azureDNS(t), resolvertest.StartUpstream(t, `
momenta-eun.database.windows.net. 300 IN CNAME momenta-eun.privatelink.database.windows.net.
momenta-eun.privatelink.database.windows.net. 10 IN A 10.0.1.4
momenta-aue.database.windows.net. 300 IN CNAME momenta-aue.privatelink.database.windows.net.
momenta-aue.privatelink.database.windows.net. 10 IN A 10.0.1.99
www.contoso.com. 300 IN A 198.51.100.7`)
	toml := regions(upstreamTable(azure.Addr) + shadowTable(before.Addr, "sample = 1.0\nmax_qps = 1000\n"))
	r := start(t, toml)
	if code, out, _ := r.shadowed(); code != exitNo || !strings.Contains(out, "europe: compared 0, ") {
		t.Errorf("nothing is compared yet: %d %s", code, out)
	}
	aue := func(address string) string {
		return "NOERROR | CNAME momenta-aue.privatelink.database.windows.net. | A " + address
	}
	for _, ask := range []struct{ over, name, want string }{
		{"udp", "momenta-eun.database.windows.net", "NOERROR | CNAME momenta-eun.privatelink.database.windows.net. | A 10.0.1.4"},
		{"tcp", "momenta-aue.database.windows.net", aue("10.0.1.5")},
		{"udp", "contoso.blob.core.windows.net", "NOERROR | CNAME contoso.privatelink.blob.core.windows.net. | A 10.0.3.4"},
		{"udp", "www.contoso.com", "NOERROR | A 203.0.113.80"}, // another load balancer
		{"udp", "localhost", "NOERROR | A 127.0.0.1"},
	} {
		if got := says(r.ask(ask.over, europe, ask.name, dns.TypeA)); got != ask.want {
			t.Errorf("%s: %s", ask.name, got)
		}
	}
	r.ask("udp", europe, "4.1.0.10.in-addr.arpa", dns.TypePTR)
	n := r.inEurope("compared", func(n admin.ShadowNetwork) bool { return n.Compared() == 4 })
	if n.Same != 2 || n.Different != 2 || len(n.Differences) != 2 || n.Failed+n.Dropped != 0 {
		t.Fatalf("%+v", n)
	}
	if first := n.Differences[0]; first.Name != "contoso.blob.core.windows.net" || first.Kind != "rcode" || first.Theirs.Text != "NXDOMAIN" {
		t.Errorf("%+v", first)
	}
	for _, name := range []string{"localhost", "4.1.0.10.in-addr.arpa"} {
		if before.Count(name, dns.TypeA)+before.Count(name, dns.TypePTR) != 0 {
			t.Errorf("the other server was asked about %s", name)
		}
	}
	code, out, talk := r.shadowed()
	for _, want := range []string{
		"NETWORK", "BEFORE", "europe   momenta-aue.database.windows.net  A     addresses",
		"10.0.1.5 of momenta-aue.privatelink.database.windows.net", "10.0.1.99 of momenta-aue.privatelink.database.windows.net",
		"europe: compared 4, different 2, not answered 0, repeated 0, dropped 0; differ now 2, agree again 0\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %d\n%s%s", want, code, out, talk)
		}
	}
	if page := r.get("/shadow?search=momenta"); !strings.Contains(page, "momenta-aue.database.windows.net") || strings.Contains(page, "contoso.blob") ||
		!strings.Contains(page, "before says") {
		t.Errorf("the page says %s", page)
	}
	if got := r.metric(`pldns_shadow_answers_total{network="europe",result="addresses"}`); got != 1 {
		t.Errorf("the metric is %v", got)
	}

	mended := strings.Replace(strings.Replace(toml, `aue.database.windows.net" = "10.0.1.5"`, `aue.database.windows.net" = "10.0.1.99"`, 1),
		`"contoso.blob.core.windows.net" = "10.0.3.4"`, "", 1)
	if code := r.reconfigure(mended); code != http.StatusOK {
		t.Fatalf("mended: %d", code)
	}
	if got := says(r.ask("udp", europe, "momenta-aue.database.windows.net", dns.TypeA)); got != aue("10.0.1.99") {
		t.Errorf("mended: %s", got)
	}
	n = r.inEurope("agrees", func(n admin.ShadowNetwork) bool { return len(n.Differences) == 2 && n.Differences[1].Agreed != nil })
	if n.Differences[1].Name != "momenta-aue.database.windows.net" || n.Same != 3 {
		t.Errorf("%+v", n)
	}
	if code, out, _ := r.shadowed(); code != exitNo || strings.Contains(out, "momenta-aue") || !strings.Contains(out, "differ now 1, agree again 1") {
		t.Errorf("%d %s", code, out)
	}

	if code := r.reconfigure(regions(upstreamTable(azure.Addr))); code != http.StatusOK {
		t.Fatalf("off: %d", code)
	}
	const mapped = "momenta-eun.database.windows.net"
	asked := before.Count(mapped, dns.TypeA)
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	if code, _, talk := r.shadowed(); code != exitNo || !strings.Contains(talk, "compares no answers: name an upstream group in [shadow]") {
		t.Errorf("off: %d %s", code, talk)
	}
	if code := r.reconfigure(toml); code != http.StatusOK {
		t.Fatalf("on: %d", code)
	}
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	r.inEurope("on again", func(n admin.ShadowNetwork) bool { return n.Same == 1 && n.Different == 0 })
	if got := before.Count(mapped, dns.TypeA) - asked; got != 1 {
		t.Errorf("while it was off and since, it was asked %d times", got)
	}
	if code, out, _ := r.shadowed("--json"); code != exitFine || !json.Valid([]byte(out)) || !strings.Contains(out, `"upstream": "before"`) {
		t.Errorf("nothing differs: %d %s", code, out)
	}
}

// What the group that clients are answered from said itself is not asked again; its own
// names of the network are compared with what the group says of them.
func TestShadowOfTheOwnUpstream(t *testing.T) {
	azure := azureDNS(t)
	r := start(t, regions(upstreamTable(azure.Addr)+"[shadow]\nupstream = \"azure\"\nsample = 1\n"))
	r.ask("udp", europe, "www.contoso.com", dns.TypeA)
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	r.inEurope("compared", func(n admin.ShadowNetwork) bool { return n.Compared() == 1 })
	if got := azure.Count("www.contoso.com", dns.TypeA); got != 1 {
		t.Errorf("its own answer was compared: %d questions", got)
	}
	if got := azure.Count("momenta-eun.database.windows.net", dns.TypeA); got != 1 {
		t.Errorf("it was asked %d times about a name of the network", got)
	}
}

// Clients have every turn of a group that is at its max_qps, and nobody feels another
// server that is dead or answers garbage: all are answered.
func TestShadowIsNotFelt(t *testing.T) {
	garbage := resolvertest.StartUpstream(t)
	garbage.Always(resolvertest.Bytes([]byte("nothing that can be read")))
	for name, at := range map[string]netip.AddrPort{"silent": resolvertest.SilentAddr(t), "not there": resolvertest.ClosedAddr(t), "garbage": garbage.Addr} {
		t.Run(name, func(t *testing.T) {
			r := start(t, regions(upstreamTable(azureDNS(t).Addr)+shadowTable(at, "sample = 1\nmax_qps = 100000\n")))
			query := new(dns.Msg).SetQuestion("momenta-eun.database.windows.net.", dns.TypeA)
			load := startFlow(t, europe, r.addrs[0], environmentNumber(t, "PLDNS_RATE", 1000), query, func() int64 { return 0 }, func(reply *dns.Msg, _ int64) string {
				if got := says(reply); got != "NOERROR | CNAME momenta-eun.privatelink.database.windows.net. | A 10.0.1.4" {
					return got
				}
				return ""
			})
			for i := range 200 {
				r.ask("udp", europe, fmt.Sprintf("none%d.contoso.com", i), dns.TypeA)
			}
			r.inEurope("they fail", func(n admin.ShadowNetwork) bool { return n.Failed+n.Dropped > 0 })
			if asked, lost := load.finish(); lost > 0 || load.wrong.Load() > 0 {
				t.Errorf("%d of %d queries are lost, %d wrong", lost, asked, load.wrong.Load())
			}
			if n := r.inEurope("none differs", func(admin.ShadowNetwork) bool { return true }); n.Different != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
	t.Run("at max_qps", func(t *testing.T) {
		azure := azureDNS(t)
		r := start(t, regions(strings.Replace(upstreamTable(azure.Addr), "[forward]", "max_qps = 40\n[forward]", 1)+"[shadow]\nupstream = \"azure\"\nsample = 1\n"))
		const rounds = 60
		for i := range rounds { // as fast as the group lets them through
			r.ask("udp", europe, fmt.Sprintf("none%d.contoso.com", i), dns.TypeA)
			r.ask("udp", europe, fmt.Sprintf("none%d.blob.core.windows.net", i), dns.TypeA)
			r.ask("udp", strict, fmt.Sprintf("none%d.privatelink.blob.core.windows.net", i), dns.TypeA) // denied here: it is compared
		}
		if got := questions(azure); got < 2*rounds || got > 2*rounds+rounds/10 {
			t.Errorf("%d questions were asked, of which clients have %d", got, 2*rounds)
		}
		if got := r.metric(`pldns_shadow_answers_total{network="strict",result="dropped"}`); got < rounds/2 {
			t.Errorf("%v answers were not compared", got)
		}
		if strings.Contains(r.scrape(), `pldns_upstream_shed_total{group="azure"}`) {
			t.Error("questions of clients made room")
		}
	})
}

// A group that is not there is a fault of the configuration, and a reload with one changes
// nothing.
func TestShadowOfNobody(t *testing.T) {
	azure := azureDNS(t)
	r := start(t, regions(upstreamTable(azure.Addr)))
	r.rewrite(regions(upstreamTable(azure.Addr) + "[shadow]\nupstream = \"nobody\"\n"))
	code, said := r.post("/-/reload", nil)
	if code != http.StatusUnprocessableEntity || !strings.Contains(said, `define [upstreams.nobody], or write one of: azure, system`) {
		t.Errorf("%d %s", code, said)
	}
	if !strings.Contains(r.get("/shadow"), "No answers are compared") {
		t.Error("the page does not say that it is off")
	}
}
