package metrics_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "write the list of metrics as it is now, instead of comparing with it")

// listed is where operators find the metrics.
const listed = "../../deploy/metrics.md"

// The list of metrics in the documentation is what the program exports: every
// metric, its type, its labels and its meaning, no less and no more.
func TestMetricList(t *testing.T) {
	r := exercised(t)
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for _, family := range families {
		if name := family.GetName(); strings.HasPrefix(name, "pldns_") {
			rows[name] = fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, strings.ToLower(family.GetType().String()), labels(family), family.GetHelp())
		}
	}
	// What nobody exercised would be missing.
	for d := range described(t, r.Gatherer()) {
		if name, _, _ := strings.Cut(strings.TrimPrefix(d, `Desc{fqName: "`), `"`); strings.HasPrefix(name, "pldns_") && rows[name] == "" {
			t.Errorf("the test does not make a series of %s", name)
		}
	}
	text, err := os.ReadFile(listed)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "| metric | type | labels | meaning |\n|---|---|---|---|\n", "\n"
	before, rest, found := strings.Cut(string(text), begin)
	table, after, ended := strings.Cut(rest, end+end)
	if !found || !ended {
		t.Fatalf("%s has no table of metrics", listed)
	}
	var want strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		want.WriteString(rows[name])
	}
	if *update {
		whole := before + begin + want.String() + end + after
		if err := os.WriteFile(listed, []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), table+end); diff != "" {
		t.Errorf("%s is not what is exported (go test ./resolver/metrics -update writes it; -exported +listed):\n%s", listed, diff)
	}
}

// labels are those of a family, in code.
func labels(family *dto.MetricFamily) string {
	var names []string
	for _, pair := range family.GetMetric()[0].GetLabel() {
		names = append(names, "`"+pair.GetName()+"`")
	}
	return strings.Join(names, ", ")
}

// described are the descriptions of all metrics, with or without series.
func described(t *testing.T, of prometheus.Gatherer) map[string]bool {
	t.Helper()
	registry, is := of.(prometheus.Collector)
	if !is {
		t.Fatal("the registry does not describe its metrics")
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descriptions)
		close(descriptions)
	}()
	all := make(map[string]bool)
	for d := range descriptions {
		all[d.String()] = true
	}
	return all
}
