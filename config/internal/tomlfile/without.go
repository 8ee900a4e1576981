package tomlfile

import (
	"slices"
	"strings"
)

// Without is a text that is TOML without the tables at some top-level keys. Their lines
// are empty, so that all others keep their numbers.
func Without(text string, keys ...string) string {
	var kept strings.Builder
	from := 0
	for _, s := range Statements(text) {
		if !slices.Contains(keys, s.Path[0]) {
			continue
		}
		kept.WriteString(text[from:s.Start])
		kept.WriteString(strings.Repeat("\n", strings.Count(text[s.Start:s.End], "\n")))
		from = s.End
	}
	kept.WriteString(text[from:])
	return kept.String()
}
