package azureimport

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// span is a part of a document.
type span struct{ start, end int }

// statement is a header or a pair of a TOML document, with the lines it takes.
type statement struct {
	isHeader bool
	isArray  bool     // [[...]]
	path     []string // the whole key path
	table    int      // how much of the path is the header's
	lines    span     // from the beginning of its first line to the beginning of the next
	value    span     // of a pair
}

// errShape says that the editor cannot follow a document. The TOML library has
// read it before, so that this is a form that nobody uses.
var errShape = errors.New("the editor cannot follow the form of the file")

// scan finds the statements of a document that is known to be TOML.
func scan(data []byte) ([]statement, error) {
	s := &scanner{data: data}
	s.pos = len(data) - len(bytes.TrimPrefix(data, []byte(markUTF8)))
	var found []statement
	var table statement
	for {
		s.blank(true)
		if s.pos >= len(data) {
			return found, nil
		}
		begin := s.lineStart()
		st := statement{path: table.path, table: len(table.path), isArray: table.isArray}
		if data[s.pos] == '[' {
			st = s.header()
			table = st
		} else {
			st.path = append(append([]string(nil), table.path...), s.key()...)
			s.blank(false)
			s.expect('=')
			s.blank(false)
			st.value.start = s.pos
			s.value()
			st.value.end = s.pos
		}
		if s.broken {
			return nil, errShape
		}
		st.lines = span{begin, s.lineEnd()}
		s.pos = st.lines.end
		found = append(found, st)
	}
}

// scanner walks over a document.
type scanner struct {
	data   []byte
	pos    int
	broken bool
}

func (s *scanner) lineStart() int { return bytes.LastIndexByte(s.data[:s.pos], '\n') + 1 }

// lineEnd is the beginning of the next line.
func (s *scanner) lineEnd() int {
	if at := bytes.IndexByte(s.data[s.pos:], '\n'); at >= 0 {
		return s.pos + at + 1
	}
	return len(s.data)
}

// blank steps over white space, and over line ends and comments if they may stand
// here.
func (s *scanner) blank(lines bool) {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == ' ' || c == '\t', lines && (c == '\n' || c == '\r'):
			s.pos++
		case lines && c == '#':
			s.pos = s.lineEnd()
		default:
			return
		}
	}
}

// expect steps over a character that must be next.
func (s *scanner) expect(c byte) {
	if !s.take(c) {
		s.broken = true
	}
}

// take steps over a character if it is next.
func (s *scanner) take(c byte) bool {
	if s.pos >= len(s.data) || s.data[s.pos] != c {
		return false
	}
	s.pos++
	return true
}

// header reads [a.b] or [[a.b]].
func (s *scanner) header() statement {
	s.expect('[')
	array := s.take('[')
	path := s.key()
	s.blank(false)
	s.expect(']')
	if array {
		s.expect(']')
	}
	return statement{isHeader: true, isArray: array, path: path, table: len(path)}
}

// key reads a dotted key.
func (s *scanner) key() []string {
	var path []string
	for {
		s.blank(false)
		path = append(path, s.keyPart())
		s.blank(false)
		if s.broken || !s.take('.') {
			return path
		}
	}
}

func (s *scanner) keyPart() string {
	begin := s.pos
	if s.pos < len(s.data) && (s.data[s.pos] == '"' || s.data[s.pos] == '\'') {
		s.text()
		quoted := string(s.data[begin:s.pos])
		if s.broken || quoted[0] == '\'' || !strings.Contains(quoted, `\`) {
			return strings.Trim(quoted, quoted[:1])
		}
		plain, err := strconv.Unquote(quoted)
		s.broken = s.broken || err != nil
		return plain
	}
	for s.pos < len(s.data) && isHostRune(rune(s.data[s.pos])) {
		s.pos++
	}
	s.broken = s.broken || s.pos == begin
	return string(s.data[begin:s.pos])
}

// text steps over a string of any of the four kinds.
func (s *scanner) text() {
	quote := s.data[s.pos : s.pos+1]
	if triple := bytes.Repeat(quote, 3); bytes.HasPrefix(s.data[s.pos:], triple) {
		quote = triple
	}
	at := s.pos + len(quote)
	for at < len(s.data) && !bytes.HasPrefix(s.data[at:], quote) {
		if s.data[at] == '\\' && quote[0] == '"' {
			at++
		}
		at++
	}
	at += len(quote)
	for len(quote) == 3 && at < len(s.data) && s.data[at] == quote[0] {
		at++ // up to two quotes may stand before the closing three
	}
	s.broken = s.broken || at > len(s.data)
	s.pos = min(at, len(s.data))
}

// value steps over a value.
func (s *scanner) value() {
	if s.broken || s.pos >= len(s.data) {
		s.broken = true
		return
	}
	switch s.data[s.pos] {
	case '"', '\'':
		s.text()
	case '[':
		s.list()
	case '{':
		s.members(func([]string, span) {})
	default:
		begin := s.pos
		for s.pos < len(s.data) && !strings.ContainsRune(",]}#\r\n", rune(s.data[s.pos])) {
			s.pos++
		}
		s.broken = s.broken || s.pos == begin
	}
}

// list steps over a list.
func (s *scanner) list() {
	s.expect('[')
	for !s.broken {
		s.blank(true)
		if s.take(']') {
			return
		}
		s.value()
		s.blank(true)
		if !s.take(',') {
			s.expect(']')
			return
		}
	}
}

// members steps over an inline table, and tells each member.
func (s *scanner) members(member func(path []string, value span)) {
	s.expect('{')
	for !s.broken {
		s.blank(true)
		if s.take('}') {
			return
		}
		path := s.key()
		s.blank(false)
		s.expect('=')
		s.blank(true)
		begin := s.pos
		s.value()
		member(path, span{begin, s.pos})
		s.blank(true)
		if !s.take(',') {
			s.expect('}')
			return
		}
	}
}

// memberOf finds a member of the inline table at a span.
func memberOf(data []byte, at span, key string) (span, bool) {
	s := &scanner{data: data[:at.end], pos: at.start}
	var found span
	s.members(func(path []string, value span) {
		if len(path) == 1 && path[0] == key {
			found = value
		}
	})
	return found, !s.broken && found.end > 0
}
