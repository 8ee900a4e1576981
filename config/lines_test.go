package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// TestKeyLines shows where keys and elements of lists are found.
func TestKeyLines(t *testing.T) {
	document := "\xef\xbb\xbf# a comment with [brackets] and = signs\n" + strings.Join([]string{
		`top = 1`,
		`[networks.europe] # and another`,
		`clients = [ # of the hub`,
		`  "10.0.0.0/16", # first`,
		`  "a \"quoted\" ] # comment",`,
		`]`,
		`a."b.c".'d"e' = { x = 1, y = [ { z = 2 }, 3 ] }`,
		`text = """`,
		`[not.a.table]`,
		`key = "neither" \""" """`,
		"literal = '''",
		`it's ''''`,
		`"esc\u0061ped" = true`,
		"[[list]]",
		"when = 1979-05-27 07:32:00 # local",
		"",
	}, "\n")
	want := map[string]int{
		`top`:                                         2,
		`networks`:                                    3,
		`networks.europe`:                             3,
		`networks.europe.clients`:                     4,
		`networks.europe.clients[0]`:                  5,
		`networks.europe.clients[1]`:                  6,
		`networks.europe.a`:                           8,
		`networks.europe.a."b.c"`:                     8,
		`networks.europe.a."b.c"."d\"e"`:              8,
		`networks.europe.a."b.c"."d\"e".x`:            8,
		`networks.europe.a."b.c"."d\"e".y`:            8,
		`networks.europe.a."b.c"."d\"e".y[0]`:         8,
		`networks.europe.a."b.c"."d\"e".y[0].z`:       8,
		`networks.europe.a."b.c"."d\"e".y[1]`:         8,
		`networks.europe.text`:                        9,
		`networks.europe.literal`:                     12,
		`networks.europe.escaped`:                     14,
		`list`:                                        15,
		`list.when`:                                   16,
		`networks.europe."the key that is not there"`: 0,
	}
	var values map[string]any
	if _, err := toml.Decode(document, &values); err != nil {
		t.Fatal(err)
	}
	lines := keyLines([]byte(document))
	for key, line := range want {
		if lines[key] != line {
			t.Errorf("%s is at line %d, want %d", key, lines[key], line)
		}
	}
	for key := range lines {
		if _, expected := want[key]; !expected {
			t.Errorf("%s at line %d is no key", key, lines[key])
		}
	}
}

// FuzzKeyLines shows that every key that the TOML library finds has a line, and
// that the scanner comes to an end on anything.
func FuzzKeyLines(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.toml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := keyLines(data)
		var values map[string]any
		meta, err := toml.Decode(string(data), &values)
		if err != nil {
			return
		}
		last := strings.Count(string(data), "\n") + 1
		for _, key := range meta.Keys() {
			path := ""
			for _, part := range key {
				path = join(path, part)
			}
			if line := lines[path]; line < 1 || line > last {
				t.Errorf("%s is at line %d of %d", path, line, last)
			}
		}
	})
}
