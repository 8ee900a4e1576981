package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// scrape reads /metrics as Prometheus does.
func (r *running) scrape() string {
	r.tb.Helper()
	response, err := http.Get("http://" + r.admin + "/metrics")
	if err != nil {
		r.tb.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		r.tb.Fatal(response.Status, err)
	}
	return string(page)
}

// Prometheus' own tool finds nothing to say about the metrics of a server that has
// seen a little of everything, and each of them is in the list of the documentation.
func TestServedMetrics(t *testing.T) {
	b := startBehindIngresses(t, fmt.Sprintf("[trust]\nclient_subnet = [\"127.0.1.1\"]\n%s[query_log]\nmode = \"all\"\nto = %q\n[dnstap]\nto = \"tcp://127.0.0.1:1\"\n",
		upstreamTable(azureDNS(t).Addr), filepath.Join(t.TempDir(), "queries.json")))
	for _, transport := range []string{"udp", "tcp"} {
		for _, from := range []string{europe, unlisted} {
			b.ask(transport, from, "mydb.database.windows.net", dns.TypeA)
			b.ask(transport, from, "www.contoso.com", dns.TypeA)
			b.ask(transport, from, "absent.blob.core.windows.net", dns.TypeA)
		}
	}
	b.overTLS(b.settings("dns.contoso.net", ""), nil)
	b.overHTTPS(b.settings("", ""), "https://dns.contoso.net/dns-query/a")
	b.overUDP([]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00nothing"))
	b.reload()
	page := b.scrape()
	list, err := os.ReadFile("../../deploy/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(page) {
		name, found := strings.CutPrefix(line, "# TYPE pldns_")
		if !found {
			continue
		}
		name, kind, _ := strings.Cut(strings.TrimSpace(name), " ")
		if !strings.Contains(string(list), fmt.Sprintf("| `pldns_%s` | %s |", name, kind)) {
			t.Errorf("deploy/metrics.md has no %s pldns_%s", kind, name)
		}
	}
	for _, want := range []string{
		`pldns_tls_certificate_expiry_timestamp_seconds{certificate="default"} `, `pldns_queries_in_flight{transport="stream"} `,
		"pldns_dnstap_connected 0\n", `pldns_query_log_lines_total{result="written",to="`, `pldns_queries_total{network="a",rcode="NOERROR",source="local",transport="https"} 1`,
	} {
		if !strings.Contains(page, "\n"+want) {
			t.Errorf("there is no %s", want)
		}
	}
	checkWithPromtool(t, page)
}

func checkWithPromtool(t *testing.T, page string) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("PLDNS_DEPLOY") != "" {
			t.Fatal("promtool is not installed")
		}
		t.Skip("promtool is not installed")
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(page)
	if out, err := check.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
