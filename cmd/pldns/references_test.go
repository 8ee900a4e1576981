package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// eachFile calls do with every text of the project, by its path from the root.
func eachFile(t *testing.T, do func(path, text string)) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if slices.Contains([]string{".git", "artefacts", "bin", "dist"}, filepath.ToSlash(name)) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil // .git is a file in a work tree
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			do(filepath.ToSlash(name), string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a comment or a page refers to can be read by everybody who has the project:
// no paper that is not in it is cited, and no path leads out of it. The scripts of
// .ci may use what stands beside the project, because they do without it, too.
func TestNothingOutsideIsCited(t *testing.T) {
	outside := map[string]struct {
		word    string // which most files do not have: it is found sooner than the pattern
		pattern *regexp.Regexp
	}{
		"a paper that is not here":         {"DESIG" + "N", regexp.MustCompile(`\bDESIG` + `N\b`)},
		"a folder that is not the project": {"shar" + "ed/", regexp.MustCompile(`(?:\.\./|/work/)shar` + `ed/`)},
	}
	eachFile(t, func(path, text string) {
		for what, place := range outside {
			if !strings.Contains(text, place.word) {
				continue
			}
			at := place.pattern.FindStringIndex(text)
			if at != nil && !strings.HasPrefix(path, ".ci/") {
				t.Errorf("%s:%d: cites %s: %q", path, 1+strings.Count(text[:at[0]], "\n"), what, text[at[0]:at[1]])
			}
		}
	})
}

var (
	// named is a path from the root, with or without a file at its end.
	named = regexp.MustCompile(`(?:\b(?:cmd|config|deploy|resolver|zones)|\.ci)(?:/[\w.-]+)+`)
	// bare is a file of Go without a folder.
	bare = regexp.MustCompile("`(\\w+\\.go)`")
	// rule is the head of a numbered rule, and cited a reference to some of them.
	rule  = regexp.MustCompile(`(?m)^(\d+)\. \*\*`)
	cited = regexp.MustCompile(`ARCHITECTURE\.md, rules? (\d+)(?:(?:,| and) (\d+))*`)
)

// The pages for those who work on the project name files and folders that exist.
func TestNamedFilesExist(t *testing.T) {
	for _, page := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", page))
		if err != nil {
			t.Fatal(err)
		}
		paths := named.FindAllString(string(text), -1)
		for _, file := range bare.FindAllStringSubmatch(string(text), -1) {
			paths = append(paths, file[1])
		}
		for _, path := range paths {
			path = strings.TrimRight(path, ".")
			if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(path))); err != nil {
				t.Errorf("%s names %s: %v", page, path, err)
			}
		}
	}
}

// Who cites a rule of ARCHITECTURE.md cites one that is there, and the rules are
// counted without a gap, so that a citation stays true when one is added.
func TestCitedRulesExist(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, match := range rule.FindAllStringSubmatch(string(page), -1) {
		if rules++; match[1] != strconv.Itoa(rules) {
			t.Errorf("ARCHITECTURE.md: rule %s stands where rule %d should", match[1], rules)
		}
	}
	citations := 0
	eachFile(t, func(path, text string) {
		for _, match := range cited.FindAllString(text, -1) {
			for _, number := range regexp.MustCompile(`\d+`).FindAllString(match, -1) {
				citations++
				if n, err := strconv.Atoi(number); err != nil || n < 1 || n > rules {
					t.Errorf("%s cites rule %s of ARCHITECTURE.md, which has %d", path, number, rules)
				}
			}
		}
	})
	if rules == 0 || citations == 0 {
		t.Errorf("found %d rules and %d citations", rules, citations)
	}
}

// make help lists every target that somebody may call, with what it does.
func TestMakeHelp(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "make", "-s", "-C", filepath.Join("..", ".."), "help")
	command.Env = append(os.Environ(), "MAKEFLAGS=")
	help, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("make help: %v\n%s", err, help)
	}
	targets := regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):(?:[^=\n]*?)(?:## (.*))?$`).FindAllStringSubmatch(string(makefile), -1)
	if len(targets) == 0 {
		t.Fatal("the Makefile has no targets")
	}
	for _, target := range targets {
		listed := regexp.MustCompile(`(?m)^` + target[1] + ` +` + regexp.QuoteMeta(target[2]) + `$`)
		if target[2] == "" || !listed.Match(help) {
			t.Errorf("make help does not say what %s does; it prints:\n%s", target[1], help)
		}
	}
}
