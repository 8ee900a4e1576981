package azure_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// One data file is the only place that knows zones: no string of the program holds
// a part of one, and the second file knows types of resources.
func TestDataFileIsTheOnlySource(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var data []string
	for _, f := range files {
		if !f.IsDir() && filepath.Ext(f.Name()) != ".go" {
			data = append(data, f.Name())
		}
	}
	if !slices.Equal(data, []string{"catalogue.csv", "resources.csv"}) {
		t.Errorf("data files %v, want two", data)
	}

	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	domain := regexp.MustCompile(`[a-z]\.(net|com|us|cn|io|ms|ai)\b`)
	resources, err := os.ReadFile("resources.csv")
	if err != nil || domain.Match(resources) {
		t.Errorf("resources.csv holds %q (%v)", domain.Find(resources), err)
	}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && domain.MatchString(text.Value) {
				t.Errorf("%s holds %s", source, text.Value)
			}
			return true
		})
	}
}
