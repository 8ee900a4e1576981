package config

import (
	"bytes"
	"errors"
	"strings"

	"github.com/BurntSushi/toml"
)

// document is one file: what it says, and where it says it.
type document struct {
	name  string
	rank  int // its place among the files, the main one first
	data  []byte
	lines map[string]int // key path → line, made when the first fault is found
}

// line is the line of a key path, or of what holds it; 0 when there is none.
func (d *document) line(key string) int {
	if d.lines == nil {
		d.lines = keyLines(d.data)
	}
	for key != "" {
		if line := d.lines[key]; line > 0 {
			return line
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return 0
}

// open enters a file and gives its root table; not ok when it is no TOML.
func (r *report) open(name string, data []byte) (table, bool) {
	document := &document{name: name, rank: len(r.documents), data: data}
	r.documents[name] = document
	var values map[string]any
	if _, err := toml.NewDecoder(bytes.NewReader(data)).Decode(&values); err != nil {
		r.problems = append(r.problems, syntaxProblem(name, err))
		return table{}, false
	}
	return table{rep: r, file: name, values: values}, true
}

// syntaxProblem says where a file ceases to be TOML.
func syntaxProblem(name string, err error) Problem {
	problem := Problem{File: name, Text: "is no TOML: " + err.Error(), Remedy: "correct the file"}
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return problem
	}
	message := strings.TrimSuffix(syntax.Message, ".")
	problem.Line, problem.Key = syntax.Position.Line, syntax.LastKey
	problem.Text = faultf("", "is no TOML at column %d: %s", syntax.Position.Col, message).text
	switch {
	case strings.Contains(message, "already been defined"), strings.Contains(message, "already created"):
		problem.Remedy = "keep one of the two"
	case strings.Contains(message, "UTF"):
		problem.Remedy = "save the file as UTF-8"
	default:
		problem.Remedy = "correct the line"
	}
	return problem
}
