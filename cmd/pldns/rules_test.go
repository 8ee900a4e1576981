package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// example is a row of deploy/rules.md: a question, and what comes of it.
type example struct {
	client, qname, qtype string
	want                 string
	rule                 string
	down                 bool // whether no upstream answers
}

var (
	exampleRow = regexp.MustCompile("(?m)^\\| [0-9]* ?\\| .*\\| ([0-9.]+) \\| `(\\S+) (\\S+)` \\| (`.*`) \\| (?:`(.*)` )?\\|$|" +
		"^With every upstream down")
	exampleQuestion = regexp.MustCompile("(?m)^.* \\| `\\S+ [A-Z]+` \\| ")
	exampleNets     = regexp.MustCompile(`\b10\.([0-9]+)\.0\.(0/16|7)\b`)
)

// onLoopback puts the clients of the examples on loopback: 10.1.0.7 is 127.0.2.7.
func onLoopback(text string) string {
	return exampleNets.ReplaceAllStringFunc(text, func(found string) string {
		var net, host int
		_, _ = fmt.Sscanf(found, "10.%d.0.%d", &net, &host)
		if strings.HasSuffix(found, "/16") {
			return fmt.Sprintf("127.0.%d.0/24", net+1)
		}
		return fmt.Sprintf("127.0.%d.%d", net+1, host)
	})
}

// examples are the rows of deploy/rules.md. The configuration beside them is served here.
func examples(t *testing.T) (all []example, config, outside, corp string) {
	t.Helper()
	dir := t.TempDir()
	for _, b := range blocks(t) {
		if b.file != filepath.Join("deploy", "rules.md") {
			continue
		}
		switch writeBlock(t, dir, b) {
		case "rules.toml":
			config = onLoopback(strings.ReplaceAll(b.text, `"corp.rpz"`, fmt.Sprintf("%q", filepath.Join(dir, "corp.rpz"))))
		case "outside.txt":
			outside = b.text
		case "corp.txt":
			corp = b.text
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "deploy", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	down := false
	for _, row := range exampleRow.FindAllStringSubmatch(string(page), -1) {
		if down = down || row[1] == ""; row[1] != "" {
			all = append(all, example{onLoopback(row[1]), row[2], row[3], strings.ReplaceAll(row[4], "`", ""), row[5], down})
		}
	}
	if rows := len(exampleQuestion.FindAll(page, -1)); len(all) != rows {
		t.Fatalf("%d of %d rows of deploy/rules.md are examples", len(all), rows)
	}
	return all, config, outside, corp
}

// inWords puts a reply into the words of an example: what is not usual of it, then records
// with their TTLs, without owners.
func inWords(reply *dns.Msg) string {
	var parts []string
	said := strings.Split(says(reply), " | ")
	records := slices.Concat(reply.Answer, reply.Ns)
	for i, rr := range records {
		parts = append(parts, fmt.Sprintf("%d %s", rr.Header().Ttl, said[len(said)-len(records)+i]))
	}
	said = said[:len(said)-len(records)]
	if said[0] == "NOERROR" {
		said = said[1:]
	}
	return strings.Join(slices.Concat(said, parts), ", ")
}

// TestRules asks for every example of deploy/rules.md.
func TestRules(t *testing.T) {
	all, config, outside, corp := examples(t)
	primary := startMany(t)
	primary.has(t, "corp.example", 1, corp)
	primary.has(t, "split.example", 1, "")
	config = strings.NewReplacer("10.20.0.4", primary.addr.String(), "10.20.0.9", resolvertest.SilentAddr(t).String()).Replace(config)
	upstream := resolvertest.StartUpstream(t, outside)
	log := filepath.Join(t.TempDir(), "queries.json")
	r := start(t, fmt.Sprintf("[listen]\ndns = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n[query_log]\nmode = \"all\"\nto = [%q]\n", log)+
		upstreamTable(upstream.Addr)+config)
	resolvertest.Until(t, "the copies are answered from", func() bool {
		held := func(zone string) bool {
			return r.ask("udp", onLoopback("10.0.0.7"), zone, dns.TypeSOA).Rcode == dns.RcodeSuccess
		}
		return held("corp.example") && held("split.example")
	})
	for _, e := range all {
		if strings.Contains(e.want, "EDE 3") { // what is stale then is known now
			r.ask("udp", e.client, e.qname, dns.StringToType[e.qtype])
		}
	}
	stopped := false
	for _, e := range all {
		if e.down && !stopped {
			stopped = true
			upstream.Stop()
		}
		got := ""
		resolvertest.Until(t, e.qname+" "+e.qtype+" from "+e.client+": "+e.want, func() bool {
			got = inWords(r.ask("udp", e.client, e.qname, dns.StringToType[e.qtype]))
			return got == e.want || !e.down
		}, &got)
		if got != e.want {
			t.Errorf("%s %s from %s:\n got %s\nwant %s", e.qname, e.qtype, e.client, got, e.want)
		}
	}
	for _, e := range all {
		var rules []string
		resolvertest.Until(t, "the log has "+e.qname+" from "+e.client, func() bool {
			rules = rulesIn(t, log, e)
			return len(rules) > 0
		})
		if !slices.Contains(rules, e.rule) {
			t.Errorf("%s %s from %s is decided by %q, want %q", e.qname, e.qtype, e.client, rules, e.rule)
		}
	}
}

// rulesIn are the rules of the lines about one question.
func rulesIn(t *testing.T, log string, e example) (rules []string) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var entry struct{ Client, Name, Type, Rule string }
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Name != e.qname || entry.Type != e.qtype {
			continue
		}
		if asker, err := netip.ParsePrefix(entry.Client); err == nil && asker.Contains(netip.MustParseAddr(e.client)) {
			rules = append(rules, entry.Rule)
		}
	}
	return rules
}
