package tomlfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Fault is something that keeps a file from being TOML.
type Fault struct {
	Line   int    // counted from 1
	Key    string // key path; empty where it is not known
	Text   string // what is wrong
	Remedy string // what to do
}

// mark is what some editors begin a UTF-8 file with.
const mark = "\xef\xbb\xbf"

// maxTwice is how many keys that are given twice are looked for: the file is read
// once more for each.
const maxTwice = 20

// Decode reads a file. Its tables are map[string]any, lists []any, lists of tables
// with headers []map[string]any, whole numbers int64, others float64, dates and
// times [time.Time]. Strings are parts of the text wherever they can be. Where there
// are faults, there are no values.
func Decode(text string) (map[string]any, []Fault) {
	text = strings.TrimPrefix(text, mark)
	fault, dotted := exceeded(text)
	if fault != nil {
		return nil, []Fault{*fault}
	}
	values, err := decode(text)
	if err != nil {
		return nil, faultsOf(text, err)
	}
	if dotted {
		if faults := mixed(text); len(faults) > 0 {
			return nil, faults
		}
	}
	return values, nil
}

// decode reads a text. What the library says of its own bugs is an error as well: a
// file must not stop the program.
func decode(text string) (values map[string]any, err error) {
	defer func() {
		if bug := recover(); bug != nil {
			values, err = nil, fmt.Errorf("%w: %v", errors.ErrUnsupported, bug)
		}
	}()
	_, err = toml.Decode(text, &values)
	return values, err
}

// faultsOf are all keys that are given twice, up to where the text ceases to be TOML.
func faultsOf(text string, err error) []Fault {
	var faults []Fault
	var known *places
	for err != nil && len(faults) < maxTwice {
		at, ok := errors.AsType[toml.ParseError](err)
		if !ok || !strings.HasPrefix(at.Message, "Key '") {
			return append(faults, syntax(text, err, at))
		}
		if known == nil {
			known = newPlaces(text)
		}
		fault, found := known.twice(at)
		faults = append(faults, fault)
		if !found {
			break
		}
		text = known.without(text, at.Position.Start)
		_, err = decode(text)
	}
	return faults
}

// syntax says where a text ceases to be TOML.
func syntax(text string, err error, at toml.ParseError) Fault {
	if at.Position.Line == 0 {
		return Fault{Text: "is no TOML: " + err.Error(), Remedy: "write the file in a plainer way"}
	}
	offset := max(0, min(at.Position.Start, len(text)))
	strange := strings.Contains(at.Message, "UTF-8 byte") || strings.Contains(at.Message, "UTF-16")
	if strange {
		offset += max(0, strings.IndexRune(text[offset:], utf8.RuneError))
	} else if strings.Contains(at.Message, "control characters") {
		offset = min(at.Position.Start+1, len(text)) // the library means the character before
	}
	fault := Fault{
		Line:   1 + strings.Count(text[:offset], "\n"),
		Text:   fmt.Sprintf("is no TOML at column %d: %s", offset-strings.LastIndexByte(text[:offset], '\n'), at.Message),
		Remedy: "correct the line",
	}
	if strange {
		fault.Remedy = "save the file as UTF-8"
		return fault
	}
	w := walk(text)
	for _, ok := w.next(); ok; _, ok = w.next() { // up to the statement that is none
	}
	line := upToLineEnd(text[w.pos:])
	key, value, found := strings.Cut(line, "=")
	p, isKey := readPiece(key + "= 0")
	for _, part := range w.table.Path {
		fault.Key = Join(fault.Key, part)
	}
	for i := 0; found && isKey && i < len(p.keys[0]); i++ {
		fault.Key = Join(fault.Key, p.keys[0][i])
	}
	if value = strings.TrimSpace(value); found && isKey && isBareText(value) {
		fault.Remedy = "correct the line; a text stands in quotes"
	}
	return fault
}

// isBareText reports whether a value is likely a text that lacks its quotes.
func isBareText(value string) bool {
	_, err := strconv.ParseFloat(value, 64)
	return value != "" && !strings.ContainsAny(value[:1], "\"'[{") && !errors.Is(err, strconv.ErrRange) && err != nil
}

// mixed are tables that have both a header and dots in a key that lead into them,
// which the library takes and TOML does not.
func mixed(text string) []Fault {
	var faults []Fault
	header, dots := make(map[string]bool), make(map[string]bool)
	w := walk(text)
	for s, ok := w.next(); ok; s, ok = w.next() {
		for i, path := range w.paths(s) {
			switch {
			case s.Header && dots[path]:
				faults = append(faults, Fault{s.Line, path, "is made a table by dots in a key, which a header cannot add to",
					"write all of it under one header"})
			case s.Header:
				header[path] = true
			case i < s.Table || i == len(s.Path)-1:
			case header[path]:
				faults = append(faults, Fault{s.Line, path, "is a table with a header, which dots in a key cannot add to",
					"write it under the header of the table"})
			default:
				dots[path] = true
			}
		}
	}
	return faults
}
