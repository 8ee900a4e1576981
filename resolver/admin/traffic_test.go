package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/html"

	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/listen"
	"pldns/resolver/metrics"
	"pldns/resolver/traffic"
	"pldns/zones"
)

// busy gives a made-up program ten minutes of traffic: 300 queries a minute of a network,
// the first of the names asked for being the one given, and 60 of clients of none.
func busy(t testing.TB, network, name string) func(*admin.Options) {
	now := time.Now().Add(-10 * time.Minute)
	seen := traffic.New(traffic.Config{Now: func() time.Time { return now }})
	counting := seen.Observe(metrics.New(metrics.Build{}))
	packed := make([]byte, 300)
	end, err := dns.PackDomainName(name, packed, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	e := &listen.Exchange{Transport: "udp", Question: append(packed[:end], 0, 1, 0, 1), Took: 2 * time.Second,
		Answer: resolver.Answer{Network: network, Rcode: dns.RcodeNameError}}
	e.Query.Client = zones.NewClient(netip.MustParseAddr("10.0.0.7"), netip.AddrPort{})
	for range 10 {
		counting.Tally(listen.Kind{Transport: "udp", Network: network, Source: resolver.FromLocal, Remembered: true}).Add(290, time.Microsecond)
		counting.Tally(listen.Kind{Transport: "tls", Network: network, Rcode: dns.RcodeNameError, Source: resolver.FromUpstream}).Add(10, 2*time.Second)
		counting.Tally(listen.Kind{Transport: "udp", Rcode: dns.RcodeRefused}).Add(60, time.Microsecond)
		seen.Exchanged(e)
		now = now.Add(time.Minute)
		seen.Look()
	}
	return func(o *admin.Options) { o.Traffic = seen }
}

// Programs are told what was answered: in all and by network, with what it comes to.
func TestTrafficForPrograms(t *testing.T) {
	called := func(network string, client netip.Addr) string {
		return map[string]string{"hub 10.0.0.7": "anna-laptop"}[network+" "+client.String()]
	}
	base := serve(t, admin.Status{}, busy(t, "hub", "wpad.contoso.com."), func(o *admin.Options) { o.Called = called })
	ask := func(path string, into any) {
		t.Helper()
		code, body := get(t, base+path)
		if err := json.Unmarshal([]byte(body), into); err != nil || code != http.StatusOK {
			t.Fatal(path, code, err)
		}
	}
	var all, hub admin.Traffic
	ask("/api/traffic", &all)
	ask("/api/traffic?network=hub&span=day", &hub)
	if all.Span != "hour" || all.Step != 60 || all.Total.Queries != 3600 || len(all.Points) != 10 || all.Points[9].Queries != 360 ||
		fmt.Sprint(all.Networks) != "[{hub 300 5} { 60 1}]" {
		t.Errorf("in all: %+v", all)
	}
	total := hub.Total
	if hub.Network != "hub" || hub.Networks != nil || total.Queries != 3000 || total.Rcodes["nxdomain"] != 100 || total.Sources["replies"] != 2900 ||
		total.Transports["tls"] != 100 || total.P99 < 2 || total.P99 > 3 || total.P50 > 1e-5 {
		t.Errorf("of a network: %+v", total)
	}
	for kind, want := range map[string]string{
		"names": "{wpad.contoso.com  10 10}", "clients": "{10.0.0.7 anna-laptop 10 10}", "nxdomain": "{wpad.contoso.com  10 10}", "slow": "{wpad.contoso.com  20000 20000}",
	} {
		var top admin.Top
		ask("/api/top?network=hub&kind="+kind, &top)
		if top.Kind != kind || top.Sample != 1 || len(top.Entries) != 1 || fmt.Sprint(top.Entries[0]) != want {
			t.Errorf("%s: %+v", kind, top)
		}
	}
	for path, want := range map[string]int{
		"/api/traffic?span=year": 400, "/api/traffic?network=nobody": 404, "/api/top?network=hub": 400, "/api/top?network=hub&kind=all": 400,
		"/api/top?kind=names": 400, "/api/top?network=nobody&kind=names": 404, "/traffic?span=year": 400, "/networks/nobody": 404,
	} {
		if code, body := get(t, base+path); code != want || strings.HasPrefix(path, "/api") && !strings.Contains(body, `"error"`) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// People see it as charts with a table behind each, for all networks and for one.
func TestTrafficForPeople(t *testing.T) {
	base := serve(t, admin.Status{}, crowd(30), busy(t, "hub", "wpad.contoso.com."), func(o *admin.Options) {
		o.Instance = admin.Instance{Name: "hub-1", Version: "v1.2.3", Began: time.Now().Add(-3 * time.Hour)}
	})
	for path, wants := range map[string][]string{
		"/traffic?span=day":       {"3,600", "Response codes", "NXDOMAIN", ">hub</a>", `aria-current="true">Last day`},
		"/traffic?search=nothing": {"None.", "Last hour"},
		"/networks/hub":           {"10.0.0.0/16", "3,000", "wpad.contoso.com", "10.0.0.7", "20s", "Names waited for longest", "explain?network=hub&amp;name=wpad.contoso.com"},
		"/networks/spoke":         {"link id 7", "1 of 2 probed", "Names that do not exist", "None."},
		"/networks":               {`<a href="/networks/spoke">`},
		"/":                       {"<strong>hub-1</strong>, v1.2.3, up 3 hours"},
	} {
		code, body := get(t, base+path)
		for _, want := range wants {
			if code != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s: %d, no %q in:\n%s", path, code, want, body)
			}
		}
	}
	for _, path := range []string{"/traffic?span=hour", "/networks/hub?span=90days", "/networks/spoke?span=minute"} {
		_, body := get(t, base+path)
		read, err := html.Parse(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		charts, lines := 0, 0
		for node := range read.Descendants() {
			switch {
			case node.Data == "svg":
				charts++
			case node.Data == "polyline":
				lines++
				if node.Parent.Data != "svg" || len(node.Attr) != 2 || strings.Count(node.Attr[1].Val, ",") < 60 {
					t.Errorf("%s: a line is drawn as %v", path, node.Attr)
				}
			}
		}
		if charts != 4 || lines < charts || strings.Count(body, "As a table") != charts {
			t.Errorf("%s: %d charts with %d lines", path, charts, lines)
		}
	}
}

// A name or network made to harm who looks is text, in charts and lists, too.
func TestHostileTraffic(t *testing.T) {
	const script = `"><script>alert(1)</script>`
	base := serve(t, admin.Status{}, busy(t, script, `"><script>alert\(1\)</script>.`), func(o *admin.Options) {
		o.Networks = func() []admin.Network { return []admin.Network{{Name: script}} }
		o.Instance = admin.Instance{Name: script, Version: script, Began: time.Now()}
	})
	for _, path := range []string{"/", "/traffic", "/networks/" + url.PathEscape(script), "/traffic?search=%22%3E%3Cscript%3E&span=%3Cscript%3E", "/networks"} {
		_, body := get(t, base+path)
		body = strings.Replace(body, `<script src="/static/page.js" defer></script>`, "", 1)
		if strings.Contains(body, "<script") || !strings.Contains(body, "&lt;script") {
			t.Errorf("%s holds a script, or nothing of it:\n%s", path, body)
		}
	}
}
