package config

import (
	"bytes"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// keyLines finds the line of every key of a TOML document, and of every element
// of its lists, by key path, up to where it ceases to be TOML. It is read once
// more for that, when the first fault is found: a document without one needs no
// lines.
func keyLines(data []byte) map[string]int {
	w := &lineWalk{data: data, line: 1, lines: make(map[string]int), elements: make(map[string]int)}
	w.parser.Reset(data)
	table := ""
	for w.parser.NextExpression() {
		switch node := w.parser.Expression(); node.Kind {
		case unstable.Table:
			table = w.key("", node)
		case unstable.ArrayTable:
			table = w.element(w.key("", node))
		default:
			w.pair(table, node)
		}
	}
	return w.lines
}

// lineWalk walks over a document in its order.
type lineWalk struct {
	parser unstable.Parser
	data   []byte
	offset uint32 // of where it is
	line   int    // of offset
	lines  map[string]int
	// elements counts the tables of each list of tables.
	elements map[string]int
}

// element notes the next table of a list of tables, and gives its path.
func (w *lineWalk) element(list string) string {
	path := list + "[" + strconv.Itoa(w.elements[list]) + "]"
	w.elements[list]++
	w.note(path)
	return path
}

// at goes on to an offset.
func (w *lineWalk) at(offset uint32) {
	w.line += bytes.Count(w.data[w.offset:max(w.offset, offset)], []byte("\n"))
	w.offset = max(w.offset, offset)
}

// note remembers where a key path is; the first of several stays.
func (w *lineWalk) note(path string) {
	if w.lines[path] == 0 {
		w.lines[path] = w.line
	}
}

// key notes the parts of a key and gives its path.
func (w *lineWalk) key(path string, node *unstable.Node) string {
	for keys := node.Key(); keys.Next(); {
		w.at(keys.Node().Raw.Offset)
		path = join(path, string(keys.Node().Data))
		w.note(path)
	}
	return path
}

// pair notes a key and what is inside its value.
func (w *lineWalk) pair(table string, node *unstable.Node) {
	w.value(w.key(table, node), node.Value())
}

// value notes what is inside a value.
func (w *lineWalk) value(path string, node *unstable.Node) {
	switch node.Kind {
	case unstable.InlineTable:
		for pairs := node.Children(); pairs.Next(); {
			w.pair(path, pairs.Node())
		}
	case unstable.Array:
		i := 0
		for elements := node.Children(); elements.Next(); i++ {
			element := path + "[" + strconv.Itoa(i) + "]"
			w.at(begin(elements.Node()))
			w.note(element)
			w.value(element, elements.Node())
		}
	}
}

// begin is where a value begins, or what is inside it if that is all that is known.
func begin(node *unstable.Node) uint32 {
	for node.Valid() && node.Raw.Length == 0 {
		if node.Kind == unstable.KeyValue {
			node = node.Value().Next() // the key stands before the value
			continue
		}
		node = node.Child()
	}
	if !node.Valid() {
		return 0
	}
	return node.Raw.Offset
}
