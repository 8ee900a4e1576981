package tomlfile

import (
	"errors"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Statement is a header or a pair of a file, with the lines it takes.
type Statement struct {
	// Header says that it is [a] or [[a]], List that it is [[a]] or a pair below that.
	Header, List bool
	Path         []string // the whole key path
	Table        int      // how many parts of it are the header's
	Start, End   int      // offsets of its first line and of the line behind it
	Line         int      // of its first line, counted from 1
	// inner are the lines of what is in a value of several lines, by what follows the
	// key path of the statement, as in "[2]".
	inner map[string]int
}

// Statements are the statements of a text that is TOML, in its order.
func Statements(text string) []Statement {
	var all []Statement
	w := walk(text)
	for s, ok := w.next(); ok; s, ok = w.next() {
		all = append(all, s)
	}
	return all
}

// Lines are lines by key path, as in networks.europe.clients[1].
type Lines map[string]int

// Line is the line of a key path, or of what holds it; 0 when there is none.
func (l Lines) Line(path string) int {
	for path != "" {
		if line := l[path]; line > 0 {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// NewLines finds the lines of all key paths of a text that is TOML, and of the
// elements of its lists, but for those that stand in the line of what holds them.
// The first of several stays.
func NewLines(text string) Lines {
	lines := make(Lines)
	note := func(path string, line int) {
		if lines[path] == 0 {
			lines[path] = line
		}
	}
	w := walk(text)
	for s, ok := w.next(); ok; s, ok = w.next() {
		paths := w.paths(s)
		for _, path := range paths {
			note(path, s.Line)
		}
		if s.Header && s.List {
			note(listOf(paths[len(paths)-1]), s.Line)
		}
		for behind, line := range s.inner {
			note(paths[len(paths)-1]+behind, line)
		}
	}
	return lines
}

// walker walks over the statements of a text. A statement is the fewest lines that
// are TOML.
type walker struct {
	text  string
	pos   int
	line  int
	table Statement      // the last header
	lists map[string]int // how many tables the lists of tables have, by key path
}

func walk(text string) *walker {
	return &walker{text: text, pos: len(text) - len(strings.TrimPrefix(text, mark)), line: 1, lists: make(map[string]int)}
}

// paths are the key paths of the parts of a statement's key, that of its header
// first, as the walker has just met it.
func (w *walker) paths(s Statement) []string {
	paths := make([]string, len(s.Path))
	path := ""
	for i, part := range s.Path {
		path = Join(path, part)
		if count := w.lists[path]; count > 0 {
			path += "[" + strconv.Itoa(count-1) + "]"
		}
		paths[i] = path
	}
	return paths
}

// listOf is the key path of the list of tables that a table is in.
func listOf(path string) string {
	if at := strings.LastIndexByte(path, '['); at >= 0 && strings.HasSuffix(path, "]") {
		return path[:at]
	}
	return path
}

// next goes on to the next statement; not ok at the end of what is TOML.
func (w *walker) next() (s Statement, ok bool) {
	for w.pos < len(w.text) {
		if line := strings.TrimSpace(w.text[w.pos:w.lineEnd(w.pos)]); line != "" && line[0] != '#' {
			if s, ok = w.statement(); !ok {
				return s, false
			}
			w.pass(s.End)
			if s.Header {
				w.enter(s)
			}
			return s, true
		}
		w.pass(w.lineEnd(w.pos))
	}
	return Statement{}, false
}

// enter makes a header the current one.
func (w *walker) enter(s Statement) {
	w.table = s
	if !s.List {
		return
	}
	list := ""
	if above := w.paths(Statement{Path: s.Path[:len(s.Path)-1]}); len(above) > 0 {
		list = above[len(above)-1]
	}
	w.lists[Join(list, s.Path[len(s.Path)-1])]++
}

// pass goes on to an offset.
func (w *walker) pass(offset int) {
	w.line += strings.Count(w.text[w.pos:offset], "\n")
	w.pos = offset
}

// lineEnd is the beginning of the next line.
func (w *walker) lineEnd(offset int) int {
	if at := strings.IndexByte(w.text[offset:], '\n'); at >= 0 {
		return offset + at + 1
	}
	return len(w.text)
}

// manyLines is up to how many lines are tried one by one. What has more, and is no
// list, may be taken together with the statements behind it.
const manyLines = 64

// grow gives ever more lines from an offset on to try, until it says that they are
// what is looked for; not ok when it never does.
func (w *walker) grow(from int, try func(text string) bool) (end int, ok bool) {
	end = from
	for lines := 0; end < len(w.text); {
		for step := max(1, lines-manyLines); step > 0 && end < len(w.text); step-- {
			end = w.lineEnd(end)
			lines++
		}
		if try(w.text[from:end]) {
			return end, true
		}
	}
	return len(w.text), false
}

// statement reads the statement at the current line.
func (w *walker) statement() (s Statement, ok bool) {
	first := w.text[w.pos:w.lineEnd(w.pos)]
	if p, ok := readPiece(first); ok {
		return w.made(p, w.pos+len(first)), true
	}
	if p, ok := readPiece(first + "]"); ok { // a list that goes on
		if end, elements, ok := w.list(p); ok {
			s := w.made(p, end)
			s.inner = elements
			return s, true
		}
	}
	var p piece
	end, ok := w.grow(w.pos, func(text string) (is bool) {
		p, is = readPiece(text)
		return is
	})
	if !ok {
		return Statement{}, false
	}
	s = w.made(p, end)
	s.inner = p.members(w.line)
	return s, true
}

// made is the statement that a piece of the text is.
func (w *walker) made(p piece, end int) Statement {
	key := p.keys[0]
	s := Statement{Start: w.pos, End: end, Line: w.line}
	if strings.HasPrefix(strings.TrimLeft(p.text, " \t"), "[") {
		s.Header, s.List = true, p.data.Type(key...) == "ArrayHash"
		s.Path, s.Table = key, len(key)
		return s
	}
	s.List, s.Table = w.table.List, len(w.table.Path)
	s.Path = append(append(make([]string, 0, s.Table+len(key)), w.table.Path...), key...)
	return s
}

// list reads the lines of a list, of which the first has been read, and finds the
// lines of its elements.
func (w *walker) list(first piece) (end int, elements map[string]int, ok bool) {
	elements = make(map[string]int)
	line, count := w.line, 0
	note := func(n int) {
		for ; n > 0; n-- {
			elements["["+strconv.Itoa(count)+"]"] = line
			count++
		}
	}
	note(first.elements())
	line++
	for at := w.lineEnd(w.pos); ; at, line = end, line+strings.Count(w.text[at:end], "\n") {
		var p piece
		closed := false
		end, ok = w.grow(at, func(text string) (is bool) {
			text = "v = [" + strings.TrimPrefix(strings.TrimLeft(text, " \t"), ",")
			if p, is = readPiece(text + "]"); is {
				return true
			}
			p, closed = readPiece(text)
			closed = closed && len(p.values) == 1
			return closed
		})
		if !ok {
			return 0, nil, false
		}
		note(p.elements())
		if closed {
			return end, elements, true
		}
	}
}

// Join makes a key path longer by one key, in TOML's notation.
func Join(path, key string) string {
	if !IsBare(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// IsBare reports whether TOML lets a key stand without quotes.
func IsBare(key string) bool {
	for i := range len(key) {
		if !IsBareByte(key[i]) {
			return false
		}
	}
	return key != ""
}

// IsBareByte reports whether a key without quotes may hold a character.
func IsBareByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// piece is a part of a text that is TOML by itself.
type piece struct {
	text   string
	data   toml.MetaData
	keys   []toml.Key
	values map[string]toml.Primitive
}

// readPiece reads a piece; not ok when it is no TOML or says nothing.
func readPiece(text string) (p piece, ok bool) {
	defer func() {
		if recover() != nil { // a bug of the library, which the whole file would have met
			ok = false
		}
	}()
	if fault, _ := exceeded(text); fault != nil {
		return p, false
	}
	var err error
	p.text = text
	p.data, err = toml.Decode(text, &p.values)
	p.keys = p.data.Keys()
	return p, err == nil && len(p.keys) > 0
}

// elements is how many elements the list has that a piece gives to its key.
func (p *piece) elements() int {
	var list []any
	if value, ok := p.find(p.keys[0]); ok && p.data.PrimitiveDecode(value, &list) == nil {
		return len(list)
	}
	return 0
}

// members are the lines of what is in an inline table of several lines.
func (p *piece) members(first int) map[string]int {
	lines := make(map[string]int)
	for _, key := range p.keys[1:min(len(p.keys), manyLines)] {
		behind := ""
		for _, part := range key[min(len(key), len(p.keys[0])):] {
			behind = "." + strings.TrimPrefix(Join(behind, part), ".")
		}
		if at, ok := p.position(key); ok {
			lines[behind] = first + at.Line - 1
		}
	}
	return lines
}

// find finds a value that is not read yet.
func (p *piece) find(key toml.Key) (value toml.Primitive, ok bool) {
	table := p.values
	for i, part := range key {
		if i > 0 {
			table = nil
			if err := p.data.PrimitiveDecode(value, &table); err != nil {
				return value, false
			}
		}
		if value, ok = table[part]; !ok {
			return value, false
		}
	}
	return value, true
}

// position is where the value of a key stands.
func (p *piece) position(key toml.Key) (toml.Position, bool) {
	value, ok := p.find(key)
	if !ok {
		return toml.Position{}, false
	}
	at, ok := p.data.PrimitiveDecode(value, new(whereabouts)).(toml.ParseError)
	return at.Position, ok && at.Position.Line > 0
}

// whereabouts is what no value can be decoded into, so that the library says where
// the value stands.
type whereabouts struct{}

var errWhereabouts = errors.New("no value is meant to be read here")

// UnmarshalTOML refuses every value.
func (*whereabouts) UnmarshalTOML(any) error { return errWhereabouts }
