package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// unknownKey is the fault of a key that nobody reads, with the known key that is
// likely meant, or all of them.
func unknownKey(key string, known []string) *fault {
	if meant := nearest(key, known); meant != "" {
		return &fault{"unknown key", "write " + meant}
	}
	return &fault{"unknown key", "remove it; the keys here are " + listing(known)}
}

// nearest finds the known word that is likely meant: the same but for letter case,
// the same but for one or a few letters, or one with this as its beginning.
func nearest(word string, known []string) string {
	best, least := "", len(word)/3+1
	for _, candidate := range known {
		if strings.EqualFold(word, candidate) {
			return candidate
		}
		if distance := editDistance(strings.ToLower(word), candidate); distance < least {
			best, least = candidate, distance
		}
	}
	if best != "" || len(word) < 3 {
		return best
	}
	for _, candidate := range known {
		if strings.HasPrefix(candidate, strings.ToLower(word)) {
			return candidate
		}
	}
	return ""
}

// editDistance counts the letters to insert, remove or replace between two words.
// Words of more than 64 letters are nobody's typing error.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// listing writes words as people do: a, b and c.
func listing(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// labelFault refuses what is no name of a network, a set or a group: such names
// stand in metrics, URLs and messages.
func labelFault(name, what string) *fault {
	if bare(name) && len(name) <= maxLabel {
		return nil
	}
	return faultf("use up to 63 letters, digits, hyphens and underscores", "%q is no name for %s", name, what)
}

// unquoted gives the names that somebody wrote without quotes, which TOML takes
// for tables in tables: mydb.database.windows.net = "10.0.0.4". It gives none for
// a value that is no table, or one that holds a key that is known there.
func unquoted(key string, value any, known ...string) []string {
	inner, is := value.(map[string]any)
	if !is || strings.Contains(key, ".") {
		return nil
	}
	var names []string
	collectUnquoted(key, inner, known, &names)
	return names
}

func collectUnquoted(path string, inner map[string]any, known []string, names *[]string) {
	keys := slices.Sorted(maps.Keys(inner))
	for _, key := range keys {
		if nearest(key, known) != "" {
			if strings.Contains(path, ".") {
				*names = append(*names, path)
			}
			return
		}
	}
	for _, key := range keys {
		name := path + "." + key
		if below, is := inner[key].(map[string]any); is {
			collectUnquoted(name, below, known, names)
			continue
		}
		*names = append(*names, name)
	}
}

// unquotedFault says how such names are written.
func unquotedFault(names []string) *fault {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	return &fault{"is a name without quotes, which TOML takes for tables in tables", "write " + listing(quoted)}
}
