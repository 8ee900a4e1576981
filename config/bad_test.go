package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pldns/config"
)

// TestBadFiles holds one file for each fault against the exact messages. Run it
// with -update to write what the messages are now, and read the difference.
func TestBadFiles(t *testing.T) {
	update := flag.Lookup("update").Value.String() == "true"
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
			got := err.Error() + "\n"
			if update {
				if err := os.WriteFile(name+".txt", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}
