package pldns_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// forTests are the requirements of this module that the program is not built of, each
// with the reason for which the tests of its packages cannot be elsewhere. Whoever
// builds the image downloads these, too: what drives browsers, terminals or other
// servers belongs into cmd/acceptance, cmd/bench, deploy/validate or deploy/certificates.
var forTests = map[string]string{
	"github.com/pires/go-proxyproto": "says who asks, as a load balancer does, to the program's own reader",
	"github.com/google/go-cmp":       "compares values in the tests of packages",
	"go.uber.org/goleak":             "looks for goroutines that the tests of a package leave behind",
}

// TestRequirements: the module that the image downloads requires what the program is
// built of, on some system, and besides that only what is named above.
func TestRequirements(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var module struct{ Require []struct{ Path string } }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	built := make(map[string]bool)
	for _, system := range []string{"linux", "windows", "darwin"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/pldns")
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list for %s: %v", system, err)
		}
		for _, path := range strings.Fields(string(out)) {
			built[path] = true
		}
	}
	if len(module.Require) == 0 || len(built) == 0 {
		t.Fatal("found no requirements")
	}
	for _, required := range module.Require {
		if !built[required.Path] && forTests[required.Path] == "" {
			t.Errorf("go.mod requires %s, which the program is not built of: its tests belong into another module", required.Path)
		}
	}
	for path := range forTests {
		if built[path] {
			t.Errorf("the program is built of %s, which is for tests", path)
		}
	}
}

// TestEveryModuleIsTested: make knows every module of the repository, and none of them
// changes how the others are built.
func TestEveryModuleIsTested(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, list := range regexp.MustCompile(`(?m)^(?:MODULES|HEAVY) +=(.*)$`).FindAllSubmatch(makefile, -1) {
		known = append(known, strings.Fields(string(list[1]))...)
	}
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || path != "." && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case entry.Name() == "go.work":
			t.Errorf("%s: the image would be built of what all modules require", path)
		case entry.Name() == "go.mod" && !slices.Contains(known, filepath.ToSlash(filepath.Dir(path))):
			t.Errorf("%s: make does not test this module; it tests %v", path, known)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
