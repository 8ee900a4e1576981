package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every directory below testdata/import holds a small export of one shape, the
// arguments of import in the file args, and in the file want what must come out: the
// exit code, standard error and standard output. UPDATE_GOLDEN=1 writes that anew.
func TestImportOfEveryShape(t *testing.T) {
	all, err := filepath.Glob(filepath.Join("testdata", "import", "*", "args"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no shapes: %v", err)
	}
	for _, args := range all {
		dir := filepath.Dir(args)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Chdir(dir)
			text, err := os.ReadFile("args")
			if err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			code := run(context.Background(), append([]string{"import"}, strings.Fields(string(text))...), &stdout, &stderr)
			got := fmt.Sprintf("exit code %d\n%s\n%s", code, stderr.String(), stdout.String())
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile("want", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile("want")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if strings.Contains(got, "SECRET") {
				t.Error("a secret of the export comes out")
			}
			if code == exitFine && stdout.Len() > 0 {
				loads(t, stdout.String())
			}
		})
	}
}

// networkHeader is the header of a network's endpoints, or of a set.
var networkHeader = regexp.MustCompile(`(?m)^\[(networks\.([^.]+)\.endpoints|endpoints\.[^.]+)\]$`)

// loads shows that a table can be loaded as it is.
func loads(t *testing.T, table string) {
	t.Helper()
	text := table + "[networks.clients-of-sets]\nclients = [\"10.200.0.0/16\"]\n"
	for i, header := range networkHeader.FindAllStringSubmatch(table, -1) {
		if header[2] != "" {
			text += fmt.Sprintf("[networks.%s]\nclients = [\"10.%d.0.0/16\"]\n", header[2], i)
		}
	}
	runs(t, "check", "-c", writeConfig(t, text))
}
