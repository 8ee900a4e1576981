package pldns_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "pldns/"

// source is a file that is built into a program, on whatever system.
type source struct {
	file    string // its path in the repository
	folder  string // of its package; "." for the root
	imports []string
	syntax  *ast.File
}

// sources reads every Go file that is no test.
func sources(t *testing.T) (all []source) {
	t.Helper()
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "testdata" || name == "vendor" || name != "." && strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		syntax, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s := source{file: filepath.ToSlash(file), folder: path.Dir(filepath.ToSlash(file)), syntax: syntax}
		for _, spec := range syntax.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imported)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// below tells whether a package is in one of the folders.
func below(pkg string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") })
}

// forbidden says why a package must not import another; empty if it may. Packages of
// this module are named by their folders.
func forbidden(from, to string) string {
	switch {
	case strings.HasPrefix(to, "github.com/prometheus/"):
		if from != "resolver/metrics" {
			return "only resolver/metrics knows Prometheus"
		}
	case strings.HasPrefix(to, "go.opentelemetry.io/contrib/bridges/prometheus"):
		if from != "resolver/metrics" {
			return "only resolver/metrics knows Prometheus"
		}
	case strings.HasPrefix(to, "github.com/Azure/"):
		if from != "config/azuregraph" {
			return "only config/azuregraph knows the SDK of Azure"
		}
	case strings.HasPrefix(to, "go.etcd.io/"), strings.HasPrefix(to, "google.golang.org/grpc"):
		if !below(from, "config/store") {
			return "only config/store knows etcd"
		}
	case below(to, "cmd") && !below(from, "cmd"):
		return "nothing imports the commands"
	case below(from, "zones") && below(to, "config", "resolver", "deploy"):
		return "zones is a pure value: what it is read from, and what serves it, is none of its business"
	case below(from, "config") && below(to, "resolver"):
		return "settings become running parts in cmd/internal/daemon only"
	case below(from, "resolver") && below(to, "config"):
		return "the parts of a server are made of values, not of settings: cmd/internal/daemon turns one into the other"
	case below(from, "zones", "config", "resolver", "cmd") && below(to, "deploy"):
		return "deploy is what an operator applies"
	case below(from, "cmd/pldns") && below(to, "resolver") && to != "resolver" && to != "resolver/admin":
		return "a command knows explanations and the pages of operators; the parts of a server are put together in cmd/internal/daemon"
	}
	return ""
}

// TestImports holds the packages to their directions: cmd, resolver, zones, each may
// look down; config and resolver never see each other.
func TestImports(t *testing.T) {
	both := make(map[string][2]bool) // by folder: sees config, sees resolver
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			to := strings.TrimPrefix(imported, module)
			if why := forbidden(s.folder, to); why != "" {
				t.Errorf("%s imports %s: %s", s.file, imported, why)
			}
			sees := both[s.folder]
			both[s.folder] = [2]bool{sees[0] || below(to, "config"), sees[1] || below(to, "resolver")}
		}
	}
	for folder, sees := range both {
		if sees[0] && sees[1] && folder != "cmd/internal/daemon" && folder != "cmd/pldns" {
			t.Errorf("%s imports config and resolver: only cmd/internal/daemon puts them together", folder)
		}
	}
}

// TestNoHiddenStart: nothing runs before main, and every package has a name that says
// what it is for.
func TestNoHiddenStart(t *testing.T) {
	for _, s := range sources(t) {
		if name := s.syntax.Name.Name; slices.Contains([]string{"util", "utils", "common", "misc", "helpers"}, name) {
			t.Errorf("%s: package %s does not say what is in it: name it by what it is for", s.file, name)
		}
		for _, declared := range s.syntax.Decls {
			if f, is := declared.(*ast.FuncDecl); is && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function: call it from where it is needed", s.file)
			}
		}
	}
}

// TestForbidden: the rules see a breach, and nothing where there is none.
func TestForbidden(t *testing.T) {
	for _, row := range []struct {
		from, to string
		want     bool
	}{
		{"config", "resolver", true},
		{"config/azureimport", "resolver/admin", true},
		{"resolver/listen", "config", true},
		{"zones", "config", true},
		{"zones/azure", "resolver", true},
		{"resolver/cache", "cmd/internal/daemon", true},
		{"resolver/admin", "github.com/prometheus/client_golang/prometheus", true},
		{"cmd/pldns", "resolver/listen", true},
		{"config/azurediscovery", "github.com/Azure/azure-sdk-for-go/sdk/azidentity", true},
		{"config/azurediscovery", "resolver", true},
		{"cmd/internal/daemon", "go.etcd.io/etcd/client/v3", true},
		{"config/store", "go.etcd.io/etcd/client/v3", false},
		{"config/azuregraph", "github.com/Azure/azure-sdk-for-go/sdk/azidentity", false},
		{"resolver/metrics", "github.com/prometheus/client_golang/prometheus", false},
		{"cmd/internal/daemon", "config", false},
		{"cmd/internal/daemon", "resolver/forward", false},
		{"cmd/pldns", "resolver/admin", false},
		{"config", "zones", false},
		{"resolver/listen", "resolver", false},
	} {
		if got := forbidden(row.from, row.to) != ""; got != row.want {
			t.Errorf("%s imports %s: forbidden is %v, want %v", row.from, row.to, got, row.want)
		}
	}
}
