package main

import (
	"bytes"
	"crypto/rand"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pldns/config"
	"pldns/resolver/resolvertest"
)

// block is a fenced block of a document.
type block struct {
	file, language, text string
	line                 int
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// blocks are all fenced blocks of all documents of the project.
func blocks(t *testing.T) []block {
	t.Helper()
	var found []block
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && strings.HasPrefix(entry.Name(), ".git") {
			return err
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, at := range fence.FindAllSubmatchIndex(text, -1) {
			found = append(found, block{
				file: strings.TrimPrefix(path, root+string(filepath.Separator)), language: string(text[at[2]:at[3]]),
				text: string(text[at[4]:at[5]]), line: 1 + bytes.Count(text[:at[0]], []byte("\n")),
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("found no documents")
	}
	return found
}

// Every block of the documents holds what it says. A toml block is a configuration
// that can be served, under the name in its first line, for the blocks after it in
// the same document; one whose name has a folder is a part of those after it, and so
// is a block of hosts, a list or a zone. A console block is a transcript: its commands print what stands
// after them.
func TestDocuments(t *testing.T) {
	t.Setenv("PLDNS_CONFIG", "")
	dir, file := "", ""
	for _, b := range blocks(t) {
		if b.file != file {
			file, dir = b.file, t.TempDir()
			authority := resolvertest.NewAuthority(t) // of what examples name
			writeKeys(t, dir, authority, "dns.contoso.net", "10.0.0.4")
			writeSecret(t, filepath.Join(dir, "transfer.key"))
			writePair(t, filepath.Join(dir, "fabrikam.crt"), filepath.Join(dir, "fabrikam.key"), authority.Certificate(t, "fabrikam.dns.contoso.net"))
		}
		t.Run(b.file+":"+b.language, func(t *testing.T) {
			switch b.language {
			case "toml":
				checkTOML(t, dir, b)
			case "hosts", "list", "zone":
				writeBlock(t, dir, b)
			case "console":
				checkTranscript(t, dir, b)
			case "sh":
				checkCommands(t, b)
			case "named", "knot", "nsd":
				checkOfOthers(t, b)
			default:
				t.Errorf("%s:%d: no test knows what a block of %q is", b.file, b.line, b.language)
			}
		})
	}
}

// writeSecret writes a secret for TSIG.
func writeSecret(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(rand.Text()+rand.Text()[:22]), 0o600); err != nil {
		t.Fatal(err)
	}
}

func checkTOML(t *testing.T, dir string, b block) {
	name := writeBlock(t, dir, b)
	if strings.Contains(name, "/") {
		return
	}
	if _, err := config.Parse(b.file, []byte(b.text), os.DirFS(dir)); err != nil {
		t.Errorf("%s:%d: %v", b.file, b.line, err)
	}
}

// writeBlock writes a block under the name in its first line; empty where it has none.
func writeBlock(t *testing.T, dir string, b block) string {
	title := fileTitle.FindStringSubmatch(b.text)
	if title == nil {
		return ""
	}
	path := filepath.Join(dir, filepath.FromSlash(title[1]))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
		t.Fatal(err)
	}
	return title[1]
}

var fileTitle = regexp.MustCompile(`\A[#;] (\S+\.(?:toml|hosts|txt|rpz))\n`)

// checkTranscript runs the lines that begin with "$ pldns " and compares what is
// printed with the lines up to the next of them.
func checkTranscript(t *testing.T, dir string, b block) {
	t.Chdir(dir)
	for _, part := range strings.Split("\n"+b.text, "\n$ ")[1:] {
		line, want, _ := strings.Cut(part, "\n")
		args := strings.Fields(line)
		if args[0] != "pldns" {
			t.Errorf("%s:%d: no test runs %q", b.file, b.line, line)
			continue
		}
		var out bytes.Buffer
		run(t.Context(), args[1:], &out, &out)
		if got := strings.TrimRight(out.String(), "\n"); got != strings.TrimRight(want, "\n") {
			t.Errorf("%s:%d: %s\nprints:\n%s\nthe document says:\n%s", b.file, b.line, line, got, want)
		}
	}
}

// checkOfOthers checks that the server which a block is for takes it.
func checkOfOthers(t *testing.T, b block) {
	file := filepath.Join(t.TempDir(), "of."+b.language)
	if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := map[string][]string{
		"named": {"named-checkconf", file}, "knot": {"knotc", "-c", file, "conf-check"}, "nsd": {"nsd-checkconf", file},
	}[b.language]
	command[0] = find(t, command[0])
	if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s:%d: %s: %v\n%s", b.file, b.line, command[0], err, out)
	}
}

var (
	makeTarget = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	comment    = regexp.MustCompile(`\s+#.*`)
)

// checkCommands checks that the commands of a block exist, with the flags that
// are shown: what make runs is run by whoever runs these tests.
func checkCommands(t *testing.T, b block) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := make(map[string]bool)
	for _, match := range makeTarget.FindAllSubmatch(makefile, -1) {
		targets[string(match[1])] = true
	}
	for line := range strings.Lines(b.text) {
		words := strings.Fields(comment.ReplaceAllString(line, ""))
		switch {
		case len(words) == 0:
		case words[0] == "make" && len(words) == 2 && targets[words[1]]:
		case words[0] == "pldns":
			checkUsage(t, b, words)
		default:
			t.Errorf("%s:%d: no test knows %q", b.file, b.line, line)
		}
	}
}

var flag = regexp.MustCompile(`--?[a-z]+`)

// checkUsage checks that help knows the command and every flag.
func checkUsage(t *testing.T, b block, words []string) {
	var help bytes.Buffer
	if code := run(t.Context(), []string{"help", words[1]}, &help, &help); code != exitFine || !strings.Contains(help.String(), "pldns "+words[1]) {
		t.Errorf("%s:%d: there is no command %s", b.file, b.line, words[1])
	}
	if len(words) > 2 && strings.Contains(help.String(), "\n  "+words[2]+" ") { // it has commands of its own
		run(t.Context(), []string{"help", words[1], words[2]}, &help, &help)
	}
	for _, name := range flag.FindAllString(strings.Join(words[2:], " "), -1) {
		if !strings.Contains(help.String(), name) {
			t.Errorf("%s:%d: pldns %s has no flag %s", b.file, b.line, words[1], name)
		}
	}
}
