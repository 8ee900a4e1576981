package admin_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"pldns/resolver/admin"
	"pldns/resolver/observe"
)

// Whoever changes something shows the token, as programs or as the page do.
func TestToken(t *testing.T) {
	base := serve(t, admin.Status{Ready: true})
	for _, test := range []struct {
		name, form string
		headers    []string
		code       int
		want       string
	}{
		{"none", "", nil, http.StatusUnauthorized, "this needs the token"},
		{"a header", "", bearerToken(), http.StatusOK, `"ready": true`},
		{"a field", "token=" + token, nil, http.StatusOK, `"ready": true`},
		{"a wrong header", "", []string{"Authorization", "Bearer " + token + "x"}, http.StatusUnauthorized, "this is not the token"},
		{"a wrong header beside a right field", "token=" + token, []string{"Authorization", "Bearer x"}, http.StatusUnauthorized, "this is not the token"},
		{"a prefix", "token=" + token[:len(token)-1], nil, http.StatusUnauthorized, "this is not the token"},
		{"another scheme", "", []string{"Authorization", "Basic " + token}, http.StatusUnauthorized, "this needs the token"},
		{"a wrong one of the page", "token=x", []string{"Accept", "text/html"}, http.StatusUnauthorized, "<h1>Not done</h1>"},
		{"the right one of the page", "token=" + token, []string{"Accept", "text/html"}, http.StatusOK, "<h1>Reloaded</h1>"},
		{"a page of another origin", "token=" + token, []string{"Origin", "https://elsewhere.example"}, http.StatusForbidden, ""},
		{"a page of another site", "token=" + token, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if code, body := post(t, base+"/-/reload", test.form, test.headers...); code != test.code || !strings.Contains(body, test.want) {
				t.Errorf("got %d %s", code, body)
			}
		})
	}
	if code, _ := post(t, base+"/-/reload?token="+token, ""); code != http.StatusUnauthorized {
		t.Errorf("a token in the address counts: %d", code)
	}
	if code, _ := post(t, base+"/-/reload", "token="+strings.Repeat("x", 1<<20)); code != http.StatusUnauthorized {
		t.Errorf("a long body: %d", code)
	}
}

// Without a token nobody changes anything, and it is said what to configure.
func TestNoToken(t *testing.T) {
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) { o.Access = nil })
	for _, path := range []string{"/-/reload", "/-/flush", "/-/live"} {
		code, body := post(t, base+path, "name=a&on=true&token=", "Authorization", "Bearer ")
		if code != http.StatusForbidden || !strings.Contains(body, "listen.admin_token_file") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestSwitchLive(t *testing.T) {
	recent := observe.NewRecent(nil, nil)
	base := serve(t, admin.Status{}, func(o *admin.Options) { o.Recent = recent })
	if code, _ := post(t, base+"/-/live", "on=true"); code != http.StatusUnauthorized || recent.On() {
		t.Errorf("without the token: %d, on: %v", code, recent.On())
	}
	if code, body := post(t, base+"/-/live", "on=perhaps", bearerToken()...); code != http.StatusBadRequest || !strings.Contains(body, "write true or false") {
		t.Errorf("perhaps: %d %s", code, body)
	}
	if code, body := post(t, base+"/-/live", "on=true", bearerToken()...); code != http.StatusOK || !strings.Contains(body, `"on": true`) || !recent.On() {
		t.Errorf("on: %d %s", code, body)
	}
	if code, _ := post(t, base+"/-/live", "on=false&token="+token, "Accept", "text/html"); code != http.StatusSeeOther || recent.On() {
		t.Errorf("off, in the page: %d", code)
	}
}

// An address that other machines reach is not opened without a token.
func TestListenNeedsAToken(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:8053"} {
		err := admin.New(admin.Options{Addr: netip.MustParseAddrPort(addr), Metrics: http.NotFoundHandler()}).Listen()
		if err == nil || !strings.Contains(err.Error(), "listen.admin_token_file") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// A name that nobody gave this server is one that a stranger's page may have made
// to point here.
func TestHosts(t *testing.T) {
	base := serve(t, admin.Status{Ready: true})
	for host, code := range map[string]int{
		"127.0.0.1:8053": 200, "127.0.0.1": 200, "[::1]:8053": 200, "[::1]": 200, "10.0.0.4": 200,
		"localhost:8053": 200, "LOCALHOST": 200, "pldns.localhost": 200, "pldns.contoso.com:8053": 200, "PLDNS.contoso.com.": 200,
		"evil.example": 421, "evil.example:8053": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "contoso.com": 421,
	} {
		request, err := http.NewRequest(http.MethodGet, base+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		got, body := do(t, request)
		if got != code || code == 421 && !strings.Contains(body, "listen.admin_hosts") {
			t.Errorf("%s: %d %s", host, got, body)
		}
	}
}

// Every answer tells browsers what they may not do with it.
func TestHeaders(t *testing.T) {
	base := serve(t, admin.Status{Ready: true})
	for _, path := range []string{"/", "/readyz", "/static/page.css", "/nothing", "/api/endpoints?page=0"} {
		response, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got := response.Header.Get(header); !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q", path, header, got)
			}
		}
		if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "script-src 'self';") ||
			strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %s", path, policy)
		}
	}
}
