package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// mappingLine is a line that import writes: a name, its value, and a comment.
var mappingLine = regexp.MustCompile(`(?m)^"([^"]+)" = (.*) # .*$`)

// From an export to the answer on the wire: what is imported into a file passes the
// check, is served, and every name answers every address that the table gives it.
func TestImportedNamesAreServed(t *testing.T) {
	exports := filepath.Join("..", "..", "config", "azureimport", "testdata")
	for _, test := range []struct {
		kind  string
		files []string
	}{
		{"az", []string{"az_endpoints.json", "az_nics.json", "az_groups.json"}},
		{"az", []string{"az_records.json"}},
		{"graph", []string{"graph_joined.json"}},
		{"arm", []string{"arm.json"}},
		{"terraform", []string{"terraform_show.json"}},
		{"terraform", []string{"terraform_state.json"}},
		{"dns-zone", []string{"zone.txt"}},
		{"hosts", []string{"hosts.txt"}},
	} {
		t.Run(test.kind+" "+strings.Join(test.files, " "), func(t *testing.T) {
			file := writeConfig(t, `
[listen]
dns = ["127.0.0.1:0"]
admin = "off"
[upstreams.none]
servers = ["`+resolvertest.ClosedAddr(t).String()+`"]
[forward]
"." = "none"
[networks.hub]
clients = ["127.0.1.0/24"]
`)
			args := []string{"import", test.kind}
			for _, name := range test.files {
				args = append(args, filepath.Join(exports, name))
			}
			runs(t, append(args, "--network", "hub", "--into", file)...)
			runs(t, "check", "-c", file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, string(text))
			asksAll(t, string(text), func(name string) string {
				return says(r.ask("udp", europe, name, dns.TypeA)) + " " + says(r.ask("udp", europe, name, dns.TypeAAAA))
			})
			t.Run("with dig", func(t *testing.T) {
				find(t, "dig")
				asksAll(t, string(text), func(name string) string {
					return "A " + strings.ReplaceAll(dig(t, r.addrs[0], europe, name, "A")+dig(t, r.addrs[0], europe, name, "AAAA"), "\n", " A ")
				})
			})
		})
	}
}

// runs runs a command that must succeed.
func runs(t *testing.T, args ...string) {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), args, &out, &out); code != exitFine {
		t.Fatalf("pldns %s exits with %d: %s", strings.Join(args, " "), code, out.String())
	}
}

// asksAll asks for every name of an imported table. What ask gives holds every
// address after "A ".
func asksAll(t *testing.T, text string, ask func(name string) string) {
	t.Helper()
	lines := mappingLine.FindAllStringSubmatch(text, -1)
	if len(lines) == 0 {
		t.Fatal("nothing was imported")
	}
	for _, line := range lines {
		name := strings.Replace(line[1], "*", "app", 1)
		answers := ask(name)
		for _, addr := range regexp.MustCompile(`"([0-9.]+|[0-9a-f:]+)"`).FindAllStringSubmatch(line[2], -1) {
			if !strings.Contains(answers, "A "+addr[1]) {
				t.Errorf("%s answers %s, without %s", name, answers, addr[1])
			}
		}
	}
}
