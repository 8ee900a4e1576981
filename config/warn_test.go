package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pldns/config"
)

// TestWarnings holds one file for each warning against the exact messages: such a
// file is good, and says something that is probably not meant. Run it with -update
// to write what the messages are now, and read the difference.
func TestWarnings(t *testing.T) {
	t.Chdir("testdata/warn")
	files, err := filepath.Glob("*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".toml")
		t.Run(name, func(t *testing.T) {
			report, err := config.Check(file)
			if err != nil || len(report.Faults) > 0 {
				t.Fatalf("the file has faults: %v\n%v", err, report.Faults)
			}
			for _, warning := range report.Warnings {
				if warning.File == "" || warning.Line == 0 || warning.Key == "" || warning.Text == "" || warning.Remedy == "" {
					t.Errorf("%+v does not say where it is, what is odd and what to do", warning)
				}
			}
			if loaded, err := config.Load(file); err != nil || fmt.Sprint(loaded.Warnings) != fmt.Sprint(report.Warnings) {
				t.Errorf("Load gives %v, and Check other warnings", err)
			}
			ofModes := func(p config.Problem) bool {
				return strings.Contains(p.Text, "can be read by every user of this machine")
			}
			report.Warnings = slices.DeleteFunc(report.Warnings, ofModes) // git does not keep these: see TestSecretFileModes
			compareGolden(t, name+".txt", report.Warnings.Error()+"\n")
		})
	}
}

// Faults do not hide warnings.
func TestFaultsAndWarnings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "both.toml")
	document := "files = [\"nothere.d/*.toml\"]\n[networks.hub]\nclients = [\"10.0.0.0/33\"]\n"
	if err := os.WriteFile(file, []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	report, err := config.Check(file)
	if err != nil || len(report.Faults) != 1 || len(report.Warnings) != 1 || report.Config != nil {
		t.Errorf("%v: faults %v, warnings %v, configuration %v", err, report.Faults, report.Warnings, report.Config)
	}
}

// A good file of the documentation has nothing odd about it.
func TestGoodFilesHaveNoWarnings(t *testing.T) {
	c, err := config.Parse("example.toml", config.Example(), nil)
	if err != nil || len(c.Warnings) > 0 {
		t.Errorf("the built-in example: %v, %v", err, c.Warnings)
	}
}

// A mistake that was made very often is told often enough.
func TestManyOddNames(t *testing.T) {
	var b strings.Builder
	b.WriteString("[networks.hub]\nclients = [\"10.0.0.0/16\"]\n[networks.hub.endpoints]\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "\"db%04d.databse.windows.net\" = \"10.0.1.4\"\n", i)
	}
	loaded, err := config.Parse("pldns.toml", []byte(b.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	last := loaded.Warnings[len(loaded.Warnings)-1]
	if len(loaded.Warnings) != 1001 || last.Line != 1004 || last.Text != "this name and 3999 after it fit no row of the catalogue either" {
		t.Errorf("%d warnings, the last %s", len(loaded.Warnings), last)
	}
}
