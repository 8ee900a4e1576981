package admin_test

import (
	"encoding/json"
	"fmt"
	"html"
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/forward"
	"pldns/resolver/forward/share"
	"pldns/resolver/listen"
	"pldns/resolver/observe"
	"pldns/zones"
)

// crowd gives a made-up program two networks: hub with so many endpoints, and spoke
// with two that are probed, one of which has an address that is not healthy.
func crowd(hub int) func(*admin.Options) {
	endpoints := make([]zones.Endpoint, hub)
	for i := range endpoints {
		endpoints[i] = zones.Endpoint{
			Name: zones.MustName(fmt.Sprintf("server-%05d.database.windows.net", i)), TTL: 10,
			Private:   zones.MustName(fmt.Sprintf("server-%05d.privatelink.database.windows.net", i)),
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 8, byte(i / 250), byte(i%250 + 1)})},
		}
	}
	ill := netip.MustParseAddr("10.0.9.9")
	probed := []zones.Endpoint{
		{Name: zones.MustName("ill.contoso.com"), Addresses: []netip.Addr{netip.MustParseAddr("10.0.9.8"), ill}, Probe: zones.NewProbe(zones.ProbeSpec{Port: 1433}), Pick: zones.PickFirstHealthy},
		{Name: zones.MustName("well.contoso.com"), Addresses: []netip.Addr{netip.MustParseAddr("fd00::8")}, Probe: zones.NewProbe(zones.ProbeSpec{Kind: zones.HTTPSProbe, Port: 443, Name: zones.MustName("well.contoso.com"), Path: "/healthz"})},
	}
	table, err := zones.Build([]zones.NetworkSpec{
		{Name: "hub", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, Endpoints: endpoints},
		{Name: "spoke", Links: []uint32{7}, Endpoints: probed, Zones: []zones.ZoneSpec{{Name: zones.MustName("corp.example"), Copy: "corp.example@1"}}},
	})
	if err != nil {
		panic(err) // the networks are those above
	}
	index := admin.NewEndpointIndex(table)
	return func(o *admin.Options) {
		o.Networks = func() []admin.Network {
			return []admin.Network{
				{Name: "hub", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, Missing: "forward"},
				{
					Name: "spoke", Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.9.0.5:53")}, Missing: "nxdomain",
					LinkIDs: []uint32{7}, Certificates: []string{"gw.spoke.com"}, DoHPaths: []string{"spoke"}, ServerNames: []string{"spoke.dns.contoso.net"},
				},
			}
		}
		o.Index = func() *admin.EndpointIndex { return index }
		o.Health = illness{ill}
	}
}

// illness is one address that is not healthy.
type illness struct{ addr netip.Addr }

func (i illness) Healthy(t zones.Target) bool { return t.Addr != i.addr }
func (illness) Fault(zones.Target) string     { return "connection refused" }
func (i illness) Since(t zones.Target) time.Time {
	if i.Healthy(t) {
		return time.Time{}
	}
	return time.Unix(1_800_000_000, 0)
}

func TestNetworks(t *testing.T) {
	_, body := get(t, serve(t, admin.Status{}, crowd(30))+"/api/networks")
	var networks []admin.Network
	if err := json.Unmarshal([]byte(body), &networks); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"hub 30 0 0 forward", "spoke 2 2 1 nxdomain"} {
		n := networks[i]
		if got := fmt.Sprint(n.Name, " ", n.Endpoints, " ", n.Probed, " ", n.Unhealthy, " ", n.Missing); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	base := serve(t, admin.Status{}, crowd(10_000))
	for _, test := range []struct {
		name, query          string
		total, pages, length int
		first                string
	}{
		{"one network", "network=hub", 10_000, 100, 100, "server-00000.database.windows.net"},
		{"a page of it", "network=hub&page=3&per_page=7", 10_000, 1429, 7, "server-00014.database.windows.net"},
		{"past the end", "network=hub&page=999999", 10_000, 100, 100, "server-09900.database.windows.net"},
		{"a page that is too long", "network=hub&per_page=5000", 10_000, 10, 1000, "server-00000.database.windows.net"},
		{"part of a name", "search=er-0007", 10, 1, 10, "server-00070.database.windows.net"},
		{"in capitals and absolute", "search=SERVER-00007.DATABASE.windows.net.", 1, 1, 1, "server-00007.database.windows.net"},
		{"part of a private name", "search=00007.privatelink", 1, 1, 1, "server-00007.database.windows.net"},
		{"an address", "search=10.8.0.8", 1, 1, 1, "server-00007.database.windows.net"},
		{"a prefix", "search=10.8.1.0/24", 250, 3, 100, "server-00250.database.windows.net"},
		{"IPv6", "search=fd00::8", 1, 1, 1, "well.contoso.com"},
		{"what is not healthy", "health=unhealthy", 1, 1, 1, "ill.contoso.com"},
		{"what is healthy", "health=healthy", 1, 1, 1, "well.contoso.com"},
		{"what is not probed", "health=not+probed&network=spoke", 0, 1, 0, ""},
		{"no such network", "network=nobody", 0, 1, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, body := get(t, base+"/api/endpoints?"+test.query)
			var got struct {
				Total, Pages int
				Endpoints    []admin.Endpoint
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil || code != http.StatusOK {
				t.Fatal(code, err)
			}
			if got.Total != test.total || got.Pages != test.pages || len(got.Endpoints) != test.length {
				t.Errorf("%d in %d pages, here %d", got.Total, got.Pages, len(got.Endpoints))
			}
			if test.length > 0 && got.Endpoints[0].Name != test.first {
				t.Errorf("the first is %s", got.Endpoints[0].Name)
			}
		})
	}
}

// hostileHealth is of addresses that are ill, and say something of it.
type hostileHealth string

func (hostileHealth) Healthy(zones.Target) bool    { return false }
func (h hostileHealth) Fault(zones.Target) string  { return string(h) }
func (hostileHealth) Since(zones.Target) time.Time { return time.Time{} }

// Every page of the browser is there without anything configured, and says so.
func TestPagesOfNothing(t *testing.T) {
	base := serve(t, admin.Status{Reason: "draining"}, func(o *admin.Options) {
		o.Access, o.Upstreams, o.Unmapped = nil, func() []admin.Upstream { return nil }, func() []admin.Unmapped { return nil }
	})
	for path, want := range map[string]string{
		"/sources": "There are none.", "/zones": "has it held as a copy", "/shadow": "No answers are compared",
		"/": "<strong>Not ready:</strong>\ndraining", "/networks": "Nothing found", "/traffic": "Response codes", "/endpoints": "No endpoint matches", "/upstreams": "Nothing is forwarded",
		"/unmapped": "None.", "/unmapped?show=never-asked": "None.", "/explain": "Client address", "/live": "there is no token", "/operate": "there is no token",
		"/static/page.css": "prefers-color-scheme", "/static/icon.svg": "<svg",
	} {
		if code, body := get(t, base+path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// What comes from outside is text on every page, whatever it is made of.
func TestHostileTexts(t *testing.T) {
	const script = `"><script>alert(1)</script>`
	base := serve(t, admin.Status{
		Ready: true, Loops: []string{script}, Warnings: []string{script}, LastReload: &admin.Reload{Error: script},
		Silent: []admin.Silent{{Transport: script, Error: script}},
	}, crowd(0), func(o *admin.Options) {
		table, err := zones.Build([]zones.NetworkSpec{{Name: script, Links: []uint32{1}, Endpoints: []zones.Endpoint{{
			Name: zones.NameOf(`"><script>alert\(1\)</script>.`), Addresses: []netip.Addr{netip.IPv6Loopback()},
			Probe: zones.NewProbe(zones.ProbeSpec{Kind: zones.HTTPSProbe, Port: 1, Name: zones.NameOf("<script>."), Path: "/" + script}),
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		index := admin.NewEndpointIndex(table)
		o.Index, o.Health = func() *admin.EndpointIndex { return index }, hostileHealth(script)
		o.NeverAsked = func(n *zones.Network) iter.Seq[zones.Name] { return slices.Values([]zones.Name{n.Endpoint(0).Name()}) }
		o.Networks = func() []admin.Network {
			return []admin.Network{{Name: script, Certificates: []string{script}, DoHPaths: []string{script}, ServerNames: []string{script}}}
		}
		o.Upstreams = func() []admin.Upstream {
			load := forward.Load{Limited: []share.Usage{{Network: script, Suffix: script}}}
			return []admin.Upstream{{Group: script, ServerState: forward.ServerState{Server: script, Without: []string{script}}, Load: load}}
		}
		o.Unmapped = func() []admin.Unmapped {
			return []admin.Unmapped{{Network: script, Unmapped: []admin.UnmappedName{{Name: script, Private: script, Address: script}}, NeverAsked: []string{script}}}
		}
		o.Origin = func(string, zones.Name) string { return script }
		o.Sources = func() []admin.Source {
			list := []admin.Resource{{ID: script, Why: script, Serves: []string{script}}}
			return []admin.Source{{
				Name: script, Error: script, Every: 60, Taken: time.Now(), Pending: list, Leaving: list, Held: list, Kept: list, Left: list, Warnings: []string{script},
				Subscriptions: []admin.Subscription{{ID: script, Name: script, Gone: time.Now(), Endpoints: map[string]int{script: 1}}},
				Differences:   []admin.Difference{{Network: script, Name: script, By: script, From: script}},
			}}
		}
		o.Zones = func() admin.Zones {
			return admin.Zones{
				Copies: []admin.Zone{{Name: script, Networks: []string{script}, Primaries: []string{script}, Key: script, Catalog: script, Primary: script, Error: script, Unsaved: script}},
				Given:  []admin.Given{{Name: script, Network: script, Key: script, Error: script, Told: []admin.Told{{Error: script}}}},
			}
		}
		o.Shadow = func() admin.Shadow {
			answer := admin.ShadowAnswer{Rcode: script, Alias: script, Text: script}
			difference := admin.ShadowDifference{Name: script, Type: script, Kind: script, Ours: answer, Theirs: answer}
			return admin.Shadow{
				Upstream: script, Failing: []string{script},
				Networks: []admin.ShadowNetwork{{Network: script, Differences: []admin.ShadowDifference{difference}}},
			}
		}
		o.Recent = observe.NewRecent(nil, nil)
		o.Recent.Switch(true)
		name := zones.NameOf(`"><script>alert\(1\)</script>.`)
		txt := &dns.TXT{Hdr: dns.RR_Header{Name: name.FQDN(), Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{script}}
		o.Recent.Exchanged(&listen.Exchange{
			Query: resolver.NewClientQuery(name, dns.TypeTXT, zones.Client{}), Answer: resolver.Answer{Network: script, Records: []dns.RR{txt}},
		})
	})
	for _, path := range []string{
		"/endpoints", "/networks", "/explain?name=a.b&server_name=%3Cscript%3E&path=%3Cscript%3E&certificate=%3Cscript%3E&link_id=%3Cscript%3E",
		"/explain?name=a.b&client=10.0.0.7&path=%3Cscript%3E&certificate=%3Cscript%3E", "/explain?name=a.b&network=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
		"/", "/upstreams", "/sources", "/zones", "/shadow", "/shadow?search=%22%3E%3Cscript%3E", "/unmapped", "/unmapped?show=never-asked", "/live", "/operate", "/networks?search=%22%3E%3Cscript%3E",
		"/endpoints?search=%22%3E%3Cscript%3E&network=%22%3E%3Cscript%3E&health=%3Cscript%3E",
		"/explain?name=%22%3E%3Cscript%3E&client=%22%3E%3Cscript%3E&listener=%3Cscript%3E", "/explain?name=%3Cscript%3E&client=10.0.0.7",
	} {
		_, body := get(t, base+path)
		body = strings.Replace(body, `<script src="/static/page.js" defer></script>`, "", 1)
		if strings.Contains(body, "<script") || !strings.Contains(body, "&lt;script") {
			t.Errorf("%s holds a script, or nothing of it:\n%s", path, body)
		}
	}
}

// A decision is drawn from the asked name to what its chain ends in.
func TestExplainPage(t *testing.T) {
	base := serve(t, admin.Status{}, crowd(1))
	_, body := get(t, base+"/explain?name=mydb.database.windows.net&client=10.0.0.7&type=A")
	for _, want := range []string{"of network europe gets NOERROR", `<span class="via">A`, "<code>10.0.1.4</code>", `class="stage-network"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in:\n%s", want, body)
		}
	}
	if _, body = get(t, base+"/explain?name=mydb.database.windows.net&network=hub"); !strings.Contains(body, `value="10.0.0.1"`) || strings.Contains(body, "Hop by hop") {
		t.Errorf("the form is not filled in for a client of the network:\n%s", body)
	}
	if _, body = get(t, base+"/explain?name=mydb.database.windows.net&network=spoke"); !strings.Contains(body, `value="10.9.0.5:53"`) {
		t.Errorf("the form does not name the listener of the network:\n%s", body)
	}
	if !strings.Contains(body, `value="10.9.0.5:53"`) || strings.Contains(body, `class="more" open`) {
		t.Errorf("the form names more than one:\n%s", body)
	}
	_, body = get(t, base+"/explain?name=mydb.database.windows.net&client=10.0.0.7&server_name=B.Dns.contoso.net&path=b&certificate=gw.b.com,x.b.com&link_id=8")
	for _, want := range []string{"link id 8", "<code>gw.b.com</code>", "<code>x.b.com</code>", "<code>b.dns.contoso.net</code>", `class="more" open`,
		`value="B.Dns.contoso.net"`, `value="gw.b.com,x.b.com"`, `<dt>Known by</dt><dd>link id 8</dd>`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in:\n%s", want, body)
		}
	}
	if code, body := get(t, base+"/explain?name=a.b&client=10.0.0.1&link_id=x&certificate=a..b&server_name=a..b"); code != http.StatusBadRequest ||
		!strings.Contains(body, "is no link id") || !strings.Contains(body, "certificate: ") || !strings.Contains(body, "server_name: ") {
		t.Errorf("faults of what is shown: %d\n%s", code, body)
	}
	if code, body := get(t, base+"/explain?name=a..b&client=ten"); code != http.StatusBadRequest || strings.Count(body, "<li>") < 2 {
		t.Errorf("both faults are to be told: %d\n%s", code, body)
	}
}

// The live list leads to the explanation of the same question by the same client,
// which arrives at the same listener and shows the same.
func TestLiveListShowsTheClient(t *testing.T) {
	recent := observe.NewRecent(nil, nil)
	recent.Switch(true)
	client := zones.NewClient(netip.MustParseAddr("10.0.0.7"), netip.MustParseAddrPort("10.0.0.4:853"))
	client.Shown = &zones.Shown{Link: 0, Linked: true, Certificates: []zones.Name{zones.MustName("gw.a.com"), zones.MustName("gw.b.com")}, Path: "a b", ServerName: zones.MustName("a.net")}
	recent.Exchanged(&listen.Exchange{Query: resolver.NewClientQuery(zones.MustName("mydb.contoso.com"), dns.TypeA, client)})
	base := serve(t, admin.Status{}, func(o *admin.Options) { o.Recent = recent })
	_, body := get(t, base+"/live")
	body = html.UnescapeString(body)
	for _, want := range []string{
		"link id 0, certificate gw.a.com, certificate gw.b.com, path /dns-query/a b, server name a.net",
		"/explain?certificate=gw.a.com%2Cgw.b.com&client=10.0.0.7&link_id=0&listener=10.0.0.4%3A853&name=mydb.contoso.com&path=a+b&server_name=a.net&type=A",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in:\n%s", want, body)
		}
	}
}

// Where queries arrive, and what is wrong with addresses, is shown.
func TestListenersAndFaults(t *testing.T) {
	base := serve(t, admin.Status{
		Ready: true, Listening: []admin.Listening{{"dns", netip.MustParseAddrPort("10.0.0.4:53")}, {"dot", netip.MustParseAddrPort("10.0.0.4:853")}, {"doh", netip.MustParseAddrPort("10.0.0.4:443")}},
		Certificates: []admin.Certificate{{Name: "default", Names: []string{"dns.contoso.net"}, Until: time.Unix(1_700_000_000, 0)}}, AsksClients: true,
	}, crowd(1))
	for path, wants := range map[string][]string{
		"/":                           {"10.0.0.4:853", "10.0.0.4:443", "/dns-query", "dns.contoso.net", "has expired", "Clients are asked"},
		"/networks":                   {"listener 10.9.0.5:53", "link id 7", "certificate gw.spoke.com", "all 5", "server name spoke.dns.contoso.net"},
		"/endpoints?health=unhealthy": {"connection refused", "tcp:1433"},
		"/endpoints?search=well":      {"https:443/healthz"},
		"/readyz":                     {`"over": "doh"`, `"until":`},
		"/api/networks":               {`"link_ids"`, `"doh_paths"`},
		"/api/endpoints?search=ill":   {`"fault": "connection refused"`},
	} {
		_, body := get(t, base+path)
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %s in:\n%s", path, want, body)
			}
		}
	}
}

// What is listed of many endpoints is put in order once, not for each page.
func BenchmarkMillionEndpoints(b *testing.B) {
	if testing.Short() {
		b.Skip("a million endpoints take a while to make")
	}
	base := serve(b, admin.Status{}, crowd(1_000_000))
	get(b, base+"/endpoints")
	get(b, base+"/")
	for _, path := range []string{"/", "/endpoints", "/endpoints?page=20000", "/endpoints?health=unhealthy", "/endpoints?search=server-00999"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				if code, _ := get(b, base+path); code != http.StatusOK {
					b.Fatal(code)
				}
			}
		})
	}
}

func BenchmarkEndpointsPage(b *testing.B) {
	base := serve(b, admin.Status{}, crowd(10_000))
	for b.Loop() {
		if code, _ := get(b, base+"/endpoints?search=server-09"); code != http.StatusOK {
			b.Fatal(code)
		}
	}
}

// Where more is asked than an upstream takes, the page and the API say who is limited,
// and what a server is asked without.
func TestWhoIsLimited(t *testing.T) {
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.Upstreams = func() []admin.Upstream {
			load := forward.Load{InFlight: 16384, Capacity: 16384, Shed: 7, Limited: []share.Usage{
				{Suffix: "silent.example", Held: 16000, GaveWay: 7}, {Client: netip.MustParsePrefix("10.9.8.7/32"), Held: 3, GaveWay: 1}}}
			return []admin.Upstream{
				{Group: "azure", ServerState: forward.ServerState{Server: "a", Healthy: true, Without: []string{"edns"}}, Load: load},
				{Group: "azure", ServerState: forward.ServerState{Server: "b"}, Load: load}}
		}
	})
	_, page := get(t, base+"/upstreams")
	if strings.Count(page, "silent.example") != 1 || strings.Count(page, "<code>10.9.8.7/32</code>") != 1 || !strings.Contains(page, "Limited now") || !strings.Contains(page, "asked without edns") {
		t.Errorf("the page is:\n%s", page)
	}
	_, list := get(t, base+"/api/upstreams")
	for _, want := range []string{`"suffix":"silent.example"`, `"gave_way":7`, `"client":"10.9.8.7/32"`, `"capacity":16384`, `"shed":7`, `"without":["edns"]`} {
		if !strings.Contains(strings.Join(strings.Fields(list), ""), want) {
			t.Errorf("no %s in:\n%s", want, list)
		}
	}
}
