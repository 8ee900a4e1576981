package tomlfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pldns/config/internal/tomlfile"
)

// TestKeyLines shows where keys and elements of lists are found.
func TestKeyLines(t *testing.T) {
	document := "# a comment with [brackets] and = signs\n" + strings.Join([]string{
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
		"[[list]]",
		"when = 1979-05-28 07:32:00",
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
		`list[0]`:                                     15,
		`list[0].when`:                                16,
		`list[1]`:                                     17,
		`list[1].when`:                                18,
		`networks.europe."the key that is not there"`: 3,
		`nothing."is there"`:                          0,
	}
	if _, faults := tomlfile.Decode(document); len(faults) > 0 {
		t.Fatal(faults)
	}
	lines := tomlfile.NewLines(document)
	for key, line := range want {
		if got := lines.Line(key); got != line {
			t.Errorf("%s is at line %d, want %d", key, got, line)
		}
	}
	for key := range lines {
		if _, expected := want[key]; !expected {
			t.Errorf("%s at line %d is no key", key, lines[key])
		}
	}
}

// FuzzLines shows that every key that is read has a line, and that all statements
// of a file are found.
func FuzzLines(f *testing.F) {
	files, err := filepath.Glob("../../testdata/*/*.toml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, text := range structures() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := tomlfile.NewLines(text)
		statements := tomlfile.Statements(text)
		values, faults := tomlfile.Decode(text)
		if len(faults) > 0 {
			return
		}
		last := strings.Count(text, "\n") + 1
		if last < 64 {
			haveLines(t, "", values, lines, last)
		}
		end := 0
		for _, s := range statements {
			if s.Start < end || s.End <= s.Start || s.Line < 1 || s.Line > last {
				t.Fatalf("%q: statement %+v behind %d", text, s, end)
			}
			end = s.End
		}
	})
}

// haveLines shows that all keys of a table, and of the tables in it, have a line.
func haveLines(t *testing.T, path string, values map[string]any, lines tomlfile.Lines, last int) {
	for key, value := range values {
		key = tomlfile.Join(path, key)
		if line := lines.Line(key); line < 1 || line > last {
			t.Errorf("%s is at line %d of %d", key, line, last)
		}
		if inner, is := value.(map[string]any); is {
			haveLines(t, key, inner, lines, last)
		}
	}
}
