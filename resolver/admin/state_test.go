package admin_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pldns/resolver/admin"
	"pldns/resolver/forward"
	"pldns/zones"
)

// sickness is since when addresses are not healthy.
type sickness map[netip.Addr]time.Time

func (s sickness) Healthy(t zones.Target) bool    { return s[t.Addr].IsZero() }
func (sickness) Fault(zones.Target) string        { return "connection refused" }
func (s sickness) Since(t zones.Target) time.Time { return s[t.Addr] }

// The banner of the page, and /api/state, are the worst of all that is wrong, with the
// reason and since when; the rest follows.
func TestState(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	healthy := admin.Upstream{Group: "azure", ServerState: forward.ServerState{Server: "168.63.129.16", Healthy: true}}
	ill := func(group, server string, since time.Time) admin.Upstream {
		return admin.Upstream{Group: group, ServerState: forward.ServerState{Server: server, UnhealthySince: since}}
	}
	looping := admin.Upstream{Group: "corp", ServerState: forward.ServerState{
		Server: "10.20.0.4", Healthy: true, LoopSuffixes: []string{"corp.contoso.com"},
	}}
	first, second, only := netip.MustParseAddr("10.0.9.8"), netip.MustParseAddr("10.0.9.9"), netip.MustParseAddr("fd00::8")
	fine := admin.Status{Ready: true, Loaded: at(0)}
	with := func(change func(*admin.Status)) admin.Status {
		status := fine
		change(&status)
		return status
	}
	for _, test := range []struct {
		name      string
		status    admin.Status
		upstreams []admin.Upstream
		health    sickness
		level     string
		since     time.Time
		reason    string
		others    int
		banner    string // what the page says, and in which colour
	}{
		{"all is well", fine, []admin.Upstream{healthy}, nil, "serving", at(0), "all is well", 0, `"notice good"> Serving, and all is well.`},
		{"a listener is silent", with(func(s *admin.Status) {
			s.Ready, s.Reason = false, "a listener does not answer"
			s.Silent = []admin.Silent{{Transport: "tcp", Since: at(9)}, {Transport: "udp", Since: at(4)}}
		}), []admin.Upstream{ill("azure", "a", at(2))}, nil, "down", at(4), "a listener does not answer", 1,
			`"notice bad" role="alert"> Not ready: a listener does not answer, since 2026-01-02 03:04:00 UTC`},
		{"the query log loses lines", with(func(s *admin.Status) { s.LogLosses = []admin.LogLoss{{To: "syslog", Lines: 7, Since: at(3)}} }), nil, nil,
			"degraded", at(3), "the query log (syslog) lost 7 lines: what takes them is too slow, full or away", 0,
			`"notice warn" role="alert"> Serving, with a warning: the query log (syslog) lost 7 lines`},
		{"an upstream is dead", fine, []admin.Upstream{ill("azure", "a", at(5)), ill("azure", "b", at(7)), ill("azure", "c", at(6)), {Group: "corp", ServerState: forward.ServerState{Healthy: true}}},
			nil, "failing", at(7), "no server of upstream azure can be asked: 3 of 3 fail", 0,
			`"notice bad" role="alert"> Failing: no server of upstream azure can be asked: 3 of 3 fail, since 2026-01-02 03:07:00 UTC`},
		{"every upstream is dead", fine, []admin.Upstream{ill("azure", "a", at(5)), ill("corp", "b", at(7))},
			nil, "failing", at(5), "no server of upstream azure can be asked: 1 of 1 fails", 1, "corp"},
		{"one server of several is dead", fine, []admin.Upstream{healthy, ill("azure", "b", at(5))},
			nil, "degraded", at(5), "upstream azure: 1 of 2 fails", 0, `"notice warn" role="alert"> Serving, with a warning: upstream azure: 1 of 2 fails`},
		{"an upstream leads back", fine, []admin.Upstream{{Group: "corp", ServerState: forward.ServerState{Server: "10.20.0.4", Looping: true}}}, nil,
			"failing", time.Time{}, "no server of upstream corp can be asked: 1 of 1 fails", 1, "server 10.20.0.4 of upstream corp forwards back to this program"},
		{"some names are led back", fine, []admin.Upstream{healthy, looping}, nil, "failing", time.Time{},
			"server 10.20.0.4 of upstream corp forwards the names of corp.contoso.com back to this program: remove its forwarder for them", 0, `"notice bad"`},
		{"an endpoint has no healthy address", fine, nil, sickness{only: at(8), first: at(3)}, "failing", at(8), "1 endpoint has no healthy address", 1,
			"1 endpoint has an address that is not healthy, and another one that is, since 2026-01-02 03:03:00 UTC"},
		{"all addresses but one are well", fine, nil, sickness{second: at(3)}, "degraded", at(3),
			"1 endpoint has an address that is not healthy, and another one that is", 0, `"notice warn"`},
		{"no address of an endpoint with two is well", fine, nil, sickness{first: at(3), second: at(6)}, "failing", at(6), "1 endpoint has no healthy address", 0, ""},
		{"a reload failed", with(func(s *admin.Status) { s.LastReload = &admin.Reload{At: at(1), Error: "pldns.toml:3: a fault"} }), nil, nil,
			"failing", at(1), "the last reload failed, and what was served before goes on", 0, "pldns.toml:3: a fault"},
		{"a reload hangs", with(func(s *admin.Status) { since := at(1); s.ReloadingSince = &since }), nil, nil, "degraded", at(1), "a reload has not ended", 0, ""},
		{"a reload is under way", with(func(s *admin.Status) { since := time.Now(); s.ReloadingSince = &since }), nil, nil, "serving", at(0), "all is well", 0, ""},
		{"the certificate has expired", with(func(s *admin.Status) { s.Certificates = []admin.Certificate{{Until: at(2)}} }), nil, nil,
			"failing", at(2), "the certificate has expired", 0, ""},
		{"the configuration has warnings", with(func(s *admin.Status) { s.Warnings = []string{"one", "two"} }), nil, nil,
			"degraded", at(0), "the configuration has 2 warnings", 0, "<li>two</li>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := serve(t, test.status, crowd(1), func(o *admin.Options) {
				o.Health, o.Upstreams = test.health, func() []admin.Upstream { return test.upstreams }
			})
			_, body := get(t, base+"/api/state")
			var got struct {
				Level, Reason string
				Since         time.Time
				Others        []struct{ Reason string }
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			if got.Level != test.level || got.Reason != test.reason || !got.Since.Equal(test.since) || len(got.Others) != test.others {
				t.Errorf("got %s", body)
			}
			_, page := get(t, base+"/")
			if text := strings.NewReplacer("\n<p>", " ", "<strong>", "", "</strong>\n", " ", `<a href="/upstreams">`, "", "</a>", "").Replace(page); !strings.Contains(text, test.banner) {
				t.Errorf("no %s in:\n%s", test.banner, text)
			}
			if (test.level == "serving") != strings.Contains(page, `"notice good"`) {
				t.Errorf("%s, and the page says:\n%s", test.level, page)
			}
		})
	}
}

// A certificate is warned of two weeks before its end.
func TestCertificateNearItsEnd(t *testing.T) {
	until := time.Now().Add(6 * 24 * time.Hour).UTC().Truncate(time.Second)
	base := serve(t, admin.Status{Ready: true, Certificates: []admin.Certificate{{Until: until}}})
	_, body := get(t, base+"/api/state")
	for _, want := range []string{`"level": "degraded"`, "the certificate expires at " + until.Format("2006-01-02 15:04:05")} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
}

// Of several certificates it is said which expires, and the page shows those first, not all.
func TestManyCertificates(t *testing.T) {
	const many = 14
	var all []admin.Certificate
	for i := range many {
		all = append(all, admin.Certificate{Name: fmt.Sprintf("tenant-%02d", i), Key: "ECDSA", Until: time.Now().Add(time.Duration(100-i) * 24 * time.Hour)})
	}
	all[7].Until = time.Now().Add(-time.Hour)
	all[8].Until = time.Now().Add(9 * 24 * time.Hour)
	for i := range 9 {
		all[9].Names = append(all[9].Names, fmt.Sprintf("name-%d.contoso.net", i))
	}
	base := serve(t, admin.Status{Ready: true, Certificates: all}, crowd(1))
	_, state := get(t, base+"/api/state")
	for _, want := range []string{"the certificate tenant-07 has expired", "the certificate tenant-08 expires at "} {
		if !strings.Contains(state, want) {
			t.Errorf("no %s in %s", want, state)
		}
	}
	_, page := get(t, base+"/")
	_, page, _ = strings.Cut(page, `id="certificates"`)
	for _, want := range []string{">tenant-07<", ">tenant-08<", ">tenant-13<", "<strong>has expired</strong>", "name-5.contoso.net</code> and 3 more", "These end first of 14."} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in:\n%s", want, page)
		}
	}
	if strings.Contains(page, ">tenant-00<") || strings.Index(page, ">tenant-08<") < strings.Index(page, ">tenant-07<") {
		t.Errorf("not those that end first, in that order:\n%s", page)
	}
	_, ready := get(t, base+"/readyz")
	if got := strings.Count(ready, `"name": "tenant-`); got != many {
		t.Errorf("/readyz has %d certificates of %d", got, many)
	}
}
