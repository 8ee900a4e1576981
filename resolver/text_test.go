package resolver_test

import (
	"strings"
	"testing"

	"pldns/resolver"
)

func TestCleanText(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"no such host":                 "no such host",
		"naïve 名前":                     "naïve 名前",
		"\x1b]0;pwned\a\x1b[31mred":    `\x1b]0;pwned\a\x1b[31mred`,
		"one\r\ntwo\tthree":            `one\r\ntwo\tthree`,
		"\u202egnp.exe":                `\u202egnp.exe`,
		"a\u0085b\u2028c\u200bd\ufeff": `a\u0085b\u2028c\u200bd\ufeff`,
		"bad \xff\xc3 octets":          `bad \xff\xc3 octets`,
		"\u009b31m":                    `\u009b31m`,
		strings.Repeat("x", 30):        strings.Repeat("x", 20) + "...",
		strings.Repeat("\x00", 1000):   strings.Repeat(`\x00`, 5) + "...",
	} {
		if got := resolver.CleanText(text, 20); len(text) <= 20 && len(got) <= 20 && got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		} else if len(got) > 20+len(`\U0010ffff...`) {
			t.Errorf("%q becomes %q, which is too long", text, got)
		}
		if got := resolver.CleanText(text, 200); len(text) <= 30 && want[max(0, len(want)-3):] != "..." && got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
