package config_test

import (
	"errors"
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"pldns/config"
)

var update = flag.Bool("update", false, "write what the test files give now, instead of comparing with it")

// TestBadFiles holds one file for each fault against the exact messages. Run it
// with -update to write what the messages are now, and read the difference.
func TestBadFiles(t *testing.T) {
	t.Chdir("testdata/bad")
	files, err := filepath.Glob("*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".toml")
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(file)
			var problems config.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("Load gives %v, not Problems", err)
			}
			for _, problem := range problems {
				if problem.File == "" || problem.Text == "" || problem.Remedy == "" {
					t.Errorf("%+v does not say where it is, what is wrong and what to do", problem)
				}
			}
			compareGolden(t, name+".txt", err.Error()+"\n")
		})
	}
}
