package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one fault of a configuration, or a warning: something that can be
// served and is probably not meant.
type Problem struct {
	File   string // as it was given to [Load], or relative to where that is
	Line   int    // counted from 1; 0 where the fault is that something is absent
	Key    string // key path, such as networks.europe.clients[1]
	Text   string // what is wrong
	Remedy string // what to do
}

// String is the problem on one line.
func (p Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Key != "" {
		where += ": " + p.Key
	}
	return where + ": " + p.Text + ": " + p.Remedy
}

// Problems are all faults of a configuration, in the order of files and lines.
type Problems []Problem

// Error has one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// fault is what is wrong with a value, and what to write instead.
type fault struct{ text, remedy string }

func faultf(remedy, format string, args ...any) *fault {
	return &fault{text: fmt.Sprintf(format, args...), remedy: remedy}
}

// report collects the faults of all files of one configuration.
type report struct {
	documents map[string]*document // by file
	problems  []Problem
	warnings  []Problem
	given     map[string]Place  // the first place of every key that stands once
	pairs     map[[2]Place]bool // clashes that are reported
}

func newReport() *report {
	return &report{
		documents: make(map[string]*document),
		given:     make(map[string]Place),
		pairs:     make(map[[2]Place]bool),
	}
}

// add reports a fault.
func (r *report) add(at Place, f *fault) { r.problems = append(r.problems, r.problem(at, f)) }

// warn reports what can be served and is probably not meant.
func (r *report) warn(at Place, f *fault) { r.warnings = append(r.warnings, r.problem(at, f)) }

func (r *report) problem(at Place, f *fault) Problem {
	return Problem{File: at.File(), Line: r.line(at), Key: at.Key(), Text: f.text, Remedy: f.remedy}
}

// clash reports a fault that two places share, once for each pair of places.
func (r *report) clash(at, first Place, f *fault) {
	if r.pairs[[2]Place{first, at}] || r.pairs[[2]Place{at, first}] {
		return
	}
	r.pairs[[2]Place{first, at}] = true
	r.add(at, &fault{f.text + "; the other place is " + r.where(first), f.remedy})
}

// where names a place inside a message about another.
func (r *report) where(at Place) string {
	if at.line > 0 {
		return at.String()
	}
	if line := r.line(at); line > 0 {
		return fmt.Sprintf("%s (%s:%d)", at.Key(), at.File(), line)
	}
	return fmt.Sprintf("%s (%s)", at.Key(), at.File())
}

// once reports whether a key that must stand once is given for the first time, and
// reports it otherwise.
func (r *report) once(at Place) bool {
	key := at.Key()
	first, given := r.given[key]
	if given {
		r.clash(at, first, &fault{"is given twice", "keep one of the two"})
		return false
	}
	r.given[key] = at
	return true
}

// line is the line of a place, 0 when its file does not hold it.
func (r *report) line(at Place) int {
	if at.line > 0 {
		return int(at.line)
	}
	if document := r.documents[at.File()]; document != nil {
		return document.line(at.Key())
	}
	return 0
}

// sorted are problems in the order of files and lines.
func (r *report) sorted(problems []Problem) Problems {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(r.rank(a), r.rank(b)), cmp.Compare(a.Line, b.Line))
	})
	return problems
}

// rank is the place of a problem's file among the files.
func (r *report) rank(p Problem) int {
	if document := r.documents[p.File]; document != nil {
		return document.rank
	}
	return 0
}
