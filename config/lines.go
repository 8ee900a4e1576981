package config

import (
	"bytes"
	"strconv"
	"strings"
)

// keyLines finds the line of every key of a TOML document, and of every element
// of its lists, by key path. The TOML library knows the lines but does not tell
// them. The document has been parsed before, so that this may trust its form;
// what it cannot follow has no line.
func keyLines(data []byte) map[string]int {
	s := &lineScanner{rest: data, line: 1, lines: make(map[string]int)}
	s.rest = bytes.TrimPrefix(s.rest, []byte("\xef\xbb\xbf"))
	table := ""
	for s.skipBlank(); len(s.rest) > 0; s.skipBlank() {
		before := len(s.rest)
		if s.rest[0] == '[' {
			table = s.header()
		} else {
			s.pair(table)
		}
		if len(s.rest) == before {
			return s.lines
		}
	}
	return s.lines
}

// lineScanner walks over a document that is known to be TOML.
type lineScanner struct {
	rest  []byte
	line  int // of the first byte of rest
	lines map[string]int
}

// advance steps over n bytes.
func (s *lineScanner) advance(n int) {
	n = min(n, len(s.rest))
	s.line += bytes.Count(s.rest[:n], []byte("\n"))
	s.rest = s.rest[n:]
}

// skipBlank steps over white space, line ends and comments.
func (s *lineScanner) skipBlank() {
	for len(s.rest) > 0 {
		switch s.rest[0] {
		case ' ', '\t', '\r', '\n':
			s.advance(1)
		case '#':
			s.skipUntil("\n")
		default:
			return
		}
	}
}

// skipUntil steps to the first of some bytes.
func (s *lineScanner) skipUntil(stops string) {
	if end := bytes.IndexAny(s.rest, stops); end >= 0 {
		s.advance(end)
		return
	}
	s.rest = nil
}

// note remembers where a key path is; the first of several stays.
func (s *lineScanner) note(path string) {
	if s.lines[path] == 0 {
		s.lines[path] = s.line
	}
}

// header reads "[a.b]" or "[[a.b]]" and gives its path.
func (s *lineScanner) header() string {
	for len(s.rest) > 0 && s.rest[0] == '[' {
		s.advance(1)
	}
	path := s.key("")
	s.note(path)
	s.skipUntil("\n") // nothing but brackets and a comment can follow
	return path
}

// pair reads "a.b = value" inside a table.
func (s *lineScanner) pair(table string) {
	path := s.key(table)
	s.note(path)
	s.skipBlank()
	s.expect('=')
	s.value(path)
}

// key reads a dotted key and gives its path below a table. What the parts before
// the last name is noted, too.
func (s *lineScanner) key(path string) string {
	for {
		s.skipBlank()
		path = join(path, s.part())
		s.skipBlank()
		if !s.expect('.') {
			return path
		}
		s.note(path)
	}
}

// part reads one part of a dotted key.
func (s *lineScanner) part() string {
	if len(s.rest) > 0 && (s.rest[0] == '"' || s.rest[0] == '\'') {
		quoted := s.text()
		inner := quoted[min(1, len(quoted)):max(1, len(quoted)-1)]
		if quoted[0] == '"' && strings.Contains(inner, `\`) {
			if plain, err := strconv.Unquote(quoted); err == nil {
				return plain
			}
		}
		return inner
	}
	end := bytes.IndexFunc(s.rest, func(r rune) bool { return !bareRune(r) })
	if end < 0 {
		end = len(s.rest)
	}
	part := string(s.rest[:end])
	s.advance(end)
	return part
}

// text reads a string of any of the four kinds, with its quotes.
func (s *lineScanner) text() string {
	quote := s.rest[:1]
	if triple := bytes.Repeat(quote, 3); bytes.HasPrefix(s.rest, triple) {
		quote = triple
	}
	end := len(quote)
	for end < len(s.rest) && !bytes.HasPrefix(s.rest[end:], quote) {
		if s.rest[end] == '\\' && quote[0] == '"' {
			end++
		}
		end++
	}
	end = min(end+len(quote), len(s.rest))
	for len(quote) == 3 && end < len(s.rest) && s.rest[end] == quote[0] {
		end++ // up to two quotes may stand before the closing three
	}
	text := string(s.rest[:end])
	s.advance(end)
	return text
}

// value steps over a value and notes what is inside it.
func (s *lineScanner) value(path string) {
	s.skipBlank()
	if len(s.rest) == 0 {
		return
	}
	switch s.rest[0] {
	case '"', '\'':
		s.text()
	case '[':
		s.advance(1)
		s.list(path)
	case '{':
		s.advance(1)
		s.inlineTable(path)
	default:
		s.skipUntil(",]}#\n")
	}
}

// list reads a list behind its bracket.
func (s *lineScanner) list(path string) {
	for i := 0; ; i++ {
		s.skipBlank()
		if len(s.rest) == 0 || s.expect(']') {
			return
		}
		before := len(s.rest)
		element := path + "[" + strconv.Itoa(i) + "]"
		s.note(element)
		s.value(element)
		s.skipBlank()
		s.expect(',')
		if len(s.rest) == before {
			return
		}
	}
}

// inlineTable reads an inline table behind its brace.
func (s *lineScanner) inlineTable(path string) {
	for {
		s.skipBlank()
		if len(s.rest) == 0 || s.expect('}') {
			return
		}
		before := len(s.rest)
		s.pair(path)
		s.skipBlank()
		s.expect(',')
		if len(s.rest) == before {
			return
		}
	}
}

// expect steps over a byte if it is next.
func (s *lineScanner) expect(want byte) bool {
	if len(s.rest) == 0 || s.rest[0] != want {
		return false
	}
	s.advance(1)
	return true
}
