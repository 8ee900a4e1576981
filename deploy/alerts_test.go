package deploy_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// alert is a state of affairs in which an alert fires, and one in which it does
// not: series, each with its values by minute as promtool writes them, for an hour.
type alert struct {
	name, severity string
	sick, well     []string
	// mended are the values of the hour behind sick, in which what was wrong is over. Where
	// there are none, counters stand still and all else is as in well.
	mended []string
}

// behind are the values of the hour behind those of a series, by its place among the others.
func (a alert) behind(i int) string {
	if a.mended != nil {
		return a.mended[i]
	}
	name, values, _ := strings.Cut(a.sick[i], " ")
	if name, _, _ = strings.Cut(name, "{"); !strings.HasSuffix(name, "_total") {
		_, values, _ = strings.Cut(a.well[i], " ")
		return values
	}
	var first, step, times int
	if n, err := fmt.Sscanf(values, "%d+%dx%d", &first, &step, &times); n == 3 && err == nil {
		return fmt.Sprintf("%dx60", first+step*times)
	}
	last, _, _ := strings.Cut(values[strings.LastIndexByte(values, ' ')+1:], "x")
	return last + "x60"
}

// source is the alert of a source that learns.
func source(name, severity, series, sick, mended, well string) alert {
	of := func(values string) []string {
		return []string{fmt.Sprintf(series, `source="azure.corp"`) + " " + values}
	}
	return alert{name, severity, of(sick), of(well), []string{mended}}
}

// alerts are all of those in the rules.
func alerts() []alert {
	return []alert{
		{"PldnsDown", "critical", []string{`up 0x60`}, []string{`up 1x60`}, nil},
		{"PldnsReloadFailed", "warning", []string{`pldns_config_last_reload_successful 0x60`}, []string{`pldns_config_last_reload_successful 1x60`}, nil},
		source("PldnsSourceOld", "warning", `pldns_source_complete_timestamp_seconds{%s}`, "0x60", "3660+60x60", "0+60x60"),
		source("PldnsSourceThrottled", "info", `pldns_source_throttled_total{%s}`, "0+1x60", "60x60", "9x60"),
		source("PldnsSourceNotSaved", "warning", `pldns_source_saved{%s}`, "0x60", "1x60", "1x60"),
		source("PldnsSubscriptionGone", "warning", `pldns_source_subscriptions_gone{%s}`, "1x60", "0x60", "0x60"),
		source("PldnsRemovalsHeld", "warning", `pldns_source_removals_held{%s}`, "21x60", "0x60", "0x60"),
		source("PldnsApprovalPending", "info", `pldns_source_endpoints{%s,state="Pending"}`, "1x60", "_x60", "_x60"), // no endpoint, no series
		source("PldnsSourceDiffers", "info", `pldns_source_differences{%s}`, "1x60", "0x60", "0x60"),
		{"PldnsZoneNone", "critical", []string{`pldns_zone_held{zone="corp.example",network="europe"} 0x60`, `pldns_zone_expired{zone="corp.example",network="europe"} 0x60`},
			[]string{`pldns_zone_held{zone="corp.example",network="europe"} 1x60`, `pldns_zone_expired{zone="corp.example",network="europe"} 0x60`}, nil},
		{"PldnsZoneExpired", "critical", []string{`pldns_zone_expired{zone="corp.example",network="europe"} 1x60`}, []string{`pldns_zone_expired{zone="corp.example",network="europe"} 0x60`}, nil},
		{"PldnsZoneNotRefreshed", "warning",
			[]string{`pldns_zone_last_refresh_successful{zone="corp.example",network="europe"} 0x60`, `pldns_zone_confirmed_timestamp_seconds{zone="corp.example",network="europe"} 60x60`, `pldns_zone_expires_timestamp_seconds{zone="corp.example",network="europe"} 10000x60`},
			[]string{`pldns_zone_last_refresh_successful{zone="corp.example",network="europe"} 0x60`, `pldns_zone_confirmed_timestamp_seconds{zone="corp.example",network="europe"} 60x60`, `pldns_zone_expires_timestamp_seconds{zone="corp.example",network="europe"} 100000x60`}, nil},
		{"PldnsZoneNotSaved", "warning", []string{`pldns_zone_held{zone="corp.example",network="europe"} 1x60`, `pldns_zone_saved{zone="corp.example",network="europe"} 0x60`},
			[]string{`pldns_zone_held{zone="corp.example",network="europe"} 0x60`, `pldns_zone_saved{zone="corp.example",network="europe"} 0x60`}, nil},
		{"PldnsZoneUntold", "warning", []string{`pldns_zone_given_untold{zone="corp.example",network="europe"} 1x60`}, []string{`pldns_zone_given_untold{zone="corp.example",network="europe"} 0x60`}, nil},
		{"PldnsStoreAway", "warning", []string{`pldns_store_reachable{channel="stable"} 0x60`}, []string{`pldns_store_reachable{channel="stable"} 1x60`}, nil},
		{"PldnsReleaseRefused", "warning", []string{`pldns_store_release_refused{channel="stable"} 1x60`}, []string{`pldns_store_release_refused{channel="stable"} 0x60`}, nil},
		{"PldnsReleaseOld", "warning", []string{`pldns_store_current{channel="stable"} 0x60`}, []string{`pldns_store_current{channel="stable"} 1x60`}, nil},
		{"PldnsReleaseNotSaved", "warning", []string{`pldns_store_saved{channel="stable"} 0x60`}, []string{`pldns_store_saved{channel="stable"} 1x60`}, nil},
		{"PldnsStoreWatchCut", "info", []string{`pldns_store_failures_total{channel="stable",reason="watch"} 0+1x60`}, []string{`pldns_store_failures_total{channel="stable",reason="watch"} 0x58 3x2`}, nil},
		{"PldnsStoreSlow", "warning", []string{`pldns_store_answer_seconds{channel="stable"} 2x60`}, []string{`pldns_store_answer_seconds{channel="stable"} 0.02x50 4.1 0.02x9`}, nil},
		{"PldnsStoreFull", "warning", []string{`pldns_store_full{channel="stable"} 1x60`}, []string{`pldns_store_full{channel="stable"} 0x60`}, nil},
		{"PldnsInstanceUnseen", "warning", []string{`pldns_store_reported{channel="stable"} 0x60`}, []string{`pldns_store_reported{channel="stable"} 1x60`}, nil},
		{"PldnsClockWrong", "warning", []string{`pldns_store_clock_offset_seconds{channel="stable"} -6x60`}, []string{`pldns_store_clock_offset_seconds{channel="stable"} 1.5x60`}, nil},
		{"PldnsUpstreamUnhealthy", "warning", []string{`pldns_upstream_healthy{group="azure",server="1"} 0x60`}, []string{`pldns_upstream_healthy{group="azure",server="1"} 1x60`}, nil},
		{"PldnsUpstreamGroupDown", "critical",
			[]string{`pldns_upstream_healthy{group="azure",server="1"} 0x60`, `pldns_upstream_healthy{group="azure",server="2"} 0x60`},
			[]string{`pldns_upstream_healthy{group="azure",server="1"} 0x60`, `pldns_upstream_healthy{group="azure",server="2"} 1x60`}, nil},
		{"PldnsUpstreamSheds", "warning", []string{`pldns_upstream_shed_total{group="azure"} 0+5x60`}, []string{`pldns_upstream_shed_total{group="azure"} 5x60`}, nil},
		{"PldnsUpstreamFull", "warning",
			[]string{`pldns_upstream_questions{group="azure"} 900x60`, `pldns_upstream_questions_max{group="azure"} 1000x60`},
			[]string{`pldns_upstream_questions{group="azure"} 700x60`, `pldns_upstream_questions_max{group="azure"} 1000x60`}, nil},
		{"PldnsServfail", "warning",
			[]string{`pldns_queries_total{rcode="SERVFAIL"} 0+6x60`, `pldns_queries_total{rcode="NOERROR"} 0+94x60`},
			[]string{`pldns_queries_total{rcode="SERVFAIL"} 0+4x60`, `pldns_queries_total{rcode="NOERROR"} 0+96x60`}, nil},
		{"PldnsUnknownClients", "info",
			[]string{`pldns_queries_total{network="",rcode="REFUSED"} 0+1x60`}, []string{`pldns_queries_total{network="europe",rcode="REFUSED"} 0+1x60`}, nil},
		{"PldnsEndpointUnhealthy", "warning", []string{`pldns_endpoint_addresses_unhealthy 1x60`}, []string{`pldns_endpoint_addresses_unhealthy 0x60`}, nil},
		{"PldnsEndpointDown", "critical", []string{`pldns_endpoints_unreachable{network="europe"} 1x60`}, []string{`pldns_endpoints_unreachable{network="europe"} 0x60`}, nil},
		{"PldnsUnmappedNames", "info", []string{`pldns_leaked_answers_total{network="europe"} 0+1x60`}, []string{`pldns_leaked_answers_total{network="europe"} 7x60`}, nil},
		{"PldnsShadowDiffers", "info",
			[]string{`pldns_shadow_answers_total{network="europe",result="addresses"} 0+1x60`}, []string{`pldns_shadow_answers_total{network="europe",result="same"} 0+1x60`}, nil},
		// promtool begins at the epoch, and looks after an hour.
		{"PldnsCertificateExpires", "warning", []string{`pldns_tls_certificate_expiry_timestamp_seconds{certificate="default"} 1200000x60`}, []string{`pldns_tls_certificate_expiry_timestamp_seconds{certificate="default"} 1300000x60`}, nil},
		{"PldnsCertificateExpired", "critical", []string{`pldns_tls_certificate_expiry_timestamp_seconds{certificate="default"} 0x60`}, []string{`pldns_tls_certificate_expiry_timestamp_seconds{certificate="default"} 1200000x60`}, nil},
		{"PldnsQueriesDropped", "warning", []string{`pldns_refused_total{reason="shed",transport="udp"} 0+1x60`}, []string{`pldns_refused_total{reason="formerr",transport="udp"} 0+1x60`}, nil},
		{"PldnsListenerSilent", "critical", []string{`pldns_listener_answers{listener=":53",transport="udp"} 0x60`},
			[]string{`pldns_listener_answers{listener=":53",transport="udp"} 1x60`}, nil},
		// It was asked for 20 minutes, and is asked again in the hour behind.
		{"PldnsNobodyAsks", "info", []string{`pldns_queries_total{network="europe"} 0+10x20 200x40`}, []string{`pldns_queries_total{network="europe"} 0x60`},
			[]string{"210+10x60"}},
		{"PldnsClientsLimited", "info", []string{`pldns_rate_limited_total{network="europe"} 0+1x60`}, []string{`pldns_rate_limited_total{network=""} 0+1x60`}, nil},
		{"PldnsTrafficNotSaved", "warning", []string{`pldns_traffic_saved 0x60`}, []string{`pldns_traffic_saved 1x60`}, nil},
		{"PldnsCollectorAway", "warning",
			[]string{`pldns_otlp_exports_total{signal="metrics",result="failed"} 0+2x60`, `pldns_otlp_exports_total{signal="metrics",result="ok"} 7x60`},
			[]string{`pldns_otlp_exports_total{signal="metrics",result="failed"} 0+1x60`, `pldns_otlp_exports_total{signal="metrics",result="ok"} 0+1x60`},
			[]string{"120x60", "7+2x60"}},
		{"PldnsPanicked", "critical", []string{`pldns_panics_total{part="upstream"} 0x50 1x10`}, []string{`pldns_panics_total{part="upstream"} 1x60`}, nil},
		{"PldnsLogDropped", "warning", []string{`pldns_query_log_lines_total{result="dropped"} 0+1x60`}, []string{`pldns_query_log_lines_total{result="limited"} 0+1x60`}, nil},
		{"PldnsOwnLogDropped", "warning", []string{`pldns_log_lines_dropped_total 0+1x60`}, []string{`pldns_log_lines_dropped_total 9x60`}, nil},
		{"PldnsDnstapDropped", "warning", []string{`pldns_dnstap_messages_total{result="dropped"} 0+1x60`}, []string{`pldns_dnstap_messages_total{result="sent"} 0+1x60`}, nil},
		{"PldnsDnstapAway", "warning", []string{`pldns_dnstap_connected 0x60`}, []string{`pldns_dnstap_connected 1x60`}, nil},
	}
}

// Prometheus takes the rules; every alert in them fires when it should, is quiet when
// what was wrong is over, and does not fire when nothing is. Each is tried by itself, as all
// of them in each hour take long.
func TestAlerts(t *testing.T) {
	rules := make(map[string]string)
	head, all, _ := strings.Cut(read(t, "compose/prometheus/rules.yml"), "      - alert: ")
	for _, rule := range strings.Split(all, "      - alert: ") {
		name, _, _ := strings.Cut(rule, "\n")
		rules[name] = head + "      - alert: " + rule
	}
	dir := t.TempDir()
	tests := []string{"test", "rules"}
	for _, a := range alerts() {
		rule, found := rules[a.name]
		if !found {
			t.Errorf("there is no alert %s", a.name)
			continue
		}
		delete(rules, a.name)
		both := slices.Clone(a.sick)
		for i := range both {
			both[i] += " " + a.behind(i)
		}
		put(t, filepath.Join(dir, a.name+".yml"), rule)
		var text strings.Builder
		fmt.Fprintf(&text, "rule_files: [%s.yml]\nevaluation_interval: 1m\ntests:\n", a.name)
		writeTest(&text, a, a.well, 0)
		writeTest(&text, a, both, 1, 0)
		file := filepath.Join(dir, a.name+".test.yml")
		put(t, file, text.String())
		tests = append(tests, file)
	}
	for name := range rules {
		t.Errorf("nothing shows when %s fires", name)
	}
	needs(t, "promtool")
	run(t, "promtool", "check", "rules", "compose/prometheus/rules.yml")
	run(t, "promtool", tests...)
}

// writeTest writes a test for promtool: how many alerts fire after each hour.
func writeTest(to *strings.Builder, a alert, series []string, firing ...int) {
	to.WriteString("  - interval: 1m\n    input_series:\n")
	for _, one := range series {
		metric, values, _ := strings.Cut(one, " ")
		name, labels, _ := strings.Cut(strings.TrimSuffix(metric, "}"), "{")
		fmt.Fprintf(to, "      - series: '%s{instance=\"a\",job=\"pldns\",%s}'\n        values: '%s'\n", name, labels, values)
	}
	to.WriteString("    promql_expr_test:\n")
	for i, count := range firing {
		fmt.Fprintf(to, "      - expr: count(ALERTS{alertname=%q,alertstate=\"firing\",severity=%q,instance=\"a\"}) or vector(0)\n"+
			"        eval_time: %dh\n        exp_samples: [{labels: '{}', value: %d}]\n", a.name, a.severity, i+1, count)
	}
}
