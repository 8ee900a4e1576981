package tomlfile_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const library = "github.com/BurntSushi/toml"

// TestOneLibrary shows that one library reads TOML, that it is required directly,
// that nothing but this package knows it, and that what reads or edits files goes
// through this package.
func TestOneLibrary(t *testing.T) {
	root := "../../.."
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(module)) {
		if strings.Contains(strings.ToLower(line), "toml") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	if len(found) != 1 || !strings.HasPrefix(found[0], library+" ") || strings.Contains(found[0], "indirect") {
		t.Errorf("go.mod requires %q of what reads TOML, not %s directly and alone", found, library)
	}
	all := importsBelow(t, root)
	for _, file := range []string{"config/document.go", "config/azureimport/edit.go"} {
		if !slices.Contains(all[filepath.Join(root, file)], "pldns/config/internal/tomlfile") {
			t.Errorf("%s reads TOML in a way of its own", file)
		}
	}
	for file, imports := range all {
		for _, path := range imports {
			own := filepath.Dir(file) == filepath.Join(root, "config", "internal", "tomlfile")
			if strings.Contains(strings.ToLower(path), "toml") && path != "pldns/config/internal/tomlfile" && !(own && path == library) {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
}

// importsBelow are the imports of the Go files below a directory.
func importsBelow(t *testing.T, root string) map[string][]string {
	all := make(map[string][]string)
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(file, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			all[file] = append(all[file], path)
		}
		slices.Sort(all[file])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
