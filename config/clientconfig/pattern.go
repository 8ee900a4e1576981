package clientconfig

import (
	"strings"

	"pldns/zones"
)

// The zones of the catalogue are patterns: a label such as {regionName} stands for
// any one label.

// isWord reports whether a label of a pattern is a placeholder.
func isWord(label string) bool { return strings.HasPrefix(label, "{") && strings.HasSuffix(label, "}") }

// capture gives what the placeholders of a pattern stand for in a zone; nil when
// the zone has another form.
func capture(pattern string, zone zones.Name) map[string]string {
	form, labels := strings.Split(pattern, "."), zone.Labels()
	if len(form) != len(labels) {
		return nil
	}
	words := make(map[string]string)
	for i, label := range form {
		switch {
		case isWord(label):
			words[label] = labels[i]
		case label != labels[i]:
			return nil
		}
	}
	return words
}

// covering finds the longest of the patterns that a name is below, with its
// placeholders filled from the name.
func covering(patterns []string, name zones.Name) (longest zones.Name, words map[string]string, found bool) {
	size := 0
	for _, pattern := range patterns {
		n := strings.Count(pattern, ".") + 1
		zone, ok := tail(name, n)
		if !ok || n <= size {
			continue
		}
		if w := capture(pattern, zone); w != nil {
			longest, words, found, size = zone, w, true, n
		}
	}
	return longest, words, found
}

// tail is the zone of n labels that a name is below.
func tail(name zones.Name, n int) (zones.Name, bool) {
	up := len(name.Labels()) - n
	if up < 1 {
		return zones.Name{}, false
	}
	for range up {
		name, _ = name.Parent()
	}
	return name, true
}

// fillAll puts words into patterns, and leaves out those that have others.
func fillAll(patterns []string, words map[string]string) []zones.Name {
	var filled []zones.Name
	for _, pattern := range patterns {
		labels := strings.Split(pattern, ".")
		complete := true
		for i, label := range labels {
			if isWord(label) {
				labels[i] = words[label]
				complete = complete && labels[i] != ""
			}
		}
		if name, err := zones.ParseName(strings.Join(labels, ".")); complete && err == nil {
			filled = append(filled, name)
		}
	}
	return filled
}
