package config

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
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

// maxFile is how many bytes a file may have: the library counts them in 32 bits.
const maxFile = math.MaxUint32

// open enters a file and gives its root table; not ok when it is no TOML.
func (r *report) open(name string, data []byte) (table, bool) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	document := &document{name: name, rank: len(r.documents), data: data}
	r.documents[name] = document
	if len(data) > maxFile {
		r.problems = append(r.problems, Problem{File: name, Text: "has more than 4 GiB", Remedy: "split it over several files"})
		return table{}, false
	}
	reader := reader{file: name, text: string(data), root: &group{made: byHeader}}
	reader.read(data)
	r.problems = append(r.problems, reader.problems...)
	return table{rep: r, file: name, values: reader.root}, len(reader.problems) == 0
}

// reader makes tables of a TOML file. The library says what is written; what may
// stand beside what is decided here, because the library compares each key with
// all before it, which a million of them do not bear.
type reader struct {
	file     string
	text     string // all of the file; keys and strings are parts of it where they can be
	parser   unstable.Parser
	root     *group
	current  *group // the table of the last header
	path     string // its key path
	problems []Problem
}

// read reads a whole file, up to where it ceases to be TOML.
func (r *reader) read(data []byte) {
	r.parser.Reset(data)
	r.current = r.root
	for r.parser.NextExpression() {
		switch node := r.parser.Expression(); node.Kind {
		case unstable.Table, unstable.ArrayTable:
			r.header(node)
		default:
			r.pair(r.current, r.path, node)
		}
	}
	if err := r.parser.Error(); err != nil {
		r.syntax(err)
		return
	}
	r.finish(r.root, "")
}

// syntax reports where the file ceases to be TOML.
func (r *reader) syntax(err error) {
	problem := Problem{File: r.file, Key: r.path, Text: "is no TOML: " + err.Error(), Remedy: "correct the line"}
	var fault *unstable.ParserError
	if errors.As(err, &fault) {
		at := r.parser.Shape(r.parser.Range(fault.Highlight)).Start
		problem.Line, problem.Text = at.Line, fmt.Sprintf("is no TOML at column %d: %s", at.Column, err)
		key, bare := keyBefore(r.text[at.Offset-at.Column+1 : at.Offset])
		if key != "" {
			problem.Key = join(r.path, key)
		}
		if bare {
			problem.Remedy = "correct the line; a text stands in quotes"
		}
	}
	if strings.Contains(err.Error(), "UTF") {
		problem.Remedy = "save the file as UTF-8"
	}
	r.problems = append(r.problems, problem)
}

// keyBefore finds the key whose value a line is about, as far as that is TOML, and
// tells whether the value begins like neither a text nor a list or table.
func keyBefore(line string) (key string, bare bool) {
	before, value, found := strings.Cut(line, "=")
	if !found {
		return "", false
	}
	var parser unstable.Parser
	parser.Reset([]byte(before + "= 0"))
	if !parser.NextExpression() {
		return "", false
	}
	keys := parser.Expression().Key()
	for keys.Next() {
		key = join(key, string(keys.Node().Data))
	}
	value = strings.TrimSpace(value)
	return key, value != "" && !strings.ContainsAny(value[:1], "\"'[{")
}

// fault reports what the parts of a file that are TOML each do not make together.
func (r *reader) fault(offset uint32, key, remedy, text string, args ...any) {
	r.problems = append(r.problems, Problem{
		File: r.file, Line: r.lineOf(offset), Key: key, Text: fmt.Sprintf(text, args...), Remedy: remedy,
	})
}

func (r *reader) lineOf(offset uint32) int { return 1 + strings.Count(r.text[:offset], "\n") }

// textOf is the text of a key or a string: a part of the file where nothing in it
// is written in another way.
func (r *reader) textOf(node *unstable.Node) string {
	for skip := range uint32(2) { // there may be a quote before it
		begin := int(node.Raw.Offset + skip)
		if end := begin + len(node.Data); end <= len(r.text) && r.text[begin:end] == string(node.Data) {
			return r.text[begin:end]
		}
	}
	return string(node.Data)
}

// header makes the table of a header the current one. Where that cannot be, what
// follows goes into a table that nobody reads.
func (r *reader) header(node *unstable.Node) {
	list := node.Kind == unstable.ArrayTable
	at, path := r.root, ""
	for keys := node.Key(); keys.Next(); {
		key, offset := r.textOf(keys.Node()), keys.Node().Raw.Offset
		path = join(path, key)
		found := at.subs[key]
		if found == nil {
			found = &sub{group: new(group)}
			if list && keys.IsLast() {
				found.list = new(tables)
			}
			at.addSub(key, offset, found)
		}
		if keys.IsLast() && !r.enter(found, list) {
			r.fault(offset, path, "keep one of the two", "is given twice; the other place is line %d", r.lineOf(at.offsetOf(key)))
			found = &sub{group: new(group)}
		}
		at = found.group
	}
	r.current, r.path = at, path
}

// enter marks a table as having had its header, or begins the next table of a list.
func (r *reader) enter(found *sub, list bool) bool {
	switch {
	case list && found.list != nil:
		found.group = &group{made: byHeader}
		found.list.groups = append(found.list.groups, found.group)
		return true
	case list || found.list != nil || found.made != byPath:
		return false
	}
	found.made = byHeader
	return true
}

// offsetOf is where a key stands first, while the file is read.
func (g *group) offsetOf(key string) uint32 {
	for i := range g.pairs {
		if g.pairs[i].key == key {
			return g.pairs[i].offset
		}
	}
	return 0
}

// pair enters a key and its value into a table, through tables that the dots in
// the key make.
func (r *reader) pair(into *group, path string, node *unstable.Node) {
	for keys := node.Key(); keys.Next(); {
		key, offset := r.textOf(keys.Node()), keys.Node().Raw.Offset
		if keys.IsLast() {
			p := pair{key: key, offset: offset}
			if value := node.Value(); value.Kind == unstable.String {
				p.text = r.textOf(value)
			} else {
				p.value = r.value(value, offset, path, key)
			}
			into.add(p)
			return
		}
		path = join(path, key)
		found := into.subs[key]
		switch {
		case found == nil:
			found = &sub{group: &group{made: byDots}}
			into.addSub(key, offset, found)
		case found.list != nil || found.made != byDots:
			r.fault(offset, path, "write it under the header of the table", "is a table with a header, which dots in a key cannot add to")
			return
		}
		into = found.group
	}
}

// value is a value that is no string, or a string in a list.
func (r *reader) value(node *unstable.Node, offset uint32, path, key string) any {
	switch node.Kind {
	case unstable.String:
		return strings.Clone(r.textOf(node)) // so that it does not keep the file's text
	case unstable.Bool:
		return string(node.Data) == "true"
	case unstable.Array:
		list := []any{}
		for elements := node.Children(); elements.Next(); {
			list = append(list, r.value(elements.Node(), offset, path, key))
		}
		return list
	case unstable.InlineTable:
		inner := &group{made: byBraces}
		for pairs := node.Children(); pairs.Next(); {
			r.pair(inner, join(path, key), pairs.Node())
		}
		return inner
	}
	value, err := scalar(node)
	if err != nil {
		r.fault(offset, join(path, key), "correct the value", "%s is no value: %s", node.Data, err)
	}
	return value
}

// scalar is the value of a number or a date. Their form has been found to be good.
func scalar(node *unstable.Node) (any, error) {
	text := string(node.Data)
	switch node.Kind {
	case unstable.Integer:
		number, err := strconv.ParseInt(text, 0, 64)
		if err != nil {
			return nil, errors.New("it is out of range")
		}
		return number, nil
	case unstable.Float:
		if strings.HasSuffix(text, "nan") {
			return math.NaN(), nil // with or without a sign
		}
		number, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil {
			return nil, errors.New("it is out of range")
		}
		return number, nil
	}
	var date struct{ Value any }
	if err := toml.Unmarshal([]byte("value = "+text), &date); err != nil {
		return nil, errors.New("there is no such date or time")
	}
	return date.Value, nil
}

// finish sorts a table and those in it, and reports keys that stand twice.
func (r *reader) finish(g *group, path string) {
	g.subs = nil
	g.sort()
	for i := range g.pairs {
		p := &g.pairs[i]
		if i > 0 && g.pairs[i-1].key == p.key {
			r.fault(p.offset, join(path, p.key), "keep one of the two", "is given twice; the other place is line %d", r.lineOf(g.pairs[i-1].offset))
			continue
		}
		if p.value != nil {
			r.finishValue(p.value, path, p.key)
		}
	}
}

func (r *reader) finishValue(value any, path, key string) {
	switch value := value.(type) {
	case *group:
		r.finish(value, join(path, key))
	case *tables:
		for _, inner := range value.groups {
			r.finish(inner, join(path, key))
		}
	case []any:
		for _, inner := range value {
			r.finishValue(inner, path, key)
		}
	}
}

// Tables reads a TOML file as what it is, without asking whether it is a
// configuration: tables are map[string]any, lists []any, whole numbers int64. The
// error is [Problems].
func Tables(name string, data []byte) (map[string]any, error) {
	rep := newReport()
	root, ok := rep.open(name, data)
	if !ok {
		return nil, rep.sorted(rep.problems)
	}
	return root.values.plain(), nil
}

func (g *group) plain() map[string]any {
	values := make(map[string]any, len(g.pairs))
	for i := range g.pairs {
		values[g.pairs[i].key] = plain(g.pairs[i].any())
	}
	return values
}

// plain is a value in types of the language alone.
func plain(value any) any {
	switch value := value.(type) {
	case *group:
		return value.plain()
	case *tables:
		list := make([]any, len(value.groups))
		for i, inner := range value.groups {
			list[i] = inner.plain()
		}
		return list
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	}
	return value
}
