package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
)

// recent is the live list.
func (r *running) recent() []admin.Decision {
	r.tb.Helper()
	var list []admin.Decision
	if err := json.Unmarshal([]byte(r.get("/api/recent")), &list); err != nil {
		r.tb.Fatal(err)
	}
	return list
}

// While it is on, the live list shows every query: also those that were answered
// from memory until then, and over every transport, and after a reload.
func TestLiveListShowsEveryQuery(t *testing.T) {
	r := start(t, stamped(1, ""))
	ask := func(times int) {
		for range times {
			r.ask("udp", europe, "stamp-1.contoso.com", dns.TypeA)
			r.ask("tcp", europe, "stamp-1.contoso.com", dns.TypeA)
		}
	}
	ask(3)
	if list := r.recent(); len(list) != 0 {
		t.Fatalf("off, it shows %v", list)
	}
	if code, body := r.post("/-/live", url.Values{"on": {"true"}}); code != http.StatusOK {
		t.Fatal(code, body)
	}
	ask(3)
	if code := r.reload(); code != http.StatusOK {
		t.Fatal(code)
	}
	ask(2)
	list := r.recent()
	if len(list) != 10 {
		t.Fatalf("it shows %d of 10 queries", len(list))
	}
	if d := list[0]; d.Client != europe || d.Network != "europe" || d.Name != "stamp-1.contoso.com" || d.Type != "A" || d.Rcode != "NOERROR" ||
		d.Source != "local" || strings.Join(d.Answer, " ") != "10.0.0.1" {
		t.Errorf("got %+v", d)
	}
	if code, _ := r.post("/-/live", url.Values{"on": {"false"}}); code != http.StatusOK || len(r.recent()) != 0 {
		t.Error("switched off, it shows something")
	}
}

// A token that is replaced counts from the next reload on, without a restart.
func TestTokenIsReloaded(t *testing.T) {
	r := start(t, stamped(1, ""))
	if err := os.WriteFile(filepath.Join(filepath.Dir(r.file), "admin.token"), []byte("another-token-of-many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The change may have been noticed before the request, which is then refused.
	if code := r.reload(); code != http.StatusOK && code != http.StatusUnauthorized {
		t.Errorf("reload: %d", code)
	}
	if code := r.reload(); code != http.StatusUnauthorized {
		t.Errorf("the token of before: %d", code)
	}
}

// What the page lists is what is served, in the order of networks and names.
func TestEndpointsAreListed(t *testing.T) {
	r := start(t, regions(""))
	var part struct {
		Total     int
		Endpoints []admin.Endpoint
	}
	if err := json.Unmarshal([]byte(r.get("/api/endpoints")), &part); err != nil {
		t.Fatal(err)
	}
	if part.Total != 10 || part.Endpoints[0].Network != "australia" || part.Endpoints[0].Name != "momenta-aue.database.windows.net" ||
		part.Endpoints[0].Addresses[0] != (admin.Address{Address: "10.1.1.4", Health: "not probed"}) {
		t.Errorf("got %+v", part)
	}
	var networks []admin.Network
	if err := json.Unmarshal([]byte(r.get("/api/networks")), &networks); err != nil {
		t.Fatal(err)
	}
	if len(networks) != 3 || networks[1].Name != "europe" || networks[1].Endpoints != 7 || networks[2].Missing != "nxdomain" {
		t.Errorf("got %+v", networks)
	}
}
