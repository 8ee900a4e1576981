package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Every command that help shows has a manual page, with its purpose and every flag.
func TestEveryCommandHasAPage(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "man1")
	root := newRoot(new(bytes.Buffer), new(bytes.Buffer))
	root.SetArgs([]string{"man", "--into", folder})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	commands := documented(root)
	for _, command := range commands {
		text, err := os.ReadFile(filepath.Join(folder, manName(command)+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		page := string(text)
		want := []string{".TH ", ".SH NAME\n", `\- ` + roff(command.Short), ".SH SYNOPSIS\n", ".SH DESCRIPTION\n", ".SH EXIT STATUS\n"}
		command.LocalFlags().VisitAll(func(flag *pflag.Flag) { want = append(want, `\-\-`+roff(flag.Name)) })
		for _, part := range want {
			if !strings.Contains(page, part) {
				t.Errorf("the page of %s has no %q:\n%s", command.CommandPath(), part, page)
			}
		}
		for _, line := range strings.Split(page, "\n") {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !strings.HasPrefix(line, ".S") && !strings.HasPrefix(line, ".T") &&
				!strings.HasPrefix(line, ".B") && !strings.HasPrefix(line, ".I") && !strings.HasPrefix(line, ".PP") && line != ".nf" && line != ".fi" {
				t.Errorf("the page of %s has a line that is no text: %q", command.CommandPath(), line)
			}
		}
	}
	if len(commands) < 17 {
		t.Errorf("only %d commands have a page", len(commands))
	}
}

// The flag says what the command says.
func TestVersionFlag(t *testing.T) {
	said := make(map[string]string)
	for _, arg := range []string{"version", "--version"} {
		var out bytes.Buffer
		if code := run(t.Context(), []string{arg}, &out, &out); code != exitFine {
			t.Fatalf("pldns %s ends with %d: %s", arg, code, out.String())
		}
		said[arg] = out.String()
	}
	if said["version"] != said["--version"] || !strings.HasPrefix(said["version"], "pldns ") {
		t.Errorf("got %q", said)
	}
}

// Shells get scripts that complete by asking the program, which knows its commands,
// its flags, and the kinds that a command takes.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out, talk bytes.Buffer
		if code := run(t.Context(), []string{"completion", shell}, &out, &talk); code != exitFine || !strings.Contains(out.String(), "__complete") {
			t.Errorf("%s: %d, %s", shell, code, talk.String())
		}
	}
	for args, want := range map[string]string{
		"cl":                        "client-config",
		"doctor --ser":              "--server",
		"client-config nr":          "nrpt",
		"export bi":                 "bicep",
		"import window":             "windows-dns",
		"audit gra":                 "graph",
		"catalog di":                "diff",
		"explain example.com HTT":   "HTTPS",
		"catalog --cloud ch":        "china",
		"doctor --protocol post":    "postgres",
		"explain --config":          "--config",
		"completion z":              "zsh",
		"client-config nrpt --form": "--format",
	} {
		var out, talk bytes.Buffer
		if code := run(t.Context(), append([]string{"__complete"}, strings.Fields(args)...), &out, &talk); code != exitFine {
			t.Errorf("%s: %d, %s", args, code, talk.String())
		}
		if !slices.ContainsFunc(strings.Split(out.String(), "\n"), func(line string) bool { word, _, _ := strings.Cut(line, "\t"); return word == want }) {
			t.Errorf("%s is completed to %q, want %s", args, out.String(), want)
		}
	}
}
