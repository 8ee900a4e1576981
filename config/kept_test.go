package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pldns/config"
)

// A policy whose files are what they were is not read anew, and what there is to say of them
// is said again; whatever changes about it, it is.
func TestPoliciesAreKept(t *testing.T) {
	const text = `
[policy.corp]
files = ["corp.d/*.txt"]
[policy.ads]
files = ["ads.txt"]
[networks.hub]
clients = ["10.0.0.0/16"]
policy = ["corp", "ads"]
`
	main := write(t, map[string]string{"pldns.toml": text, "corp.d/a.txt": "bad.example\n/pattern/\n", "ads.txt": "ads.example\n"})
	dir, long := filepath.Dir(main), time.Now().Add(-time.Hour)
	change := func(name, text string, at time.Time) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	change("corp.d/a.txt", "bad.example\n/pattern/\n", long)
	change("ads.txt", "ads.example\n", long)
	kept := new(config.Memory)
	load := func() *config.Config {
		t.Helper()
		c, err := kept.LoadWith(main, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := load()
	for _, step := range []struct {
		what   string
		change func()
		read   string // the policies that are read anew
	}{
		{"nothing", func() {}, ""},
		{"the main file", func() { change("pldns.toml", text+"[networks.other]\nclients = [\"10.1.0.0/16\"]\n", time.Now()) }, ""},
		{"the time of a file", func() { change("ads.txt", "ads.example\n", long.Add(time.Second)) }, "ads"},
		{"its size", func() { change("ads.txt", "ads.example\nmore.example\n", long.Add(time.Second)) }, "ads"},
		{"its inode", func() {
			change("next", "asd.example\nmore.example\n", long.Add(time.Second))
			if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "ads.txt")); err != nil {
				t.Fatal(err)
			}
		}, "ads"},
		{"a further file", func() { change("corp.d/b.txt", "worse.example\n", long) }, "corp"},
		{"what is done", func() {
			change("pldns.toml", strings.Replace(text, "[policy.ads]", "[policy.ads]\naction = \"log\"", 1), time.Now())
		}, "ads"},
		{"a file just now", func() { change("ads.txt", "new.example\n", time.Now()) }, "ads"},
		{"nothing, but that was just now", func() {}, "ads"},
		{"that it was just now", func() { change("ads.txt", "new.example\n", long.Add(time.Minute)) }, "ads"},
		{"nothing again", func() {}, ""},
	} {
		step.change()
		after := load()
		var read []string
		for i, p := range after.Policies() {
			if p != before.Policies()[i] {
				read = append(read, p.Name())
			}
		}
		if got := strings.Join(read, " "); got != step.read {
			t.Errorf("%s has changed: %q is read anew, want %q", step.what, got, step.read)
		}
		if warnings := after.Warnings.Error(); !strings.Contains(warnings, "by pattern") && !strings.Contains(warnings, "/pattern/") {
			t.Errorf("%s has changed: what is left out is not told: %s", step.what, warnings)
		}
		before = after
	}
	change("ads.txt", "<html>\n", long)
	if _, err := kept.LoadWith(main, nil); err == nil {
		t.Error("a file that is none is taken")
	}
}
