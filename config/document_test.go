package config

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// FuzzTables holds what is read of a document against what the library makes of it,
// which takes too long for a large one: both refuse it, or both find the same in it.
func FuzzTables(f *testing.F) {
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
	for _, text := range structures() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Tables("fuzz.toml", data)
		var want map[string]any
		wantErr := toml.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &want)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: here %v, there %v", data, err, wantErr)
		}
		if err == nil && !alike(got, want) {
			t.Errorf("%q: here %v, there %v", data, got, want)
		}
	})
}

// structures are documents about what may stand beside what, good and bad.
func structures() []string {
	return []string{
		"\xef\xbb\xbfa = 1", "a = 1\na = 2", "a = 1\n\"\\u0061\" = 2", "a.b = 1\na.c = 2", "a = 1\na.b = 2", "a.b = 1\na = 2",
		"[a]\n[a]", "[a.b]\n[a]", "[a]\nb = 1\n[a.b]", "[a]\nb.c = 1\n[a.b]", "[a]\nb.c = 1\n[a.b.d]", "[a.b.c]\n[a]\nb.d = 1",
		"[[a]]\nb = 1\n[[a]]\nb = 2", "[[a]]\n[a]", "[a]\n[[a]]", "[a.b]\n[[a]]", "[[a]]\n[a.b]\nc = 1\n[[a]]\n[a.b]\nc = 2",
		"[[a]]\n[a.b]\n[a.b]", "[[a.b]]\n[a]\nb.c = 1", "a = []\n[[a]]", "a = [{}]\n[[a]]", "a = {}\n[a]", "a = {b = 1}\n[a.c]",
		"a = {b = 1}\na.c = 2", "a = {b.c = 1, b.d = 2}", "a = {b = 1, b = 2}", "a = {b = {c = 1}, b.d = 2}", "a = [{b = 1, b = 2}]",
		"[a]\nb = {c = 1}\n[a.b]", "[a]\nb = {c = 1}\n[a.b.d]", "a = 1\n[a.b]", "a.b = 1\n[a]", "a.b = 1\n[a.c]", "a.b = 1\n[[a.c]]",
		"[a.b]\n[a]\nc = 1\n[a.d]", "[[a.b]]\n[[a.b.c]]\n[[a.b]]\n[[a.b.c]]", "[a]\n\"b.c\" = 1\n'b' = 2\n3 = 4\n\"\" = 5",
		"a = 0x1f\nb = 0o17\nc = 0b1\nd = 1_000\ne = +1\nf = -0", "a = 9223372036854775808", "a = 01", "a = 1__0",
		"a = 1.5e3\nb = inf\nc = -nan\nd = 1_0.0_1", "a = 1e999", "a = 1.", "a = .5", "a = true\nb = false", "a = True",
		"a = 1979-05-27T07:32:00Z\nb = 1979-05-27 07:32:00.5\nc = 1979-05-27\nd = 07:32:00", "a = 1979-02-30", "a = 25:00:00",
		"a = \"\\t\\\"\\u00e9\\U0001F600\"\nb = 'c:\\d'\nc = \"\"\"\none \\\n  two\"\"\"\nd = '''\nit's'''", "a = \"\\q\"", "a = \"\n\"",
		"a = [1, \"b\", [2, {c = 3}], # end\n]", "a = [,]", "a = [1 2]", "a = {b = 1,}", "a = {\nb = 1\n}", "a = b", "a 1", "= 1", "[a", "[[a]", "[]",
		"a = 1 b = 2", "a = 1\r\nb = 2", "a = 1\rb = 2", "a = 1 # c\x00", "\xe9 = 1", "a = '\x7f'",
	}
}

// alike compares values, in which a number that is none equals itself.
func alike(a, b any) bool {
	switch b := b.(type) {
	case map[string]any:
		inner, is := a.(map[string]any)
		if !is || len(inner) != len(b) {
			return false
		}
		for key := range b {
			if _, there := inner[key]; !there || !alike(inner[key], b[key]) {
				return false
			}
		}
		return true
	case []any:
		list, is := a.([]any)
		if !is || len(list) != len(b) {
			return false
		}
		for i := range b {
			if !alike(list[i], b[i]) {
				return false
			}
		}
		return true
	case float64:
		number, is := a.(float64)
		return is && (number == b || math.IsNaN(number) && math.IsNaN(b))
	}
	return reflect.DeepEqual(a, b)
}
