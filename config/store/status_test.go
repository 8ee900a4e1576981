package store

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"pldns/config"
	"pldns/config/release"
)

// Each thing that can be wrong with a store has a line that says what, and what to do.
func TestFaults(t *testing.T) {
	e := newEtcd(config.Store{Etcd: []string{"https://10.0.0.7:2379"}, Prefix: "/pldns/"}, Options{})
	at := time.Date(2026, 3, 1, 4, 5, 6, 0, time.UTC)
	of := func(err error) Status { return Status{Err: e.fault(err), Failing: at} }
	cut := func(err error) Status { return Status{Err: fmt.Errorf("%w: %w", errCut, e.fault(err)), Failing: at} }
	for name, test := range map[string]struct {
		status Status
		want   []string
		reason Reason // empty where the store is followed
	}{
		"away":             {of(errors.New("connection refused")), []string{"what is served goes on", "connection refused"}, Away},
		"no leader":        {of(rpctypes.ErrNoLeader), []string{"has no leader: start its other members"}, Away},
		"watch, no leader": {cut(rpctypes.ErrNoLeader), []string{"a watch was cut off, and the channel is read again", "has no leader"}, Cut},
		"watch, compacted": {cut(rpctypes.ErrCompacted), []string{"a watch was cut off, and the channel is read again", "compacted"}, Cut},
		"no permission":    {of(rpctypes.ErrPermissionDenied), []string{"give its user a role with read on /pldns/"}, Refused},
		"damaged":          {of(release.ErrDamaged), []string{"not what its digest says"}, Damaged},
		"absent":           {of(ErrAbsent), []string{"it is not there"}, Absent},
		"certificate at a wrong time": {of(errors.New("x509: certificate has expired or is not yet valid: current time 2031-01-01")),
			[]string{"renew it, or set the clock of this machine", "current time 2031"}, Away},
		"slow":        {Status{Took: 2345 * time.Millisecond}, []string{"the store is slow: it took 2.3s"}, ""},
		"full":        {Status{Full: true, FullSince: at}, []string{"the store is full: nothing can be pushed", "disarmed"}, ""},
		"full, told":  {Status{Reporting: e.fault(rpctypes.ErrNoSpace)}, []string{"not told of this instance", "compact and defragment"}, ""},
		"clock ahead": {Status{Ahead: 2 * time.Minute}, []string{"the clock of this machine is 2m0s ahead of that of the store", "timedatectl"}, ""},
		"clock slow":  {Status{Ahead: -6 * time.Second}, []string{"the clock of this machine is 6s behind that of the store"}, ""},
		"disk":        {Status{Saving: errors.New("no space left on device")}, []string{"the release is not on disk: no space left on device"}, ""},
		"refused": {Status{Refused: &Refusal{Entry: Entry{Release: release.DigestOf([]byte("a")), By: "anna@desk"}, At: at, Err: errors.New("no port")}},
			[]string{"by anna@desk cannot be served here", "no port"}, ""},
		"nothing": {Status{Took: 900 * time.Millisecond, Ahead: 5 * time.Second}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			faults := test.status.Faults()
			if want := min(1, len(test.want)); len(faults) != want {
				t.Fatalf("%d faults: %+v", len(faults), faults)
			}
			for _, want := range test.want {
				if !strings.Contains(faults[0].Text, want) {
					t.Errorf("%q does not say %q", faults[0].Text, want)
				}
			}
			if test.reason != "" && (reasonOf(test.status.Err) != test.reason || !faults[0].Since.Equal(at)) {
				t.Errorf("the reason is %q, since %s", reasonOf(test.status.Err), faults[0].Since)
			}
		})
	}
}

// The clock of this machine is compared with most of the others, by what their answers say.
func TestClocks(t *testing.T) {
	var date, age string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		if date != "" {
			w.Header().Set("Date", date)
		}
		if age != "" {
			w.Header().Set("Age", age)
		}
	}))
	defer server.Close()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const second = time.Second
	for name, test := range map[string]struct {
		before    []time.Duration // what other members said
		date, age string
		want      time.Duration
		none      bool
	}{
		"in time":                    {date: now.Format(http.TimeFormat), want: 0},
		"ahead":                      {date: now.Add(-time.Hour).Format(http.TimeFormat), want: time.Hour},
		"behind":                     {date: now.Add(time.Hour).Format(http.TimeFormat), want: -time.Hour},
		"from a cache":               {date: now.Add(-time.Hour).Format(http.TimeFormat), age: "3600", want: 0},
		"an age that is none":        {date: now.Format(http.TimeFormat), age: "-99999999999999999999", want: 0},
		"no time":                    {none: true},
		"no time that can be read":   {date: "yesterday", none: true},
		"one of three is wrong":      {before: []time.Duration{0, 0}, date: now.Add(time.Hour).Format(http.TimeFormat), want: 0},
		"one of two is wrong":        {before: []time.Duration{0}, date: now.Add(time.Hour).Format(http.TimeFormat), want: 0},
		"two of three are elsewhere": {before: []time.Duration{time.Hour, 0}, date: now.Add(-time.Hour).Format(http.TimeFormat), want: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			date, age = test.date, test.age
			c := newClocks(func() time.Time { return now })
			for i, ahead := range test.before {
				c.seen[fmt.Sprint(i)] = ahead
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := c.do(server.Client(), request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			ahead, at := c.ahead()
			if (ahead-test.want).Abs() > second || at.IsZero() != test.none {
				t.Errorf("ahead by %s, seen at %s", ahead, at)
			}
		})
	}
}
