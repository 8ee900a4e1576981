package tomlfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// places are the statements of a text, and the first line of each of its key paths.
type places struct {
	statements []Statement
	paths      [][]string // of each statement
	first      map[string]int
}

func newPlaces(text string) *places {
	p := &places{first: make(map[string]int)}
	w := walk(text)
	for s, ok := w.next(); ok; s, ok = w.next() {
		paths := w.paths(s)
		for _, path := range paths {
			if p.first[path] == 0 {
				p.first[path] = s.Line
			}
		}
		p.statements, p.paths = append(p.statements, s), append(p.paths, paths)
	}
	return p
}

// at finds the statement at an offset.
func (p *places) at(offset int) (i int, ok bool) {
	i, ok = slices.BinarySearchFunc(p.statements, offset, func(s Statement, offset int) int {
		switch {
		case s.End <= offset:
			return -1
		case s.Start > offset:
			return 1
		}
		return 0
	})
	return i, ok
}

// twice reports a key that is given twice; not found where it is a key of an inline
// table, and nobody can say what to leave out to read on.
func (p *places) twice(at toml.ParseError) (fault Fault, found bool) {
	_, message, _ := strings.Cut(at.Message, "'")
	key, _, _ := strings.Cut(message, "' ")
	fault = Fault{Line: at.Position.Line, Key: key, Text: "is given twice", Remedy: "keep one of the two"}
	i, found := p.at(at.Position.Start)
	if !found {
		return fault, false
	}
	s := p.statements[i]
	for part := len(s.Path) - 1; part >= 0 && (s.Header || part >= s.Table); part-- {
		path := p.paths[i][part]
		if p.first[path] == s.Line {
			path = listOf(path) // a list of tables where there is a table
		}
		if other := p.first[path]; other > 0 && other < s.Line {
			fault.Key, fault.Text = path, fmt.Sprintf("is given twice; the other place is line %d", other)
			break
		}
	}
	return fault, true
}

// without blanks out the statement at an offset, and what stands under it if it is a
// header: under another one it would mean something else.
func (p *places) without(text string, offset int) string {
	i, _ := p.at(offset)
	start, end := p.statements[i].Start, p.statements[i].End
	if p.statements[i].Header {
		for i++; i < len(p.statements) && !p.statements[i].Header; i++ {
			end = p.statements[i].End
		}
	}
	blank := []byte(text)
	for at := start; at < end; at++ {
		if blank[at] != '\n' {
			blank[at] = ' '
		}
	}
	return string(blank)
}
