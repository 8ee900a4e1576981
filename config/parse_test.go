package config_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"pldns/config"
)

// TestParseFiles shows that Parse reads further files from a file system, and that
// without one there are none.
func TestParseFiles(t *testing.T) {
	document := []byte("files = [\"more/europe.toml\"]\n")
	fsys := fstest.MapFS{"more/europe.toml": {Data: []byte("[networks.europe]\nclients = [\"10.0.0.0/16\"]\n")}}
	c, err := config.Parse("main.toml", document, fsys)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"main.toml", "more/europe.toml"}, c.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if _, err := config.Parse("main.toml", document, nil); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a file that nothing holds: %v", err)
	}
}

// TestProblems shows that a problem can be taken apart, as an editor would.
func TestProblems(t *testing.T) {
	_, err := config.Parse("pldns.toml", []byte("[networks.europe]\nclients = [\n  \"10.0.0.0/16\",\n  \"10.1.0.0/33\",\n]\n"), nil)
	var problems config.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("Parse gives %v, not Problems", err)
	}
	want := config.Problems{{
		File:   "pldns.toml",
		Line:   4,
		Key:    "networks.europe.clients[1]",
		Text:   `"10.1.0.0/33" is no prefix`,
		Remedy: `write a length from 0 to 32, as in "10.1.0.0/16"`,
	}}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if got, want := err.Error(), problems[0].String(); got != want {
		t.Errorf("the error is %q, the problem %q", got, want)
	}
}

// TestManySharedSets shows that a clash of two sets is reported once, in whatever
// order and however often they are included together.
func TestManySharedSets(t *testing.T) {
	_, err := config.Parse("pldns.toml", []byte(`
[endpoints.one]
"mydb.database.windows.net" = "10.0.1.4"
[endpoints.two]
"mydb.database.windows.net" = "10.0.1.5"
[networks.a]
clients = ["10.0.0.0/16"]
include = ["one", "two"]
[networks.b]
clients = ["10.1.0.0/16"]
include = ["two", "one"]
`), nil)
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 1 {
		t.Errorf("want one problem, got:\n%v", err)
	}
}
