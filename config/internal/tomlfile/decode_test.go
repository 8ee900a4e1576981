package tomlfile_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pldns/config/internal/tomlfile"
)

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
		"a = [1, \"b\", [2, {c = 3}], # end\n]", "a = [,]", "a = [1 2]", "a = {b = 1,}", "a = {\nb = 1\n}", "a = b",
		"a 1", "= 1", "[a", "[[a]", "[]",
		"a = 1 b = 2", "a = 1\r\nb = 2", "a = 1\rb = 2", "a = 1 # c\x00", "\xe9 = 1", "a = '\x7f'", "a = [\n 1,\n [2,\n 3]\n , 4 ]\nb = 1",
	}
}

// TestFaults shows what is said of files that are no TOML: all keys that are given
// twice with both places, and the line and key where it ceases to be TOML.
func TestFaults(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"a = 1\nb = 2\na = 3\nb = [\n4,\n]\nc = 1\nc = 2",
			"3 a: is given twice; the other place is line 1\n4 b: is given twice; the other place is line 2\n" +
				"8 c: is given twice; the other place is line 7\n"},
		{"[a]\nx = 1\n[a]\nx = 1\nz = 2\n[b]\ny = 1\ny = 2",
			"3 a: is given twice; the other place is line 1\n8 b.y: is given twice; the other place is line 7\n"},
		{"a = 1\na.b = 2", "2 a: is given twice; the other place is line 1\n"},
		{"[a]\n[[a]]", "2 a: is given twice; the other place is line 1\n"},
		{"[[a]]\nb = 1\n[[a]]\nb = 1\nb = 2", "5 a[1].b: is given twice; the other place is line 4\n"},
		{"[a]\nb = { c = 1, c = 2 }", "2 a.b.c: is given twice\n"},
		{"\xef\xbb\xbfa = 1\r\na = 2\r\n", "2 a: is given twice; the other place is line 1\n"},
		{"[a]\nb = 1\nb = 2\nc = d\n", "3 a.b: is given twice; the other place is line 2\n" +
			"4 a.c: is no TOML at column 5: expected value but found \"d\" instead\n"},
		{"[a.\"b.c\"]\nd = [\n  1,\n  x,\n]", "4 a.\"b.c\".d: is no TOML at column 3: expected value but found \"x\" instead\n"},
		{"a = 1\n\x7f = 2", "2 : is no TOML at column 1: TOML files cannot contain control characters: '0x7f'\n"},
		{"a = \"\"\"\nb",
			"2 a: is no TOML at column 1: unexpected EOF; expected '\"\"\"'\n"},
	} {
		values, faults := tomlfile.Decode(test.text)
		got := ""
		for _, f := range faults {
			got += fmt.Sprintf("%d %s: %s\n", f.Line, f.Key, f.Text)
			if f.Remedy == "" {
				t.Errorf("%q: no remedy in %+v", test.text, f)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" || values != nil {
			t.Errorf("%q gives %v, faults (-want +got):\n%s", test.text, values, diff)
		}
	}
}

// TestElements shows the lines of the elements of lists, however they are written.
func TestElements(t *testing.T) {
	text := strings.Join([]string{
		`a = [ # first`, `  "]",`, ``, `  # "no element",`, `  "x" # no comma`, `  , [1,`, `  2], """`, `]`, `""",`, `  { y = 1 }, 'z',`, `] # end`,
		`[[l]]`, `b = [`, `1`, `,2 ]`, `[[l]]`, `b = [`, `1]`, `c = {`, `d = 1,`, `e = 2 }`,
	}, "\r\n")
	want := tomlfile.Lines{
		`a`: 1, `a[0]`: 2, `a[1]`: 5, `a[2]`: 6, `a[3]`: 6, `a[4]`: 10, `a[5]`: 10,
		`l`: 12, `l[0]`: 12, `l[0].b`: 13, `l[0].b[0]`: 14, `l[0].b[1]`: 15, `l[1]`: 16, `l[1].b`: 17, `l[1].b[0]`: 18,
		`l[1].c`: 19, `l[1].c.d`: 20, `l[1].c.e`: 21,
	}
	if diff := cmp.Diff(want, tomlfile.NewLines(text)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// hostile are files that are made to take long, each about as long as it says.
func hostile(size int) map[string]string {
	lines := func(form string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, form, i)
		}
		return b.String()
	}
	few := func(text string) string { return strings.Repeat(text, size/len(text)) }
	return map[string]string{
		"keys":                  lines("k%d = 1\n"),
		"headers":               lines("[t%d]\n"),
		"lists of tables":       few("[[t]]\na = 1\n"),
		"dotted key":            few("a.") + "a = 1",
		"dotted header":         "[" + few("a.") + "a]",
		"dotted quoted key":     few("'.'. ") + "a = 1",
		"dotted key in braces":  "x = { \"\\\"\" = 1, " + few("a.") + "a = 1 }",
		"dotted keys":           lines("a.b.c.d.e.f.g.h.k%d = 1\n"),
		"open lists":            "a = " + few("["),
		"lists in lists":        "a = " + few("[") + few("]"),
		"lists by lines":        "a = " + few("[\n") + few("]\n"),
		"braces in braces":      "a = " + few("{a=") + "1" + few("}"),
		"lists behind brackets": "a = [" + few("']',['''\n]]\n''', ["),
		"one list":              "a = [\n" + few("1,\n") + "x]",
		"one line":              "a = [" + few("'x', ") + "x]",
		"text of many lines":    "a = '''\n" + few("x\n") + "'''\nb = c",
		"text without end":      "a = \"\"\"" + few("\\\"x\n"),
		"texts of many lines":   few("'''\n") + "b = c",
		"same key":              few("a = 1\n"),
		"same header":           few("[a]\n"),
		"same keys":             lines("k%d = 1\n") + lines("k%d = 2\n"),
		"tables of many lines":  "a = {\n" + lines("k%d = 1,\n") + "}\nb = c",
		"comments":              few("# x\n") + "b = c",
		"empty lines":           few("\n") + "b = c",
	}
}

// TestHostileFiles shows that no file takes the time of the square of its length, or
// more of the stack than there is: none takes a thousand times what a plain one of
// the same length does, where the square would be many thousands.
func TestHostileFiles(t *testing.T) {
	files := hostile(1 << 15)
	plain := time.Duration(math.MaxInt64)
	for range 3 {
		begin := time.Now()
		tomlfile.Decode(files["keys"])
		plain = min(plain, time.Since(begin))
	}
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, faults := tomlfile.Decode(text)
			lines := tomlfile.NewLines(text)
			took := time.Since(begin)
			t.Logf("%d octets: %d faults, %d lines, %.1f times a plain file", len(text), len(faults), len(lines), took.Seconds()/plain.Seconds())
			for _, f := range faults {
				if f.Text == "" || f.Remedy == "" || len(f.Text) > 1000 {
					t.Errorf("fault %.2000v", f)
				}
			}
			if took > 1000*plain {
				t.Errorf("takes %v, and a plain file %v", took, plain)
			}
		})
	}
}

// FuzzDecode shows that every text is read or refused, with a line and a remedy.
func FuzzDecode(f *testing.F) {
	for _, text := range structures() {
		f.Add(text)
	}
	for _, text := range hostile(200) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, faults := tomlfile.Decode(text)
		if (values == nil) == (len(faults) == 0) {
			t.Fatalf("%q gives %v and %v", text, values, faults)
		}
		for _, fault := range faults {
			if fault.Text == "" || fault.Remedy == "" || fault.Line > strings.Count(text, "\n")+1 {
				t.Errorf("%q: %+v", text, fault)
			}
		}
		if depth := depthOf(values); depth > 64 {
			t.Errorf("%q is %d deep", text, depth)
		}
	})
}

// depthOf is how deep values are nested in each other.
func depthOf(value any) int {
	depth := 0
	switch value := value.(type) {
	case map[string]any:
		for _, inner := range value {
			depth = max(depth, 1+depthOf(inner))
		}
	case []map[string]any:
		for _, inner := range value {
			depth = max(depth, 1+depthOf(inner))
		}
	case []any:
		for _, inner := range value {
			depth = max(depth, 1+depthOf(inner))
		}
	}
	return depth
}
