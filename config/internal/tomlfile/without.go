package tomlfile

import (
	"slices"
	"strings"
)

// Without is a text that is TOML without what is at some key paths, such as "listen" or
// "traffic.state". Their lines are empty, so that all others keep their numbers. A key
// within an inline table stays.
func Without(text string, keys ...string) string {
	var kept strings.Builder
	from := 0
	for _, s := range Statements(text) {
		if !slices.ContainsFunc(keys, s.under) {
			continue
		}
		kept.WriteString(text[from:s.Start])
		kept.WriteString(strings.Repeat("\n", strings.Count(text[s.Start:s.End], "\n")))
		from = s.End
	}
	kept.WriteString(text[from:])
	return kept.String()
}

// under tells whether the statement is about what is at a key path, or below it.
func (s Statement) under(path string) bool {
	parts := strings.Split(path, ".")
	return len(parts) <= len(s.Path) && slices.Equal(parts, s.Path[:len(parts)])
}
