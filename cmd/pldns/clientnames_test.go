package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// What clients are called is in the query log, the list of those who ask most, the live
// list and its page: as a file of all networks says, as one of their own says first, or
// else as their network answers the name of their address. What is asked for that is in
// none of them.
func TestNamesOfClients(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"clients.hosts": europe + " anna-laptop\n" + strict + " of-all\n", "strict.leases": "0 00:11:22:33:44:55 " + strict + " printer *\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData, "1.2.0.127.in-addr.arpa. 300 IN PTR sydney.corp.contoso.com.")
	path := filepath.Join(dir, "queries.json")
	r := start(t, regions(upstreamTable(upstream.Addr)+fmt.Sprintf(`"127.in-addr.arpa" = "azure"
[query_log]
mode = "all"
client = "address"
to = %q
[clients]
files = [%q]
reverse = true
[clients.networks.strict]
files = [%q]
`, path, filepath.Join(dir, "clients.hosts"), filepath.Join(dir, "strict.leases"))))
	if code, body := r.post("/-/live", url.Values{"on": {"true"}}); code != http.StatusOK {
		t.Fatal(body)
	}
	named := map[string]string{europe: "anna-laptop", strict: "printer", australia: "sydney.corp.contoso.com"}
	resolvertest.Until(t, "the names of all in the query log", func() bool {
		for client := range named {
			r.ask("udp", client, "momenta-eun.database.windows.net", dns.TypeA)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for client, name := range named {
			if !strings.Contains(string(text), fmt.Sprintf("%q", client)) || !strings.Contains(string(text), fmt.Sprintf(`"client_name":%q`, name)) {
				return false
			}
		}
		return true
	})
	if text, _ := os.ReadFile(path); strings.Contains(string(text), "arpa") || strings.Contains(string(text), "of-all") {
		t.Errorf("logged:\n%s", text)
	}
	for network, client := range map[string]string{"europe": europe, "strict": strict, "australia": australia} {
		resolvertest.Until(t, "the name of "+client+" in the list of "+network, func() bool {
			top := r.get("/api/top?kind=clients&network=" + network)
			return strings.Contains(top, client) && strings.Contains(top, `"client_name": "`+named[client]+`"`)
		})
		if page := r.get("/networks/" + network); !strings.Contains(page, "<small>"+named[client]+"</small>") {
			t.Errorf("the page of %s does not name %s", network, named[client])
		}
	}
	if recent := r.get("/api/recent?search=anna"); !strings.Contains(recent, `"client_name": "anna-laptop"`) || strings.Contains(recent, "printer") {
		t.Errorf("the live list: %s", recent)
	}
}
