package main

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// A network that requires private addresses is told why it gets none, each time, while the
// other is answered from the same memory.
func TestRequirePrivate(t *testing.T) {
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData,
		"open.database.windows.net. 300 IN CNAME open.privatelink.database.windows.net.",
		"open.privatelink.database.windows.net. 300 IN A 20.50.2.1")
	r := start(t, strings.Replace(regions(upstreamTable(upstream.Addr)), "[networks.europe]",
		"[networks.europe]\nrequire_private = [\"privatelink.database.windows.net\"]", 1))
	const alias = "CNAME open.privatelink.database.windows.net. | "
	for range 2 {
		for client, want := range map[string]string{
			europe: "NOERROR | EDE 15 | " + alias + "SOA privatelink.database.windows.net.", australia: "NOERROR | " + alias + "A 20.50.2.1",
		} {
			if got := says(r.ask("udp", client, "open.database.windows.net", dns.TypeA)); got != want {
				t.Errorf("%s: got %s, want %s", client, got, want)
			}
		}
	}
	if count := upstream.Count("open.database.windows.net", dns.TypeA); count != 1 {
		t.Errorf("the upstream was asked %d times", count)
	}
	if page := r.get("/metrics"); !strings.Contains(page, `pldns_required_private_answers_total{network="europe"} 2`) {
		t.Error("what was left out is not counted")
	}
	if shown := r.get("/api/networks"); !strings.Contains(shown, `"privatelink.database.windows.net"`) {
		t.Errorf("shown as %s", shown)
	}
	if explained := r.get("/api/explain?name=open.database.windows.net&client=" + europe); !strings.Contains(explained, `"stage": "private"`) {
		t.Errorf("explained as %s", explained)
	}
}
