package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// The configuration says which queries are logged, by network, client, name and outcome,
// and in which places: each has all of them.
func TestQueryLogForAudits(t *testing.T) {
	receiver, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	path := filepath.Join(t.TempDir(), "queries.json")
	r := start(t, regions(upstreamTable(azureDNS(t).Addr)+fmt.Sprintf(`[query_log]
mode = "all"
client = "address"
to = [%q, "syslog+udp://%s"]
max_size = "1MiB"
facility = "local3"
networks = ["europe", "strict"]
clients = ["127.0.1.0/24"]
names = ["*.database.windows.net", "no-such"]
outcomes = ["answered", "nxdomain"]
`, path, receiver.LocalAddr())))
	r.ask("udp", australia, "momenta-eun.database.windows.net", dns.TypeA) // another network
	r.ask("udp", europe, "www.contoso.com", dns.TypeA)                     // another name
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeMX)   // another outcome
	r.ask("udp", unlisted, "momenta-eun.database.windows.net", dns.TypeA)  // of no network
	r.ask("udp", europe, "MOMENTA-eun.database.windows.net", dns.TypeA)    // logged
	r.ask("udp", europe, "no-such.contoso.com", dns.TypeA)                 // logged
	lines := readLog(t, path, 2)
	if len(lines) != 2 || lines[0].Name != "momenta-eun.database.windows.net" || lines[1].Rcode != "NXDOMAIN" {
		t.Errorf("logged: %+v", lines)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var line struct {
		Addresses []string
		Port      uint16 `json:"client_port"`
		Code      int    `json:"rcode_number"`
	}
	first, second, _ := strings.Cut(string(text), "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil || fmt.Sprint(line.Addresses) != "[10.0.1.4]" || line.Port == 0 {
		t.Errorf("%s: %v", first, err)
	}
	if err := json.Unmarshal([]byte(second), &line); err != nil || line.Code != dns.RcodeNameError {
		t.Errorf("%s: %v", second, err)
	}
	for _, want := range []string{first, strings.TrimSuffix(second, "\n")} {
		buffer := make([]byte, 4096)
		_ = receiver.SetReadDeadline(time.Now().Add(time.Minute))
		n, _, err := receiver.ReadFrom(buffer)
		if got := string(buffer[:n]); err != nil || !strings.HasPrefix(got, "<158>1 20") || !strings.HasSuffix(got, " query - "+want) {
			t.Errorf("syslog: %s, %v; want %s", got, err, want)
		}
	}
	if got := r.metric(`pldns_query_log_lines_total{result="written",to="syslog"}`); got != 2 {
		t.Errorf("%v lines of syslog are counted", got)
	}
}

// A line says by which release of the fleet it was decided, also just after another one is
// served.
func TestQueryLogNamesTheRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.json")
	f, _ := etcdFleet(t, 1)
	first := f.push(hub("10.0.1.4", ""))
	r := start(t, f.machine("a", fmt.Sprintf("[query_log]\nmode = \"all\"\nto = %q\n", path)))
	r.told(t, "10.0.1.4")
	second := f.push(hub("10.0.1.5", ""))
	r.told(t, "10.0.1.5")
	releases := map[string]string{"10.0.1.4": first, "10.0.1.5": second}
	readLog(t, path, 2)
	resolvertest.Until(t, "a line of each release is written", func() bool {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var said struct {
				Addresses []string
				Release   string
			}
			if json.Unmarshal([]byte(line), &said) != nil || len(said.Addresses) != 1 {
				continue
			}
			if want, known := releases[said.Addresses[0]]; known && want != said.Release {
				t.Fatalf("release %s is said in %s", want, line)
			}
			if said.Addresses[0] == "10.0.1.5" {
				return true
			}
		}
		return false
	})
}
