package tomlfile_test

import (
	"strings"
	"testing"

	"pldns/config/internal/tomlfile"
)

// TestValue shows where the values of pairs begin and end, with their quotes and
// brackets.
func TestValue(t *testing.T) {
	for _, value := range []string{
		`"10.0.0.1"`, `""`, `"a \" # b"`, `'x'`, `''`, `'"'`, `"""a"""`, `""""""`, `""""a"""`, "'''\nit's''''", "\"\"\"\r\nb\"\"\"",
		`[]`, `[ "]", ']' ]`, "[ # ]\r\n \"a\", # ]\r\n ]", `{}`, `{ a = "}", b = [1, {c = "}"}] }`, `{ a.b = ']' }`,
		`5`, `0x1f`, `true`, `1979-05-27 07:32:00`, `-inf`, `1.5`,
	} {
		for _, key := range []string{`a`, `"a.b".c`, `'=' `} {
			for _, behind := range []string{"", "\n", " # \"']}", "\t#\r\nb = 1\r\n"} {
				text := tomlMark + "\n[t]\nz = 1\n" + key + " =\t" + value + behind
				for _, s := range tomlfile.Statements(text) {
					if s.Header || s.Path[1] == "z" || s.Path[1] == "b" {
						continue
					}
					at, ok := s.Value(text)
					if !ok || text[at.Start:at.End] != value {
						t.Errorf("%q: the value is %q, %v", text, text[at.Start:at.End], ok)
					}
				}
			}
		}
	}
}

const tomlMark = "\xef\xbb\xbf"

// TestMember shows where the values in inline tables begin and end.
func TestMember(t *testing.T) {
	for _, value := range []string{`"10.0.0.1"`, `""`, `'x'`, `[ "a", ']}' ]`, `[["a"], ["b"]]`, `{ addresses = [] }`} {
		for _, form := range []string{"{ addresses = V }", "{ \"addresses\" = V, ttl = 5 }", "{ ttl = 5, probe = 'x = }', addresses =V}"} {
			text := "[t]\nx = " + strings.Replace(form, "V", value, 1) + " # addresses = 1\n"
			s := tomlfile.Statements(text)[1]
			at, ok := s.Member(text, "addresses")
			if !ok || text[at.Start:at.End] != value {
				t.Errorf("%q: the member is %q, %v", text, text[at.Start:at.End], ok)
			}
			if _, ok := s.Member(text, "nothing"); ok {
				t.Errorf("%q: a member that is not there", text)
			}
		}
	}
}
