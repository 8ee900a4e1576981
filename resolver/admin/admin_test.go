package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/zones"
)

// serve starts an admin server in front of a made-up program.
func serve(t *testing.T, status admin.Status) string {
	t.Helper()
	server := admin.New(admin.Options{
		Addr: netip.MustParseAddrPort("127.0.0.1:0"),
		Explain: func(_ context.Context, q resolver.Query) (resolver.Answer, *resolver.Trace) {
			zone := zones.MustName("privatelink.database.windows.net")
			rr, err := dns.NewRR(q.Name.FQDN() + " 10 IN A 10.0.1.4")
			if err != nil {
				t.Error(err)
			}
			return resolver.Answer{Network: "europe", Zone: zone, Source: resolver.FromLocal, Records: []dns.RR{rr}},
				&resolver.Trace{Steps: []resolver.Step{{Room: "network", Text: "europe"}}}
		},
		Status:  func() admin.Status { return status },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "pldns_build_info 1\n") }),
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
			t.Errorf("run: %v", err)
		}
	})
	return "http://" + server.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestPages(t *testing.T) {
	base := serve(t, admin.Status{Ready: true, Loaded: time.Unix(1_800_000_000, 0).UTC(), Networks: 2, Endpoints: 7})
	for _, test := range []struct {
		path string
		code int
		want string
	}{
		{"/healthz", 200, "alive"},
		{"/readyz", 200, `"endpoints": 7`},
		{"/metrics", 200, "pldns_build_info 1"},
		{"/api/explain?name=mydb.database.windows.net&client=10.0.0.7", 200, `"network": "europe"`},
		{"/api/explain?name=mydb.database.windows.net&client=10.0.0.7&type=aaaa&listener=10.9.0.5", 200, `"listener": "10.9.0.5:53"`},
		{"/api/explain?name=mydb.database.windows.net&client=10.0.0.7&type=TYPE65280", 200, `"type": "TYPE65280"`},
		{"/api/explain", 400, "the name is empty"},
		{"/api/explain?name=a..b&client=10.0.0.7", 400, "is no domain name"},
		{"/api/explain?name=a.b&client=ten", 400, "is no IP address"},
		{"/api/explain?name=a.b&client=10.0.0.7&type=NONSENSE", 400, "is no record type"},
		{"/api/explain?name=a.b&client=10.0.0.7&listener=x", 400, "is no address"},
		{"/nothing", 404, ""},
	} {
		t.Run(test.path, func(t *testing.T) {
			code, body := get(t, base+test.path)
			if code != test.code || !strings.Contains(body, test.want) {
				t.Errorf("got %d %s", code, body)
			}
		})
	}
}

func TestNotReady(t *testing.T) {
	code, body := get(t, serve(t, admin.Status{Reason: "draining"})+"/readyz")
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
		t.Errorf("got %d %s", code, body)
	}
}

func TestExplanationIsComplete(t *testing.T) {
	_, body := get(t, serve(t, admin.Status{})+"/api/explain?name=MyDB.database.windows.net&client=10.0.0.7")
	var e resolver.Explanation
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	if e.Name != "mydb.database.windows.net" || e.Type != "A" || e.Rcode != "NOERROR" || e.Source != "local" ||
		e.Zone != "privatelink.database.windows.net" || len(e.Answer) != 1 || len(e.Steps) != 1 || !e.Yes() {
		t.Errorf("got %+v", e)
	}
}

func TestOnlyReading(t *testing.T) {
	base := serve(t, admin.Status{Ready: true})
	for _, path := range []string{"/healthz", "/api/explain?name=a.b&client=10.0.0.7"} {
		response, err := http.Post(base+path, "text/plain", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %s", path, response.Status)
		}
	}
}

func TestListenSaysWhatToDo(t *testing.T) {
	taken := serve(t, admin.Status{})
	again := admin.New(admin.Options{Addr: netip.MustParseAddrPort(strings.TrimPrefix(taken, "http://")), Metrics: http.NotFoundHandler()})
	err := again.Listen()
	if err == nil || !strings.Contains(err.Error(), "set listen.admin") || errors.Unwrap(err) == nil {
		t.Errorf("got %v", err)
	}
}
