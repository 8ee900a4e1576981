// Package deploy_test holds what operators apply against what the program is:
// its configuration, its metrics, and the programs that read the other files.
package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pldns/config"
	"pldns/resolver/metrics"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// needs skips a test where a program is missing, unless everything is to be run.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("PLDNS_DEPLOY") != "" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

var tokenFile = regexp.MustCompile(`admin_token_file = "[^"]*"`)

// Every configuration that is shipped can be served.
func TestConfigurations(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"compose/etc/pldns.toml", "kubernetes/pldns.toml", "azure/pldns.toml", "deb/pldns.toml"} {
		text := tokenFile.ReplaceAllString(read(t, path), `admin_token_file = "`+token+`"`)
		copied := filepath.Join(t.TempDir(), "pldns.toml")
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if loaded, err := config.Load(copied); err != nil || len(loaded.Warnings) > 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The network policy of Kubernetes lets out what upstreams of every kind are asked over, and
// primaries of zones.
func TestNetworkPolicyLetsUpstreamsBeAsked(t *testing.T) {
	_, egress, _ := strings.Cut(read(t, "kubernetes/networkpolicy.yaml"), "egress:")
	for server, want := range map[string]string{
		"10.0.0.4": "{port: 53, protocol: UDP}", "tcp://10.0.0.4, and zones": "{port: 53, protocol: TCP}",
		"tls://10.0.0.4, and zones": "{port: 853, protocol: TCP}", "https://10.0.0.4/dns-query": "{port: 443, protocol: TCP}",
		"quic://10.0.0.4": "{port: 853, protocol: UDP}", "h3://10.0.0.4/dns-query": "{port: 443, protocol: UDP}",
	} {
		if !strings.Contains(egress, want) {
			t.Errorf("nothing lets out %s, which %s takes", want, server)
		}
	}
}

// What the network policy of Kubernetes lets out is what the file there says, so
// that check warns of a probe that would find every address unhealthy.
func TestEgressIsThatOfTheNetworkPolicy(t *testing.T) {
	_, egress, _ := strings.Cut(read(t, "kubernetes/networkpolicy.yaml"), "egress:")
	var open []string
	for _, found := range regexp.MustCompile(`port: (\d+), protocol: TCP`).FindAllStringSubmatch(egress, -1) {
		open = append(open, found[1])
	}
	said := regexp.MustCompile(`(?m)^egress = \[(.*?)\]`).FindStringSubmatch(read(t, "kubernetes/pldns.toml"))
	if said == nil {
		t.Fatal("the file does not say which ports are open")
	}
	told := strings.Split(said[1], ", ")
	slices.Sort(open)
	slices.Sort(told)
	if !slices.Equal(open, told) {
		t.Errorf("the file has ports %v, the policy lets out %v", told, open)
	}
}

var (
	description = regexp.MustCompile(`fqName: "([^"]+)".*constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}`)
	metricName  = regexp.MustCompile(`\b(?:pldns|process|go)_\w+`)
	suffix      = regexp.MustCompile(`_(?:bucket|sum|count)$`)
	matchers    = regexp.MustCompile(`\{([^}]*)\}`)
	matched     = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouped     = regexp.MustCompile(`\bby \(([^)]*)\)`)
	word        = regexp.MustCompile(`\w+`)
)

// exported are the labels of every metric of the program, by name.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	registry, is := metrics.New(metrics.Build{}).Gatherer().(prometheus.Collector)
	if !is {
		t.Fatal("the registry does not describe its metrics")
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descriptions)
		close(descriptions)
	}()
	labels := make(map[string][]string)
	for d := range descriptions {
		found := description.FindStringSubmatch(d.String())
		if found == nil {
			t.Errorf("no metric is described by %s", d)
			continue
		}
		labels[found[1]] = append(word.FindAllString(found[3], -1), "instance", "job", "le")
	}
	return labels
}

// check holds an expression against the metrics that there are.
func check(labels map[string][]string, expression string) error {
	var known []string
	for _, name := range metricName.FindAllString(expression, -1) {
		of, found := labels[name]
		if !found {
			of, found = labels[suffix.ReplaceAllString(name, "")]
		}
		if !found {
			return fmt.Errorf("%q: the program exports no %s", expression, name)
		}
		known = append(known, of...)
	}
	var used []string
	for _, match := range matchers.FindAllStringSubmatch(expression, -1) {
		for _, label := range matched.FindAllStringSubmatch(match[1], -1) {
			used = append(used, label[1])
		}
	}
	for _, match := range grouped.FindAllStringSubmatch(expression, -1) {
		used = append(used, word.FindAllString(match[1], -1)...)
	}
	for _, label := range used {
		if !slices.Contains(append(known, "instance", "job", "le"), label) {
			return fmt.Errorf("%q: the metrics have no label %s", expression, label)
		}
	}
	return nil
}

// expressions are what the dashboard asks, with its variables filled in.
func expressions(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "compose/grafana/dashboards/pldns.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all = append(all, strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr))
		}
		if len(panel.Targets) == 0 {
			t.Errorf("panel %q asks nothing", panel.Title)
		}
	}
	if len(all) == 0 {
		t.Fatal("the dashboard asks nothing")
	}
	return all
}

// Dashboard and alerts ask for what the program exports, by labels that it has.
func TestMetricsAreExported(t *testing.T) {
	labels := exported(t)
	for _, expression := range expressions(t) {
		if err := check(labels, expression); err != nil {
			t.Error("dashboard:", err)
		}
	}
	for _, alert := range strings.Split(read(t, "compose/prometheus/rules.yml"), "- alert:")[1:] {
		_, rest, _ := strings.Cut(alert, "expr:")
		expression, _, _ := strings.Cut(rest, "labels: {severity")
		expression = regexp.MustCompile(`\n\s+for: .*`).ReplaceAllString(expression, "")
		if err := check(labels, strings.Join(strings.Fields(expression), " ")); err != nil {
			t.Error("alerts:", err)
		}
	}
}

// Every metric of the list is on the dashboard or in an alert, and whatever a page of
// the documentation calls a metric is in the list.
func TestMetricsAreUsed(t *testing.T) {
	list := read(t, "metrics.md")
	used := strings.Join(append(expressions(t), read(t, "compose/prometheus/rules.yml"), "pldns_build_info"), "\n")
	rows := regexp.MustCompile("(?m)^\\| `(pldns_\\w+)`").FindAllStringSubmatch(list, -1)
	if len(rows) == 0 {
		t.Fatal("the list is empty")
	}
	for _, row := range rows {
		if !regexp.MustCompile(`\b` + row[1] + `(?:_bucket)?\b`).MatchString(used) {
			t.Errorf("neither dashboard nor alerts look at %s", row[1])
		}
	}
	pages, err := filepath.Glob("*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "metrics.md", "README.md", "../README.md", "../config/README.md") {
		for _, name := range regexp.MustCompile(`\bpldns_\w+`).FindAllString(read(t, page), -1) {
			if !strings.Contains(list, "| `"+name+"` |") {
				t.Errorf("%s speaks of %s, which is not in the list", page, name)
			}
		}
	}
}

// TestMetricsAreExported finds what is not there.
func TestMetricsThatAreMissing(t *testing.T) {
	labels := exported(t)
	for _, expression := range []string{
		"pldns_nothing_total", `rate(pldns_queries_total{client="10.0.0.1"}[5m])`, "sum by (name) (pldns_queries_total)",
	} {
		if check(labels, expression) == nil {
			t.Errorf("%s is taken for an expression that has an answer", expression)
		}
	}
}

// Prometheus itself takes the rules, its configuration, and every expression of the
// dashboard.
func TestPrometheus(t *testing.T) {
	needs(t, "promtool")
	run(t, "promtool", "check", "config", "compose/prometheus/prometheus.yml")
	rules := "groups:\n  - name: dashboard\n    rules:\n"
	for i, expression := range expressions(t) {
		rules += fmt.Sprintf("      - record: panel:%d\n        expr: %q\n", i, expression)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "promtool", "check", "rules", file)
}

func TestCompose(t *testing.T) {
	needs(t, "docker-compose")
	for _, file := range []string{"compose/compose.yaml", "fleet/compose.yaml"} {
		run(t, "docker-compose", "-f", file, "config", "--quiet")
	}
}

// Nothing keeps the service down for good: it is started again however often that
// fails, and when it lives but does not answer.
func TestServiceComesBack(t *testing.T) {
	unit := read(t, "systemd/pldns.service")
	for _, want := range []string{"\nRestart=always\n", "\nStartLimitIntervalSec=0\n", "\nWatchdogSec=60\n", "\nType=notify\n"} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit has no line %q", strings.TrimSpace(want))
		}
	}
	if head, _, _ := strings.Cut(unit, "[Service]"); !strings.Contains(head, "StartLimitIntervalSec=0") {
		t.Error("StartLimitIntervalSec= holds in [Unit] alone")
	}
}

// systemd takes the units, with and without the socket, and the exposure of the
// service is below 2.0 of 10.
func TestUnits(t *testing.T) {
	needs(t, "systemd-analyze")
	program, err := os.Executable() // systemd wants to see a program where one is named
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unit, socket := filepath.Join(dir, "pldns.service"), filepath.Join(dir, "pldns.socket")
	put(t, unit, strings.ReplaceAll(read(t, "systemd/pldns.service"), "/usr/local/bin/pldns", program))
	run(t, "systemd-analyze", "verify", "--man=no", unit)
	run(t, "systemd-analyze", "security", "--offline=true", "--threshold=19", unit)

	put(t, socket, read(t, "systemd/pldns.socket"))
	put(t, filepath.Join(dir, "pldns.service.d", "socket.conf"), read(t, "systemd/socket.conf"))
	run(t, "systemd-analyze", "verify", "--man=no", socket, unit)
	run(t, "systemd-analyze", "security", "--offline=true", "--threshold=15", unit)

	member := filepath.Join(dir, "pldns-etcd.service")
	put(t, member, strings.ReplaceAll(read(t, "fleet/pldns-etcd.service"), "/usr/bin/etcd", program))
	run(t, "systemd-analyze", "verify", "--man=no", member)
	run(t, "systemd-analyze", "security", "--offline=true", "--threshold=19", member)
	put(t, filepath.Join(dir, "pldns.service.d", "store.conf"), read(t, "fleet/store.conf"))
	put(t, filepath.Join(dir, "pldns.service.d", "keepalived.conf"), read(t, "fleet/keepalived/service.conf"))
	put(t, filepath.Join(dir, "pldns.service.d", "certificates.conf"), read(t, "certificates/certificates.conf"))
	run(t, "systemd-analyze", "verify", "--man=no", unit)

	programs := regexp.MustCompile(`(?m)^ExecStart=\S+`)
	for _, way := range []string{"acme", "key-vault"} {
		renewal, timer := filepath.Join(dir, "pldns-"+way+"@default.service"), filepath.Join(dir, "pldns-"+way+"@default.timer")
		put(t, renewal, programs.ReplaceAllString(read(t, "certificates/pldns-"+way+"@.service"), "ExecStart="+program))
		put(t, timer, read(t, "certificates/pldns-"+way+"@.timer"))
		run(t, "systemd-analyze", "verify", "--man=no", timer, renewal)
		run(t, "systemd-analyze", "security", "--offline=true", "--threshold=19", renewal)
	}
}

// The configurations of the fleet in containers can be served, with the certificates that
// the script there makes.
func TestFleetConfigurations(t *testing.T) {
	needs(t, "openssl")
	dir := t.TempDir()
	for _, user := range []string{"anna", "hub-1"} {
		run(t, "fleet/certificates", filepath.Join(dir, "tls"), "user", user)
	}
	machine := filepath.Join(dir, "machine")
	for from, to := range map[string]string{"tls/ca.pem": "ca.pem", "tls/hub-1.pem": "store.pem", "tls/hub-1.key": "store.key"} {
		put(t, filepath.Join(machine, to), read(t, filepath.Join(dir, from)))
	}
	for from, to := range map[string]string{"fleet.toml": "compose/fleet.toml", "machine.toml": "machine/pldns.toml"} {
		file := filepath.Join(dir, to)
		put(t, file, read(t, "fleet/compose/"+from))
		if loaded, err := config.Load(file); err != nil || len(loaded.Warnings) > 0 {
			t.Errorf("%s: %v", from, err)
		}
	}
}

// put writes a file, and the folders that it lies in.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTerraformFormat(t *testing.T) {
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("terraform is not installed, and Debian has no package of it")
	}
	run(t, "terraform", "fmt", "-check", "-diff", "azure")
}
