package acceptance

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/forward"
	"pldns/resolver/listen"
	"pldns/resolver/metrics"
	"pldns/resolver/observe"
	"pldns/resolver/resolvertest"
	"pldns/resolver/traffic"
	"pldns/zones"
)

// estate is a made-up program behind the page, in a state that a test chooses: what takes
// real programs weeks, such as a certificate near its end, or a history of 90 days.
type estate struct {
	status    admin.Status
	upstreams []admin.Upstream
	networks  []admin.Network
	sources   []admin.Source
	zones     admin.Zones
	unmapped  []admin.Unmapped
	index     *admin.EndpointIndex
	ill       map[netip.Addr]bool
	past      *traffic.Traffic
	recent    *observe.Recent
	live      *observe.Live
}

// The health of addresses, for the page.
func (e *estate) Healthy(t zones.Target) bool { return !e.ill[t.Addr] }
func (e *estate) Fault(t zones.Target) string {
	if e.Healthy(t) {
		return ""
	}
	return "dial tcp " + t.Addr.String() + ":1433: connect: connection refused"
}
func (e *estate) Since(t zones.Target) time.Time {
	if e.Healthy(t) {
		return time.Time{}
	}
	return time.Now().Add(-47 * time.Minute)
}

// size says how much there is of an estate.
type size struct{ networks, endpoints int }

// newEstate is an estate in which all is well.
func newEstate(t *testing.T, s size, past *traffic.Traffic) *estate {
	e := &estate{past: past, ill: make(map[netip.Addr]bool), recent: observe.NewRecent(nil, nil), live: observe.NewLive(nil, nil)}
	now := time.Now()
	names := []string{"europe", "australia", "fabrikam-shared-services", "onprem"}
	for i := len(names); i < s.networks; i++ {
		names = append(names, fmt.Sprintf("tenant-%04d", i))
	}
	var specs []zones.NetworkSpec
	probe := zones.NewProbe(zones.ProbeSpec{Port: 1433})
	for i, name := range names {
		clients := []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)}
		spec := zones.NetworkSpec{Name: name, Clients: clients}
		for k := range 4 {
			if s.networks > 100 && k > 0 {
				break
			}
			spec.Endpoints = append(spec.Endpoints, endpoint(fmt.Sprintf("sql-%s-%d", name, k), byte(i>>8), byte(i), byte(10+k), probe))
		}
		if i == 0 {
			for k := range s.endpoints {
				spec.Endpoints = append(spec.Endpoints, endpoint(fmt.Sprintf("server-%05d", k), byte(100+k>>16), byte(k>>8), byte(k), probe))
			}
		}
		specs = append(specs, spec)
		e.networks = append(e.networks, admin.Network{
			Name: name, Clients: clients, Missing: []string{"forward", "nxdomain"}[i%2], Limit: 5000, Sets: []string{"shared", "monitoring"},
			Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.4:53")},
			Forward:   []admin.Route{{Suffix: ".", Upstream: "azure"}, {Suffix: "corp.contoso.com", Upstream: "corp"}},
		})
	}
	table, err := zones.Build(specs)
	if err != nil {
		t.Fatal(err)
	}
	e.index = admin.NewEndpointIndex(table)
	release := "3f9a41c2b7d8e6f00112233445566778899aabbccddeeff00112233445566778"
	e.status = admin.Status{
		Ready: true, Loaded: now.Add(-26 * time.Hour), Networks: len(names), Endpoints: 4*len(names) + s.endpoints,
		Listening: []admin.Listening{{Over: "dns", Address: netip.MustParseAddrPort("10.0.0.4:53")}, {Over: "dot", Address: netip.MustParseAddrPort("10.0.0.4:853")},
			{Over: "doh", Address: netip.MustParseAddrPort("10.0.0.4:443")}},
		Certificates: []admin.Certificate{{Name: "default", Names: []string{"dns.contoso.net", "fabrikam.dns.contoso.net"}, Key: "ECDSA", Until: now.Add(70 * 24 * time.Hour)}},
		LastReload:   &admin.Reload{At: now.Add(-3 * time.Hour), OK: true},
		Store: &admin.Store{
			Where: "https://10.0.0.7:2379", Channel: "stable", Instance: "dns-weu-1", Release: release, Short: release[:8], By: "ops@contoso.com",
			Note: "new databases", Pushed: now.Add(-4 * time.Hour), Taken: now.Add(-3 * time.Hour), Since: now.Add(-3 * time.Hour), Saved: true, Wanted: release,
			Answered: now.Add(-4 * time.Second),
		},
	}
	for _, u := range []struct{ group, server string }{{"azure", "168.63.129.16"}, {"corp", "10.20.0.4"}, {"corp", "10.20.0.5"}} {
		e.upstreams = append(e.upstreams, admin.Upstream{Group: u.group, ServerState: forward.ServerState{
			Server: u.server, Transport: forward.Plain, Healthy: true, RTT: .0021, InFlight: 3,
		}})
	}
	e.sources = []admin.Source{
		{Name: "file", Taken: now.Add(-3 * time.Hour), Serving: 12},
		{Name: "azure.corp", Taken: now.Add(-40 * time.Second), Tried: now.Add(-40 * time.Second), Every: 60, Calls: 1811, Serving: 4*len(names) + s.endpoints,
			Subscriptions: []admin.Subscription{{ID: "8d3c0f3a-0000-4000-8000-000000000001", Name: "corp-prod", Seen: now, Endpoints: map[string]int{"Approved": 16, "Pending": 1}}},
			Pending:       []admin.Resource{{ID: "/subscriptions/8d3c0f3a/resourceGroups/data/providers/Microsoft.Network/privateEndpoints/pe-sql-new", Since: now.Add(-30 * time.Minute), Why: "not approved yet"}}},
	}
	e.zones = admin.Zones{
		Copies: []admin.Zone{
			{Name: "corp.contoso.com", Networks: names[:3], Primaries: []string{"10.20.0.4", "tls://10.20.0.5#ns2.corp.contoso.com"}, Key: "transfer.corp.contoso.com", State: admin.ZoneHeld,
				Serial: 2026112704, Records: 48_211, Primary: "tls://10.20.0.5#ns2.corp.contoso.com", Confirmed: now.Add(-9 * time.Minute), Next: now.Add(51 * time.Minute), Expires: now.Add(13 * 24 * time.Hour)},
			{Name: "20.10.in-addr.arpa", Networks: names[:1], Primaries: []string{"10.20.0.4"}, State: admin.ZoneHeld, Serial: 88, Records: 1204, Primary: "10.20.0.4", Confirmed: now.Add(-time.Hour), Next: now.Add(time.Hour), Expires: now.Add(13 * 24 * time.Hour)},
		},
		Given: []admin.Given{{Name: "privatelink.database.windows.net", Network: "onprem", To: []netip.Prefix{netip.MustParsePrefix("10.30.0.4/32"), netip.MustParsePrefix("10.30.1.0/24")}, Key: "site.copy", Made: true,
			Serial: uint32(now.Unix()), Records: 14, Changed: now.Add(-2 * time.Hour), Whole: 1, Changes: 31, Told: []admin.Told{{To: netip.MustParseAddrPort("10.30.0.4:53"), Serial: uint32(now.Unix())}}}},
	}
	e.unmapped = []admin.Unmapped{{Network: "europe", Unmapped: []admin.UnmappedName{
		{Name: "contosologs.blob.core.windows.net", Private: "contosologs.privatelink.blob.core.windows.net", Asked: "contosologs.blob.core.windows.net", Address: "203.0.113.5", Count: 1204, First: now.Add(-20 * time.Hour), Last: now},
		{Name: "partner.vault.azure.net", Private: "partner.privatelink.vaultcore.azure.net", Asked: "partner.vault.azure.net", Address: "203.0.113.9", Count: 3, First: now.Add(-time.Hour), Last: now.Add(-time.Minute)},
	}}}
	if past == nil {
		e.fillTraffic(names)
	}
	e.recent.Switch(true)
	for i := range 9 {
		e.recent.Exchanged(seen(t, i))
	}
	return e
}

// endpoint is one that is probed.
func endpoint(label string, b, c, d byte, probe zones.Probe) zones.Endpoint {
	return zones.Endpoint{
		Name: zones.MustName(label + ".database.windows.net"), Private: zones.MustName(label + ".privatelink.database.windows.net"),
		Zone: zones.MustName("privatelink.database.windows.net"), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, b, c, d})}, TTL: 10, Probe: probe,
	}
}

// seen is a query that was answered.
func seen(t testing.TB, i int) *listen.Exchange {
	name := fmt.Sprintf("sql-europe-%d.database.windows.net", i%4)
	m := new(dns.Msg)
	m.SetQuestion(name+".", dns.TypeA)
	m.Response = true
	answer := resolver.Answer{Network: "europe", Source: resolver.FromLocal}
	switch i % 7 {
	case 3:
		m.Rcode, answer.Rcode, answer.Source, answer.Group = dns.RcodeNameError, dns.RcodeNameError, resolver.FromUpstream, "azure"
	case 5:
		m.Rcode, answer = dns.RcodeRefused, resolver.Answer{Rcode: dns.RcodeRefused, Errors: []resolver.Error{{Code: 18, Text: "no network lists client 192.0.2.77"}}}
	default:
		private := strings.Replace(name, ".", ".privatelink.", 1) + "."
		m.Answer = resolvertest.RRs(t, fmt.Sprintf("%s. 10 IN CNAME %s\n%s 10 IN A 10.0.0.%d", name, private, private, 10+i%4))
		answer.Records = m.Answer
	}
	reply, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	client := "10.0.0.77"
	if answer.Network == "" {
		client = "192.0.2.77"
	}
	return &listen.Exchange{
		Transport: "udp", Began: time.Now(), Took: 13 * time.Microsecond, Reply: reply, Answer: answer,
		Query: resolver.NewClientQuery(zones.MustName(name), dns.TypeA, zones.NewClient(netip.MustParseAddr(client), netip.MustParseAddrPort("10.0.0.4:53"))),
	}
}

// fillTraffic has every network asked for some hours, by a clock that runs fast.
func (e *estate) fillTraffic(names []string) {
	now := time.Now()
	at := now.Add(-26 * time.Hour)
	if len(names) > 20 {
		at = now.Add(-3 * time.Minute)
	}
	e.past = traffic.New(traffic.Config{Now: func() time.Time { return at }})
	observer := e.past.Observe(metrics.New(metrics.Build{}))
	e.past.Serve(names)
	busy := names[:min(20, len(names))]
	for minute := 0; at.Before(now); minute++ {
		wave := 60 * (40 + 30*(minute/60%12))
		if now.Sub(at) < 70*time.Second {
			wave /= 60
		}
		for i, name := range busy {
			for k, kind := range []listen.Kind{
				{Transport: "udp", Network: name, Source: resolver.FromLocal, Remembered: true}, {Transport: "udp", Network: name, Source: resolver.FromCache},
				{Transport: "tls", Network: name, Source: resolver.FromUpstream}, {Transport: "udp", Network: name, Source: resolver.FromUpstream, Rcode: dns.RcodeNameError},
			} {
				observer.Tally(kind).Add(wave*(4-k)/(i+1)+minute%7, time.Duration(1+k*k*k*900)*time.Microsecond)
			}
		}
		step := time.Minute
		if now.Sub(at) < 70*time.Second {
			step = time.Second
		}
		at = at.Add(step)
		e.past.Look()
	}
	for i, name := range []string{"sql-europe-0.database.windows.net", "login.microsoftonline.com", "contosologs.blob.core.windows.net", "wpad.contoso.com"} {
		for range 400 / (i + 1) {
			question := make([]byte, 300)
			end, _ := dns.PackDomainName(name+".", question, 0, nil, false)
			x := &listen.Exchange{Transport: "udp", Question: append(question[:end], 0, 1, 0, 1), Took: time.Duration(i*20) * time.Millisecond, Answer: resolver.Answer{Network: names[0]}}
			if i == 3 {
				x.Answer.Rcode = dns.RcodeNameError
			}
			x.Query.Client = zones.NewClient(netip.AddrFrom4([4]byte{10, 0, 0, byte(70 + i)}), netip.AddrPort{})
			e.past.Exchanged(x)
		}
	}
	at = now
}

// open serves the page of whatever estate is the current one.
func open(t *testing.T, current *atomic.Pointer[estate]) served {
	t.Helper()
	first := current.Load()
	server := admin.New(admin.Options{
		Addr: netip.MustParseAddrPort("127.0.0.1:0"),
		Explain: func(_ context.Context, q resolver.Query) (resolver.Answer, *resolver.Trace) {
			return resolver.Answer{Network: "europe", Source: resolver.FromLocal, Records: resolvertest.RRs(t, q.Name.FQDN()+" 10 IN A 10.0.0.10")},
				&resolver.Trace{Steps: []resolver.Step{{Stage: "network", Text: "client is in 10.0.0.0/24 of network europe"}, {Stage: "zone", Text: "europe maps it"}}}
		},
		Reload: func() error { return nil }, Cache: emptyCache{}, Metrics: http.NotFoundHandler(),
		Status: func() admin.Status { return current.Load().status }, Upstreams: func() []admin.Upstream { return current.Load().upstreams },
		Networks: func() []admin.Network { return current.Load().networks }, Sources: func() []admin.Source { return current.Load().sources },
		Zones:    func() admin.Zones { return current.Load().zones },
		Unmapped: func() []admin.Unmapped { return current.Load().unmapped }, Index: func() *admin.EndpointIndex { return current.Load().index },
		NeverAsked: func(n *zones.Network) iter.Seq[zones.Name] {
			return func(yield func(zones.Name) bool) {
				for e := range n.Endpoints() {
					if !yield(e.Name()) {
						return
					}
				}
			}
		},
		Health: healthOf{current}, Traffic: first.past, Recent: first.recent, Live: first.live,
		Instance: admin.Instance{Name: "dns-weu-1", Version: "v1.4.2", Began: time.Now().Add(-52 * time.Hour)},
		Access:   func() admin.Access { return admin.Access{Token: adminToken} },
	})
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return served{t: t, admin: server.Addr().String()}
}

// healthOf is the health of the current estate.
type healthOf struct{ current *atomic.Pointer[estate] }

func (h healthOf) Healthy(t zones.Target) bool    { return h.current.Load().Healthy(t) }
func (h healthOf) Fault(t zones.Target) string    { return h.current.Load().Fault(t) }
func (h healthOf) Since(t zones.Target) time.Time { return h.current.Load().Since(t) }

// emptyCache remembers nothing.
type emptyCache struct{}

func (emptyCache) Dump(zones.Name, bool) iter.Seq[admin.CacheEntry] {
	return func(func(admin.CacheEntry) bool) {}
}
func (emptyCache) Flush(zones.Name, bool) int { return 0 }

// state is a state of the estate, what the banner says of it, and what single pages do.
type state struct {
	name   string
	size   size
	change func(*estate)
	banner []string
	says   map[string][]string
}

// states are those that operators meet.
func states() []state {
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	die := func(e *estate, from, to int) {
		for i := range e.upstreams[from:to] {
			u := &e.upstreams[from+i]
			u.Healthy, u.UnhealthySince, u.Failures = false, ago(9*time.Minute), .97
			u.Reason = "read udp " + u.Server + ":53: connection refused"
		}
	}
	return []state{
		{"all-well", size{}, func(*estate) {}, []string{"Serving, and all is well."}, map[string][]string{
			"/":                {"Queries a second", "The last hour", "UDP and TCP"},
			"/networks/europe": {"shared", "monitoring", "corp.contoso.com", "privatelink.database.windows.net", "10.0.0.0/24", "listener 10.0.0.4:53", "5,000 a second", "contosologs"},
			"/sources":         {"azure.corp", "corp-prod", "Waiting for approval"},
			"/zones":           {"corp.contoso.com", "2026112704", "48,211", "privatelink.database.windows.net", "made here", "10.30.0.4:53"},
			"/unmapped":        {"partner.vault.azure.net", "For the configuration"},
			"/live":            {"sql-europe-1.database.windows.net", "10.0.0.4:53", "NXDOMAIN", "192.0.2.77"},
		}},
		{"upstream-dead", size{}, func(e *estate) { die(e, 1, 2) }, []string{"Serving, with a warning:", "upstream corp: 1 of 2 fails (10.20.0.4: read udp 10.20.0.4:53: connection refused)", ", since "},
			map[string][]string{"/upstreams": {"connection refused", "since ", "(9 minutes ago)", "97%"}}},
		{"all-dead", size{}, func(e *estate) { die(e, 0, 3) }, []string{"Failing:", "no server of upstream azure can be asked: 1 of 1 fails", ", since "},
			map[string][]string{"/": {"no server of upstream corp can be asked: 2 of 2 fail"}}},
		{"failed-reload", size{}, func(e *estate) {
			e.status.LastReload = &admin.Reload{At: ago(time.Minute), Error: "/etc/pldns/pldns.toml:12: networks.hub.client: unknown key: write clients\n/etc/pldns/pldns.toml:31: networks.spoke.endpoints: \"10.0.0.300\" is no address"}
		}, []string{"Failing:", "the last reload failed, and what was served before goes on", ", since "}, map[string][]string{"/": {"unknown key: write clients"}, "/operate": {"refused", "unknown key: write clients"}}},
		{"certificate", size{}, func(e *estate) { e.status.Certificates[0].Until = time.Now().Add(5 * 24 * time.Hour) },
			[]string{"Serving, with a warning:", "the certificate expires at ", ", since "}, nil},
		{"source-stale", size{}, func(e *estate) {
			e.sources[1].Error, e.sources[1].Taken = "ask Azure Resource Graph: 403 Forbidden: the identity may not read /providers/Microsoft.Management/managementGroups/corp", ago(3*time.Hour)
			e.sources[1].Held = []admin.Resource{{ID: "/subscriptions/8d3c0f3a/resourceGroups/data/providers/Microsoft.Network/privateEndpoints/pe-old", Since: ago(time.Hour), Why: "gone with 40 others", Serves: []string{"europe: old.database.windows.net"}}}
			e.status.Store.Faults = []admin.StoreFault{{Since: ago(2 * time.Hour), Text: "the store cannot be followed, and what is served goes on: dial tcp 10.0.0.7:2379: i/o timeout"}}
		}, []string{"Serving, with a warning:", "azure.corp is not listed, and what was known goes on", ", since "}, map[string][]string{"/sources": {"failing", "403 Forbidden", "Removals that wait", "i/o timeout"}}},
		{"zones-away", size{}, func(e *estate) {
			e.zones.Copies[0].State, e.zones.Copies[0].Expires, e.zones.Copies[0].Since = admin.ZoneExpired, ago(40*time.Minute), ago(13*24*time.Hour)
			e.zones.Copies[0].Error = "10.20.0.4:53: no connection within 10s; 10.20.0.5:853: its certificate is not good: x509: certificate has expired or is not yet valid"
			e.zones.Copies[1].Unsaved = "write /var/lib/pldns/zones/20.10.in-addr.arpa.zone: no space left on device"
			e.zones.Given[0].Told[0].Error = "it does not answer"
		}, []string{"Failing:", "zone corp.contoso.com has expired, and its names are answered SERVFAIL", ", since "},
			map[string][]string{"/zones": {"expired", "its certificate is not good", "not on disk", "no space left", "it does not answer"}}},
		{"silent-listener", size{}, func(e *estate) {
			e.status.Ready, e.status.Reason = false, "a listener does not answer the program's own question"
			e.status.Silent = []admin.Silent{{Transport: "udp", Address: netip.MustParseAddrPort("10.0.0.4:53"), Since: ago(40 * time.Second), Error: "no reply within 2s"}}
		}, []string{"Not ready:", "a listener does not answer", ", since "}, nil},
		{"10000-endpoints", size{endpoints: 10_000}, func(e *estate) {
			for i := range 300 {
				e.ill[netip.AddrFrom4([4]byte{10, 100, byte(i >> 8), byte(i)})] = true
			}
		}, []string{"Failing:", "300 endpoints have no healthy address", ", since "}, map[string][]string{
			"/networks/europe": {"300 of 10,004 probed", "All 300", "connection refused"}, "/endpoints": {"1 to 50 of 10,016"},
			"/endpoints?health=unhealthy": {"1 to 50 of 300", "server-00000"}, "/unmapped?show=never-asked": {"1 to 50 of 10,016"},
		}},
		{"1000-networks", size{networks: 1000}, func(*estate) {}, []string{"Serving, and all is well."}, map[string][]string{
			"/networks": {"1 to 50 of 1,000"}, "/": {"All 1,000 networks"}, "/networks?search=tenant-0999": {"1 to 1 of 1"}, "/traffic": {"1 to 50 of 1,000"}, "/live": {"Outcome"},
		}},
	}
}

// pages are all pages.
func pages() []string {
	return []string{"/", "/traffic?span=day", "/networks", "/networks/europe", "/endpoints", "/endpoints?health=unhealthy", "/upstreams", "/sources", "/zones", "/unmapped",
		"/unmapped?show=never-asked", "/shadow", "/live", "/explain?name=sql-europe-0.database.windows.net&client=10.0.0.7", "/operate"}
}

// largestPage is how many octets a page has at most, whatever there is.
const largestPage = 256 << 10

// Every page in every state that operators meet: the banner says the worst of what is
// wrong, with the reason and since when, on all of them; none is large, sticks out of a small screen or has
// words that cannot be read. PLDNS_SCREENSHOTS keeps a picture of each.
func TestStatesInABrowser(t *testing.T) {
	var current atomic.Pointer[estate]
	first := newEstate(t, size{}, nil)
	current.Store(first)
	b := openBrowser(t, open(t, &current))
	for number, s := range states() {
		t.Run(s.name, func(t *testing.T) {
			past := first.past
			if s.size.networks > 0 {
				past = nil
			}
			e := newEstate(t, s.size, past)
			s.change(e)
			var here atomic.Pointer[estate]
			here.Store(e)
			r := open(t, &here)
			b.t, b.base = t, "http://"+r.admin
			shapes := []string{"dark", "narrow", "light"}
			if number > 0 {
				shapes = shapes[number%3:][:1]
			}
			for _, shape := range shapes {
				b.shape(shape)
				for _, path := range pages() {
					lookAtState(t, b, r, s, path, shape)
				}
			}
			for path, says := range s.says {
				if !slices.Contains(pages(), path) {
					wants(t, b.visit(path), says...)
				}
			}
			b.blameless()
		})
	}
}

// lookAtState looks at a page in a state, in one shape, and keeps a picture.
func lookAtState(t *testing.T, b *browser, r served, s state, path, shape string) {
	t.Helper()
	if octets := len(r.get(path)); octets > largestPage {
		t.Errorf("%s has %d octets", path, octets)
	}
	wants(t, b.visit(path), s.says[path]...)
	text := value(b, chromedp.Evaluate[string]("document.body.innerText"))
	if well := strings.HasPrefix(s.banner[0], "Serving, and"); !well || path == "/" {
		wants(t, text, s.banner...)
	} else if strings.Contains(text, "Failing:") || strings.Contains(text, "with a warning:") {
		t.Errorf("%s says that something is wrong: %s", path, text)
	}
	wants(t, text, "dns-weu-1", "v1.4.2", "up 2 days", "stable at release 3f9a41c2")
	file := s.name + "-overview"
	if path != "/" {
		file = s.name + strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(strings.Split(path, "&")[0])
	}
	if dim := value(b, chromedp.Evaluate[[]string](contrast)); len(dim) > 0 {
		t.Errorf("%s, %s: too little contrast: %s", path, shape, strings.Join(dim[:min(3, len(dim))], "; "))
	}
	if over := b.number("document.documentElement.scrollWidth - window.innerWidth"); over > 0 {
		t.Errorf("%s, %s: sticks out by %v pixels", path, shape, over)
	}
	if cut := b.number("[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"); cut > 0 {
		t.Errorf("%s, %s: has %v tables that are cut off", path, shape, cut)
	}
	b.shoot(file + "-" + shape)
}

// await waits until an expression is true, in the page that is open.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	defer func() {
		if b.t.Failed() {
			b.t.Log(b.text())
		}
	}()
	resolvertest.Until(b.t, what, func() bool { return b.number(expression) == 1 })
}

// A page that is looked at shows what has changed, by itself, and whoever has written,
// opened or scrolled something finds it as it was. It says when it cannot, and stops when it is told to.
func TestRefreshInABrowser(t *testing.T) {
	var current atomic.Pointer[estate]
	e := newEstate(t, size{networks: 60}, nil)
	current.Store(e)
	r := open(t, &current)
	b := openBrowser(t, r)
	b.visit("/")
	b.do(chromedp.Click(chromedp.CSS(".chart summary")), chromedp.Click(chromedp.CSS("details.more summary")))
	b.do(chromedp.SendKeys(chromedp.CSS("#explain-name"), "half a na"))
	b.number("(scrollTo(0, 700), window.marked = document.querySelector('tbody th a'), 1)")
	ill := newEstate(t, size{networks: 60}, e.past)
	states()[1].change(ill)
	current.Store(ill)
	b.await("the banner changes by itself", "/1 of 2 fails/.test(document.querySelector('main .notice').innerText)")
	if b.number("document.querySelector('#explain-name').value === 'half a na' && document.activeElement.id === 'explain-name'") != 1 {
		t.Error("what was being written is gone")
	}
	if b.number("document.querySelector('.chart details').open && document.querySelector('details.more').open") != 1 {
		t.Error("what was opened is closed")
	}
	if b.number("scrollY > 400 && window.marked.isConnected") != 1 {
		t.Error("the page has moved, or rows that are as they were were made anew")
	}
	if title := value(b, chromedp.Evaluate[string]("document.title")); !strings.HasPrefix(title, "degraded: Overview") {
		t.Errorf("the tab is called %q", title)
	}
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	current.Store(e)
	wants(t, value(b, chromedp.Evaluate[string]("document.querySelector('footer').innerText")), "Go on refreshing")
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.await("it goes on", "/all is well/.test(document.querySelector('main .notice').innerText)")
	b.number("(window.fetch = () => Promise.reject(new Error('gone')), 1)")
	b.await("it says that the server is gone", "/Not refreshed since .* does not answer/.test(document.querySelector('#stale').innerText)")
	b.shoot("server-gone-light")
	b.blameless()
	// Without scripts whoever wants that has the page loaded anew.
	b.do(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	if text := r.get("/traffic?span=day&refresh=on"); !strings.Contains(text, `<meta http-equiv="refresh" content="10">`) || !strings.Contains(text, `href="/traffic?span=day"`) {
		t.Error("without scripts the page cannot be refreshed, or not stopped")
	}
	b.visit("/live")
	b.shoot("no-script-live-light")
}

// Queries are shown as they are answered, those that the filters in the address want; the
// token is asked for once.
func TestLiveInABrowser(t *testing.T) {
	var current atomic.Pointer[estate]
	e := newEstate(t, size{}, nil)
	e.recent.Switch(false)
	current.Store(e)
	b := openBrowser(t, open(t, &current))
	b.visit("/live")
	wants(t, b.submit("#live-token", adminToken), "On until", "Outcome", "No query yet")
	b.await("the stream begins", "/shown as they are answered/.test(document.querySelector('#stream').innerText)")
	if b.number("document.querySelectorAll('input[name=token]').length") != 0 {
		t.Error("the token is asked for again")
	}
	for i := range 7 {
		e.live.Exchanged(seen(t, i))
	}
	b.await("the queries are shown", "document.querySelectorAll('[data-stream] tbody tr').length === 7")
	text := b.text()
	wants(t, text, "10.0.0.4:53", "udp", "192.0.2.77", "none", "REFUSED", "no network lists client", "NXDOMAIN", "10.0.0.11", "13µs")
	b.shape("narrow")
	b.shoot("live-stream-narrow")
	b.shape("light")
	b.shoot("live-stream-light")
	b.write("#client", "192.0.2.0/24")
	b.submit("#name", "sql*")
	if at := value(b, chromedp.Evaluate[string]("location.search")); !strings.Contains(at, "client=192.0.2.0%2F24") || !strings.Contains(at, "name=sql") {
		t.Errorf("the address does not say what is shown: %s", at)
	}
	b.await("the filtered stream begins", "/shown as they are answered/.test(document.querySelector('#stream').innerText)")
	for i := range 7 {
		e.live.Exchanged(seen(t, i))
	}
	b.await("the filters let one query through", "document.querySelectorAll('[data-stream] tbody tr time').length === 1")
	hostile := seen(t, 0)
	hostile.Query.Name = zones.NameOf(`<img\032src=x\032onerror=alert\(1\)>sql.`)
	hostile.Query.Client.Addr = netip.MustParseAddr("192.0.2.9")
	b.visit("/live?client=192.0.2.9")
	b.await("the stream for one client begins", "/shown as they are answered/.test(document.querySelector('#stream').innerText)")
	e.live.Exchanged(hostile)
	b.await("the hostile name is shown", "document.querySelectorAll('[data-stream] tbody tr time').length === 1")
	if b.number("document.querySelectorAll('main img').length") != 0 {
		t.Error("a name became a part of the page")
	}
	wants(t, b.follow("[data-stream] tbody a"), "Hop by hop", "192.0.2.9")
	wants(t, b.visit("/live?outcome=good"), "outcome: ")
	b.visit("/operate")
	wants(t, b.follow("section[aria-labelledby=leave] button"), "Forgotten")
	b.visit("/operate")
	if b.number("document.querySelectorAll('input[name=token]').length") != 2 {
		t.Error("the token is not asked for again")
	}
	b.visit("/unmapped")
	b.do(chromedp.Click(chromedp.CSS("textarea + button")))
	b.await("it is said that it was copied", "/Copied|Selected/.test(document.querySelector('textarea + button').innerText)")
	wants(t, value(b, chromedp.Evaluate[string]("document.querySelector('#stub').value")), "[networks.europe.endpoints]\n# \"contosologs.blob.core.windows.net\" = \"\" # asked 1,204 times")
	b.blameless()
}

// contrast lists texts that have too little contrast with what is behind them (WCAG 2.2,
// 1.4.3: 4.5 to 1, 3 to 1 for what is large).
const contrast = `(() => {
  const channel = (v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
  const parse = (c) => { const n = c.match(/[\d.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n; };
  const light = (c) => .2126 * channel(c[0]) + .7152 * channel(c[1]) + .0722 * channel(c[2]);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c) return c; } return [255, 255, 255]; };
  const found = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, box = e.getBoundingClientRect();
    if (!walk.currentNode.data.trim() || e.closest("svg, noscript, template, .skip, thead") || box.width === 0 || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), a = light(parse(style.color)), z = light(behind(e));
    const ratio = (Math.max(a, z) + .05) / (Math.min(a, z) + .05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) found.add(walk.currentNode.data.trim().slice(0, 40) + " " + ratio.toFixed(2));
  }
  return [...found];
})()`
