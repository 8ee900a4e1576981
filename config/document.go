package config

import (
	"pldns/config/internal/tomlfile"
)

// document is one file: what it says, and where it says it.
type document struct {
	name  string
	rank  int // its place among the files, the main one first
	text  string
	lines tomlfile.Lines // made when the first fault is found
	// isHosts says that it is a hosts file, or one of a policy, of which nothing is kept.
	isHosts bool
}

// line is the line of a key path, or of what holds it; 0 when there is none, and for
// the file as a whole.
func (d *document) line(key string) int {
	if key == "" {
		return 0
	}
	if d.lines == nil {
		d.lines = tomlfile.NewLines(d.text)
	}
	return d.lines.Line(key)
}

// open enters a file and gives its root table; not ok when it is no TOML.
func (r *report) open(name string, data []byte) (table, bool) {
	document := &document{name: name, rank: len(r.documents), text: string(data)}
	r.documents[name] = document
	values, faults := tomlfile.Decode(document.text)
	for _, f := range faults {
		r.problems = append(r.problems, Problem{File: name, Line: f.Line, Key: f.Key, Text: f.Text, Remedy: f.Remedy})
	}
	return table{rep: r, file: name, values: values}, len(faults) == 0
}

// Tables reads a TOML file as what it is, without asking whether it is a
// configuration: tables are map[string]any, lists []any, lists of tables
// []map[string]any, whole numbers int64. The error is [Problems].
func Tables(name string, data []byte) (map[string]any, error) {
	rep := newReport()
	root, ok := rep.open(name, data)
	if !ok {
		return nil, rep.sorted(rep.problems)
	}
	return root.values, nil
}
