package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"pldns/zones/azure"
)

// FuzzParse shows that every document is either good enough to build a table of, or
// refused with problems that say where, what and how; and that it is so each time.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.toml", "testdata/bad/*.toml", "testdata/*/*.d/*.toml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("no seeds: %v", err)
		}
		for _, file := range names {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add(Example())
	more := []byte("[networks.more]\nclients = [\"192.0.2.0/24\"]\n")
	files := memoryFiles{fstest.MapFS{"more.toml": {Data: more}}}
	catalogue := azure.New() // once, because it takes longer than a document
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := load("fuzz.toml", data, files, catalogue)
		_, again := load("fuzz.toml", data, files, catalogue)
		switch {
		case err == nil && again == nil:
			if c.Table == nil {
				t.Error("what Parse gives has no table")
			}
			return
		case err == nil || again == nil || err.Error() != again.Error():
			t.Fatalf("Parse gives\n%v\nand then\n%v", err, again)
		}
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("Parse gives %v, not Problems", err)
		}
		for _, problem := range problems {
			if problem.File == "" || problem.Text == "" || problem.Remedy == "" {
				t.Errorf("%+v does not say where it is, what is wrong and what to do", problem)
			}
		}
	})
}
