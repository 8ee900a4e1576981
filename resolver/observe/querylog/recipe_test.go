package querylog_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/observe/querylog"
)

// keysOfALine are the keys of a line that says all that a line can say.
func keysOfALine(t *testing.T) map[string]any {
	t.Helper()
	var out strings.Builder
	log, stop := run(t, querylog.Config{Mode: querylog.All, Clients: querylog.Address, Writer: &out})
	e := answered(t, "mydb.database.windows.net.", "10.0.1.4")
	e.Query.Class = dns.ClassCHAOS
	e.Answer.Group, e.Answer.Server = "azure", "168.63.129.16"
	log.Exchanged(e)
	_ = stop()
	keys := make(map[string]any)
	if err := json.Unmarshal([]byte(out.String()), &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

// What the recipe for Log Analytics reads are keys of the log, and its columns are those
// of DNSQueryLogs, but for those that it names.
func TestRecipeForLogAnalytics(t *testing.T) {
	page, err := os.ReadFile("../../../deploy/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "\n    source\n    | project\n")
	recipe, _, found := strings.Cut(after, "\n\n")
	if !found {
		t.Fatal("the page has no transformation")
	}
	keys := keysOfALine(t)
	functions := regexp.MustCompile(`[a-z]+\(|"[^"]*"`)
	own := map[string]bool{"Network": true, "Upstream": true, "ExtendedErrors": true, "Release": true}
	azures := " TimeGenerated OperationName SourceIpAddress SourcePort Transport QueryName QueryType QueryClass ResponseCode Answer " +
		"QueryResponseTime ResolutionPath DestinationIpAddress DnsForwardingRulesetDomain "
	columns := 0
	for line := range strings.Lines(recipe) {
		column, expression, _ := strings.Cut(strings.TrimSpace(line), " = ")
		if column == "" {
			continue
		}
		columns++
		if !own[column] && !strings.Contains(azures, " "+column+" ") {
			t.Errorf("column %s is none of DNSQueryLogs", column)
		}
		for _, key := range regexp.MustCompile(`[a-z_]+`).FindAllString(functions.ReplaceAllString(expression, ""), -1) {
			if _, known := keys[key]; !known {
				t.Errorf("column %s: %q is no key of a line: %v", column, key, keys)
			}
		}
	}
	if columns != 18 {
		t.Errorf("%d columns", columns)
	}
}

// What is said of the keys of a line is all of them.
func TestKeysAreDescribed(t *testing.T) {
	page, err := os.ReadFile("../../../config/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for key := range keysOfALine(t) {
		if !strings.Contains(string(page), "`"+key+"`") {
			t.Errorf("config/README.md says nothing of the key %s", key)
		}
	}
}
