package pldns_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"testing"
)

// saysWhen are the words by which a comment says when there is an error, or that there
// never is one.
var saysWhen = regexp.MustCompile(`(?i)\berrors?\b|\bfails?\b|\brefuse[sd]?\b|\bcannot\b|returns nil|\bErr[A-Z]|net\.ErrClosed|\bProblems\b|\bnil where\b|\bunless\b`)

// TestErrorsAreDocumented: who calls an exported function that returns an error can read
// when it does.
func TestErrorsAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, s.file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			f, is := declaration.(*ast.FuncDecl)
			if is && returnsError(f) && isExported(f) && !saysWhen.MatchString(f.Doc.Text()) {
				t.Errorf("%s: the comment of %s does not say when it returns an error", files.Position(f.Pos()), f.Name)
			}
		}
	}
}

// returnsError reports whether the last result of a function is an error.
func returnsError(f *ast.FuncDecl) bool {
	if f.Type.Results == nil {
		return false
	}
	last, is := f.Type.Results.List[len(f.Type.Results.List)-1].Type.(*ast.Ident)
	return is && last.Name == "error"
}

// isExported reports whether a function, and the type that it is a method of, can be
// used by other packages.
func isExported(f *ast.FuncDecl) bool {
	if !f.Name.IsExported() || f.Recv == nil {
		return f.Name.IsExported()
	}
	receiver := f.Recv.List[0].Type
	if pointer, is := receiver.(*ast.StarExpr); is {
		receiver = pointer.X
	}
	name, is := receiver.(*ast.Ident)
	return is && name.IsExported()
}
