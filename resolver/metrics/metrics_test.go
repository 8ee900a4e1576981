package metrics_test

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/forward"
	"pldns/resolver/listen"
	"pldns/resolver/metrics"
	"pldns/resolver/observe/dnstap"
	"pldns/resolver/observe/querylog"
	"pldns/resolver/secondary"
	"pldns/resolver/shadow"
	"pldns/zones"
	"pldns/zones/policy"
)

// exercised is a recorder that has been told of one of everything.
func exercised(t *testing.T) *metrics.Recorder {
	t.Helper()
	r := metrics.New(metrics.Build{Version: "v1.0.0", Revision: "abc", GoVersion: "go"})
	r.Tally(listen.Kind{Transport: "udp", Network: "europe", Rcode: dns.RcodeSuccess, Source: resolver.FromLocal}).Add(1, time.Millisecond)
	r.Tally(listen.Kind{Transport: "tcp", Network: "", Rcode: dns.RcodeRefused, Source: resolver.FromNowhere}).Add(1, time.Millisecond)
	r.Tally(listen.Kind{Transport: "tcp", Network: "", Rcode: 3000, Source: resolver.FromNowhere}).Add(1, time.Millisecond)
	r.Tally(listen.Kind{Transport: "udp", Network: "europe", Rcode: dns.RcodeSuccess, Source: resolver.FromLocal}).Add(2, time.Millisecond)
	r.Confined("europe").Add(2, time.Millisecond)
	r.Policed("europe", "ads", policy.NXDomain).Add(3, time.Millisecond)
	r.Refused("udp", listen.Refusal(0))
	r.SubnetIgnored("udp")
	r.Connections("tcp", 1)
	r.Limited("", listen.ClientLimit, listen.Slipped)
	r.Limited("europe", listen.ResponseLimit, listen.Limited)
	r.CacheEvent("azure", cache.Hit)
	r.UpstreamSent("azure", "168.63.129.16", forward.First)
	r.UpstreamAnswered("azure", "168.63.129.16", dns.RcodeSuccess, time.Millisecond)
	r.UpstreamFailed("azure", "168.63.129.16", forward.TimedOut)
	r.UpstreamHealth("azure", "168.63.129.16", true)
	r.UpstreamShed("azure")
	r.UpstreamPanicked("azure")
	r.UpstreamSuspicious("azure", "168.63.129.16", forward.PrivateAddress)
	r.Probed(zones.TLSProbe, true)
	r.Reloaded(false, time.Second)
	r.AnsweredOutside("europe")
	r.Unhealthy(2)
	r.Panicked("cache")
	table, err := zones.Build([]zones.NetworkSpec{{Name: "europe", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}}})
	if err != nil {
		t.Fatal(err)
	}
	r.Logged("file", querylog.Written, 3)
	r.Tapped(dnstap.Dropped, 2)
	r.Exported("metrics", nil)
	r.Shadowed("europe", shadow.AddressesDiffer)
	r.Loaded(metrics.Serving{
		Table: table, Loaded: time.Unix(1_800_000_000, 0), CertificateEnds: map[string]time.Time{"default": time.Unix(1_900_000_000, 0)},
		Upstreams: []metrics.Upstream{{Group: "azure", Server: "168.63.129.16", Healthy: true}}, Policies: map[string]int{"ads": 20},
	})
	r.Learn(func() []metrics.Source {
		return []metrics.Source{{
			Name: "azure.corp", Taken: time.Unix(1_800_000_000, 0), OK: true, Calls: 14, Throttled: 1, Runs: 3, Failures: 1, Took: 2 * time.Second,
			Held: 21, Gone: 1, Differences: 2, States: map[string]int{"Approved": 300, "Pending": 4},
		}}
	})
	for _, reason := range []secondary.Reason{secondary.Unreachable, secondary.Signature} {
		r.Secondary().Failed(reason)
	}
	r.Secondary().Confirmed()
	r.Secondary().Transferred(secondary.Incremental, 1204, time.Second)
	r.Secondary().Notified(true)
	r.Secondary().Saved(true)
	r.Hold(func() ([]metrics.Zone, []metrics.Given) {
		return []metrics.Zone{{
			Name: "corp.example", Networks: []string{"europe"}, Held: true, Serial: 2026112701, Records: 1204, OK: true, Saved: true,
			Confirmed: time.Unix(1_800_000_000, 0), Expires: time.Unix(1_800_600_000, 0),
		}}, []metrics.Given{{Name: "privatelink.database.windows.net", Network: "europe", Serial: 1_800_000_000, Whole: 1, Changes: 4}}
	})
	r.Follow(func() *metrics.Store {
		return &metrics.Store{
			Channel: "stable", Release: "3f2a91c04d17", Pushed: time.Unix(1_800_000_000, 0), Reachable: true, Current: true, Saved: true,
			Failures: map[string]int64{"away": 2}, Told: new(true), Ahead: new(time.Second),
		}
	})
	r.Ask(metrics.Asked{
		DroppedLines: func() int64 { return 4 },
		Listeners: func() []metrics.Listener {
			return []metrics.Listener{{Transport: "udp", Addr: "127.0.0.1:53", Answers: true}}
		},
		History:  func() (bool, bool) { return true, true },
		InFlight: func() (int, int) { return 4, 5 },
		Cache:    func() (int, int64) { return 3, 4096 },
		Upstreams: func() []metrics.UnderWay {
			return []metrics.UnderWay{{Group: "azure", Questions: 7, Queries: map[string]int{"168.63.129.16": 8}}}
		},
		Unreachable: func() map[string]int { return map[string]int{"europe": 6} },
		Dnstap:      func() (bool, bool) { return true, true },
	})
	return r
}

// Every metric has a help text, a unit and a suffix as Prometheus wants them,
// and the program's prefix.
func TestMetricsAreLinted(t *testing.T) {
	r := exercised(t)
	problems, err := testutil.GatherAndLint(r.Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if name := family.GetName(); !strings.HasPrefix(name, "pldns_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s has a foreign prefix", name)
		}
	}
}

func TestSeries(t *testing.T) {
	page := httptest.NewRecorder()
	exercised(t).Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`pldns_policy_matches_total{action="nxdomain",network="europe",policy="ads"} 3`, `pldns_policy_entries{policy="ads"} 20`,
		`pldns_queries_total{network="europe",rcode="NOERROR",source="local",transport="udp"} 3`,
		`pldns_queries_total{network="",rcode="REFUSED",source="none",transport="tcp"} 1`,
		`pldns_queries_total{network="",rcode="other",source="none",transport="tcp"} 1`,
		`pldns_query_duration_seconds_count{source="local"} 3`,
		`pldns_connections{transport="tcp"} 1`,
		`pldns_cache_events_total{event="hit",group="azure"} 1`,
		`pldns_rate_limited_total{action="truncated",limit="client",network=""} 1`,
		`pldns_rate_limited_total{action="dropped",limit="responses",network="europe"} 1`,
		`pldns_cache_entries 3`,
		`pldns_cache_bytes 4096`,
		`pldns_upstream_questions{group="azure"} 7`,
		`pldns_upstream_in_flight{group="azure",server="168.63.129.16"} 8`,
		`pldns_upstream_queries_total{group="azure",reason="first",server="168.63.129.16"} 1`,
		`pldns_upstream_answers_total{group="azure",rcode="NOERROR",server="168.63.129.16"} 1`,
		`pldns_upstream_failures_total{group="azure",reason="timeout",server="168.63.129.16"} 1`,
		`pldns_upstream_healthy{group="azure",server="168.63.129.16"} 1`,
		`pldns_upstream_shed_total{group="azure"} 1`,
		`pldns_upstream_suspicious_total{group="azure",kind="private-address",server="168.63.129.16"} 1`,
		`pldns_endpoints{network="europe"} 0`,
		`pldns_config_reloads_total{result="failed"} 1`,
		`pldns_leaked_answers_total{network="europe"} 1`,
		`pldns_endpoint_probes_total{kind="tls",result="ok"} 1`,
		`pldns_endpoint_addresses_unhealthy 2`,
		`pldns_query_log_lines_total{result="written",to="file"} 3`,
		`pldns_shadow_answers_total{network="europe",result="addresses"} 1`,
		`pldns_source_complete_timestamp_seconds{source="azure.corp"} 1.8e+09`,
		`pldns_source_last_run_successful{source="azure.corp"} 1`,
		`pldns_source_last_run_duration_seconds{source="azure.corp"} 2`,
		`pldns_source_saved{source="azure.corp"} 0`,
		`pldns_source_runs_total{result="ok",source="azure.corp"} 2`,
		`pldns_source_runs_total{result="failed",source="azure.corp"} 1`,
		`pldns_source_calls_total{source="azure.corp"} 14`,
		`pldns_source_throttled_total{source="azure.corp"} 1`,
		`pldns_source_endpoints{source="azure.corp",state="Pending"} 4`,
		`pldns_source_removals_held{source="azure.corp"} 21`,
		`pldns_source_subscriptions_gone{source="azure.corp"} 1`,
		`pldns_source_differences{source="azure.corp"} 2`,
		`pldns_dnstap_messages_total{result="dropped"} 2`,
		`pldns_dnstap_connected 1`,
		`pldns_queries_in_flight{transport="udp"} 4`,
		`pldns_queries_in_flight{transport="stream"} 5`,
		`pldns_endpoints_unreachable{network="europe"} 6`,
		`pldns_config_last_reload_duration_seconds 1`,
		`pldns_tls_certificate_expiry_timestamp_seconds{certificate="default"} 1.9e+09`,
		`pldns_build_info{goversion="go",revision="abc",version="v1.0.0"} 1`,
	} {
		if !strings.Contains(page.Body.String(), want+"\n") {
			t.Errorf("no series %s", want)
		}
	}
}

// What leaves the configuration loses its series, and what comes back is counted
// anew where everybody sees it.
func TestSeriesOfWhatComesBack(t *testing.T) {
	r := exercised(t)
	table, err := zones.Build([]zones.NetworkSpec{{Name: "asia", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}}})
	if err != nil {
		t.Fatal(err)
	}
	const (
		sent     = `pldns_upstream_queries_total{group="azure",reason="first",server="168.63.129.16"} 1`
		answered = `pldns_upstream_answers_total{group="azure",rcode="NOERROR",server="168.63.129.16"} 1`
		hit      = `pldns_cache_events_total{event="hit",group="azure"} 1`
		queries  = `pldns_queries_total{network="europe",rcode="NOERROR",source="local",transport="udp"} 1`
	)
	shown := func(want bool) {
		t.Helper()
		page := httptest.NewRecorder()
		r.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
		for _, series := range []string{sent, answered, hit, queries} {
			if strings.Contains(page.Body.String(), series+"\n") != want {
				t.Errorf("%s is shown: %v", series, !want)
			}
		}
	}
	r.Loaded(metrics.Serving{Table: table})
	shown(false)
	r.UpstreamSent("azure", "168.63.129.16", forward.First)
	r.UpstreamAnswered("azure", "168.63.129.16", dns.RcodeSuccess, time.Millisecond)
	r.CacheEvent("azure", cache.Hit)
	r.Tally(listen.Kind{Transport: "udp", Network: "europe", Rcode: dns.RcodeSuccess, Source: resolver.FromLocal}).Add(1, time.Millisecond)
	shown(true)
}

// A panic is counted by the part that met it. Every part has its series from the
// beginning, so that the first panic is an increase, and no other text makes one.
func TestPanics(t *testing.T) {
	t.Parallel()
	r := metrics.New(metrics.Build{})
	before, err := testutil.GatherAndCount(r.Gatherer(), "pldns_panics_total")
	if err != nil || before == 0 {
		t.Fatalf("%d series from the beginning, %v", before, err)
	}
	r.Panicked("upstream")
	r.Panicked("upstream")
	r.Panicked("what nobody has listed")
	if after, err := testutil.GatherAndCount(r.Gatherer(), "pldns_panics_total"); err != nil || after != before {
		t.Errorf("%d series before and %d after, want the same; %v", before, after, err)
	}
	scraped := httptest.NewRecorder()
	r.Handler().ServeHTTP(scraped, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`pldns_panics_total{part="upstream"} 2`, `pldns_panics_total{part="other"} 1`, `pldns_panics_total{part="cache"} 0`} {
		if !strings.Contains(scraped.Body.String(), want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}
