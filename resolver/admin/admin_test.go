package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/forward"
	"pldns/zones"
)

// token is the token of every server of these tests.
const token = "correct-horse-battery"

// serve starts an admin server in front of a made-up program.
func serve(t testing.TB, status admin.Status, change ...func(*admin.Options)) string {
	t.Helper()
	options := admin.Options{
		Addr: netip.MustParseAddrPort("127.0.0.1:0"),
		Explain: func(_ context.Context, q resolver.Query) (resolver.Answer, *resolver.Trace) {
			zone := zones.MustName("privatelink.database.windows.net")
			rr, err := dns.NewRR(q.Name.FQDN() + " 10 IN A 10.0.1.4")
			if err != nil {
				t.Error(err)
			}
			return resolver.Answer{Network: "europe", Zone: zone, Source: resolver.FromLocal, Records: []dns.RR{rr}},
				&resolver.Trace{Ingress: "link id 8", Steps: []resolver.Step{{Stage: "network", Room: "network", Text: "europe"}}}
		},
		Reload: func() error {
			if !status.Ready {
				return errors.New("pldns.toml:3: a fault")
			}
			return nil
		},
		Status: func() admin.Status { return status },
		Upstreams: func() []admin.Upstream {
			return []admin.Upstream{{Group: "azure", ServerState: forward.ServerState{Server: "168.63.129.16", Healthy: true}}}
		},
		Cache: new(memory),
		Unmapped: func() []admin.Unmapped {
			return []admin.Unmapped{{Network: "europe", Unmapped: []admin.UnmappedName{{Name: "fabrikam.blob.core.windows.net"}}}}
		},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "pldns_build_info 1\n") }),
		Access:  func() admin.Access { return admin.Access{Token: token, Hosts: []string{"pldns.contoso.com"}} },
	}
	for _, c := range change {
		c(&options)
	}
	server := admin.New(options)
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

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, request)
}

func do(t testing.TB, request *http.Request) (int, string) {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
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

// post sends a form, with headers in pairs.
func post(t testing.TB, url, form string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return do(t, request)
}

// bearerToken is how programs show the token.
func bearerToken() []string { return []string{"Authorization", "Bearer " + token} }

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
		{"/api/explain?name=a.b&client=10.0.0.7&link_id=8&certificate=a.com+b.com&path=/dns-query/b&server_name=s.net", 200, `"link_id": 8`},
		{"/api/explain?name=a.b&client=10.0.0.7&certificate=a.com", 200, `"ingress": "link id 8"`},
		{"/api/explain?name=a.b&client=10.0.0.7&certificate=a.com", 200, `"door": "link id 8"`},
		{"/api/explain?name=a.b&client=10.0.0.7", 200, `"stage": "network"`},
		{"/api/explain?name=a.b&client=10.0.0.7", 200, `"room": "network"`},
		{"/api/state", 200, `"level": "serving"`},
		{"/api/explain", 400, "the name is empty"},
		{"/api/explain?name=a..b&client=10.0.0.7", 400, "is no domain name"},
		{"/api/explain?name=a.b&client=ten", 400, "is no IP address"},
		{"/api/explain?name=a.b&client=10.0.0.7&type=NONSENSE", 400, "is no record type"},
		{"/api/explain?name=a.b&client=10.0.0.7&listener=x", 400, "is no address"},
		{"/api/upstreams", 200, `"server": "168.63.129.16"`},
		{"/api/shadow", 200, `"networks": []`},
		{"/api/unmapped", 200, `"name": "fabrikam.blob.core.windows.net"`},
		{"/leaks", 301, `href="/unmapped"`},
		{"/api/leaks", 200, `"name": "fabrikam.blob.core.windows.net"`},
		{"/api/cache?name=www.contoso.com", 200, `"www.contoso.com. 300 IN A 203.0.113.80"`},
		{"/api/cache?name=contoso.com", 200, `[]`},
		{"/api/cache?name=contoso.com&subtree=true", 200, `"name": "www.contoso.com"`},
		{"/api/cache", 400, "the name is empty"},
		{"/api/cache?name=a&subtree=perhaps", 400, "write true or false"},
		{"/api/networks", 200, "[]"},
		{"/api/pending", 200, "[]"},
		{"/api/endpoints", 200, `"total": 0`},
		{"/api/endpoints?page=0", 400, "whole numbers from 1"},
		{"/api/endpoints?health=ill", 400, "health: write"},
		{"/api/recent", 200, "[]"},
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
		e.Zone != "privatelink.database.windows.net" || len(e.Answer) != 1 || len(e.Steps) != 1 || !e.Answered() {
		t.Errorf("got %+v", e)
	}
}

// memory remembers one name, until it is told to forget it.
type memory struct{ forgotten bool }

func (m *memory) knows(name zones.Name, subtree bool) bool {
	www := zones.MustName("www.contoso.com")
	return !m.forgotten && (name == www || subtree && www.Within(name))
}

func (m *memory) Dump(name zones.Name, subtree bool) iter.Seq[admin.CacheEntry] {
	return func(yield func(admin.CacheEntry) bool) {
		if m.knows(name, subtree) {
			yield(admin.CacheEntry{Group: "azure", Name: "www.contoso.com", Records: []string{"www.contoso.com. 300 IN A 203.0.113.80"}})
		}
	}
}

func (m *memory) Flush(name zones.Name, subtree bool) int {
	if m.knows(name, subtree) {
		m.forgotten = true
		return 1
	}
	return 0
}

func TestFlush(t *testing.T) {
	base := serve(t, admin.Status{})
	for _, test := range []struct {
		origin, form string
		code         int
		want         string
	}{
		{"https://elsewhere.example", "name=www.contoso.com", http.StatusForbidden, ""},
		{"", "name=contoso.com", http.StatusOK, `"flushed": 0`},
		{"", "", http.StatusBadRequest, "the name is empty"},
		{"", "name=contoso.com&subtree=true", http.StatusOK, `"flushed": 1`},
		{"", "name=www.contoso.com", http.StatusOK, `"flushed": 0`},
	} {
		headers := bearerToken()
		if test.origin != "" {
			headers = append(headers, "Origin", test.origin)
		}
		code, body := post(t, base+"/-/flush", test.form, headers...)
		if code != test.code || !strings.Contains(body, test.want) {
			t.Errorf("%s from %q: %d %s", test.form, test.origin, code, body)
		}
	}
	if code, _ := get(t, base+"/-/flush?name=www.contoso.com"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET flushes: %d", code)
	}
}

func TestReload(t *testing.T) {
	for _, test := range []struct {
		ready bool
		code  int
		want  string
	}{{true, http.StatusOK, `"ready": true`}, {false, http.StatusUnprocessableEntity, "pldns.toml:3: a fault"}} {
		code, body := post(t, serve(t, admin.Status{Ready: test.ready})+"/-/reload", "", bearerToken()...)
		if code != test.code || !strings.Contains(body, test.want) {
			t.Errorf("got %d %s", code, body)
		}
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
