package pldns_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// What a page of a file holds: so much is read at once, and no more.
const (
	maxLines   = 500 // of a file
	maxFunc    = 60  // lines of a function's body
	maxColumns = 140 // of a line; a tab takes four
)

// TestShape: no file that is built is longer than anybody reads, no function longer
// than a screen, and no line wider. Wide tables of tests may stay what they are.
func TestShape(t *testing.T) {
	for _, s := range sources(t) {
		text, err := os.ReadFile(s.file)
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(text, []byte("\n")); lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: what in it can stand alone?", s.file, lines, maxLines)
		}
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			if columns := len([]rune(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    "))); columns > maxColumns {
				t.Errorf("%s:%d has %d columns, more than %d", s.file, number, columns, maxColumns)
			}
		}
		longFunctions(t, s.file, text)
	}
}

func longFunctions(t *testing.T, file string, text []byte) {
	t.Helper()
	files := token.NewFileSet()
	syntax, err := parser.ParseFile(files, file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, declared := range syntax.Decls {
		f, is := declared.(*ast.FuncDecl)
		if !is || f.Body == nil {
			continue
		}
		if lines := files.Position(f.Body.Rbrace).Line - files.Position(f.Body.Lbrace).Line - 1; lines > maxFunc {
			t.Errorf("%s: %s has %d lines, more than %d: what does it do in two steps?", file, f.Name.Name, lines, maxFunc)
		}
	}
}
