package validate_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// terraform parses hub.tf.
func terraform(t *testing.T) *hclsyntax.Body {
	t.Helper()
	file, problems := hclparse.NewParser().ParseHCLFile("../azure/hub.tf")
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return file.Body.(*hclsyntax.Body)
}

// What "pldns export terraform" writes can be read by Terraform, and each resource
// has a name of its own.
func TestExportedTerraform(t *testing.T) {
	files, err := filepath.Glob("../../config/azureexport/testdata/golden/*.tf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no exports: %v", err)
	}
	for _, name := range files {
		file, problems := hclparse.NewParser().ParseHCLFile(name)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		seen := make(map[string]bool)
		for _, block := range file.Body.(*hclsyntax.Body).Blocks {
			if at := address(block); at != "" && seen[at] {
				t.Errorf("%s: %s is declared twice", name, at)
			}
			seen[address(block)] = true
		}
	}
}

// address is how other blocks refer to a block, empty if they do not.
func address(block *hclsyntax.Block) string {
	switch block.Type {
	case "resource":
		return strings.Join(block.Labels, ".")
	case "data":
		return "data." + strings.Join(block.Labels, ".")
	case "variable":
		return "var." + block.Labels[0]
	}
	return ""
}

// Whatever the Terraform file refers to is declared in it, and what is declared is
// used: that much can be known without Azure's provider.
func TestTerraformReferences(t *testing.T) {
	body := terraform(t)
	declared := map[string]bool{}
	for _, block := range body.Blocks {
		if name := address(block); name != "" {
			declared[name] = false
		}
		if block.Type == "locals" {
			for name := range block.Body.Attributes {
				declared["local."+name] = false
			}
		}
	}
	for _, traversal := range variables(body) {
		name := referenced(traversal)
		if name == "" {
			continue
		}
		if _, known := declared[name]; !known {
			t.Errorf("%s: %s is not declared", traversal.SourceRange(), name)
		}
		declared[name] = true
	}
	for name, used := range declared {
		if !used && (strings.HasPrefix(name, "var.") || strings.HasPrefix(name, "local.")) {
			t.Errorf("%s is declared and not used", name)
		}
	}
}

// variables are the references in a body and what is in it.
func variables(body *hclsyntax.Body) []hcl.Traversal {
	var found []hcl.Traversal
	for _, attribute := range body.Attributes {
		found = append(found, attribute.Expr.Variables()...)
	}
	for _, block := range body.Blocks {
		found = append(found, variables(block.Body)...)
	}
	return found
}

// referenced is the address that a reference begins with, empty for words of the
// language.
func referenced(traversal hcl.Traversal) string {
	parts := []string{traversal.RootName()}
	for _, step := range traversal[1:] {
		if attribute, is := step.(hcl.TraverseAttr); is {
			parts = append(parts, attribute.Name)
		}
	}
	switch {
	case slices.Contains([]string{"path", "each", "security_rule", "nic"}, parts[0]) || len(parts) < 2:
		return ""
	case parts[0] == "data":
		return strings.Join(parts[:min(3, len(parts))], ".")
	}
	return strings.Join(parts[:2], ".")
}

// cloudInit is what is used of cloud-init's format.
type cloudInit struct {
	PackageUpdate bool     `json:"package_update"`
	Packages      []string `json:"packages"`
	WriteFiles    []struct {
		Path        string `json:"path"`
		Encoding    string `json:"encoding"`
		Content     string `json:"content"`
		Permissions string `json:"permissions"`
	} `json:"write_files"`
	RunCmd [][]string `json:"runcmd"`
}

// cloud-init finds what it writes, and prepares the service that apply.sh starts.
func TestCloudInit(t *testing.T) {
	text := read(t, "../azure/cloud-init.yaml")
	if !strings.HasPrefix(text, "#cloud-config\n") {
		t.Error("the first line is not #cloud-config")
	}
	var setup cloudInit
	if err := yaml.UnmarshalStrict([]byte(text), &setup); err != nil {
		t.Fatal(err)
	}
	written := map[string]string{}
	for _, file := range setup.WriteFiles {
		written[file.Path] = file.Content
	}
	unit := written["/etc/systemd/system/pldns.service"]
	for _, want := range []string{"EnvironmentFile=/etc/default/pldns\n", " ${IMAGE} serve\n", "\nRestart=always\n", "\nStartLimitIntervalSec=0\n"} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit has no %q", strings.TrimSpace(want))
		}
	}
	for _, command := range setup.RunCmd {
		if file := command[len(command)-1]; strings.HasPrefix(file, "/etc/sysctl.d/") && written[file] == "" {
			t.Errorf("%s is used, and not written", file)
		}
	}
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

// The files for Grafana and Prometheus are well formed, and the dashboard asks the
// data source that is provisioned.
func TestComposeFiles(t *testing.T) {
	paths, err := filepath.Glob("../compose/grafana/provisioning/*/*.yaml")
	if err != nil || len(paths) != 2 {
		t.Fatalf("%v, %v", paths, err)
	}
	for _, path := range append(paths, "../compose/compose.yaml", "../compose/prometheus/prometheus.yml", "../compose/prometheus/rules.yml") {
		if _, err := yaml.YAMLToJSONStrict([]byte(read(t, path))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	var sources struct{ Datasources []struct{ UID string } }
	if err := yaml.Unmarshal([]byte(read(t, "../compose/grafana/provisioning/datasources/prometheus.yaml")), &sources); err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Datasource struct{ UID string } }
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(read(t, "../compose/grafana/dashboards/pldns.json"))))
	if err := decoder.Decode(&dashboard); err != nil {
		t.Fatal(err)
	}
	for i, panel := range dashboard.Panels {
		if panel.Datasource.UID != sources.Datasources[0].UID {
			t.Errorf("panel %d asks %q, and %q is provisioned", i+1, panel.Datasource.UID, sources.Datasources[0].UID)
		}
	}
}
