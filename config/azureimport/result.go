package azureimport

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"pldns/config"
)

// Changed reports whether the file differs from what was read.
func (f *File) Changed() bool { return len(f.changes) > 0 }

// Result is the edited file. It is read again before it is given away: every value
// outside the edited tables must be what it was, and every mapping what it should be.
// Where it is not, that is the error, and nothing is given.
func (f *File) Result() ([]byte, error) {
	f.sortChanges()
	var text bytes.Buffer
	at := 0
	for _, c := range f.changes {
		text.Write(f.data[at:c.Start])
		text.WriteString(c.text)
		at = c.End
	}
	text.Write(f.data[at:])
	if err := f.verify(text.Bytes()); err != nil {
		return nil, fmt.Errorf("edit %s: %w: nothing is changed; enter the output of import without --into by hand", f.name, err)
	}
	return text.Bytes(), nil
}

func (f *File) sortChanges() {
	slices.SortStableFunc(f.changes, func(a, b change) int { return cmp.Compare(a.Start, b.Start) })
}

// verify holds the values of the edited file against those of the old one.
func (f *File) verify(text []byte) error {
	before, err := config.Tables(f.name, f.data)
	if err != nil {
		return fmt.Errorf("the file is no TOML")
	}
	after, err := config.Tables(f.name, text)
	if err != nil {
		return fmt.Errorf("the edited file would be no TOML")
	}
	for _, table := range f.tables {
		if err := f.verifyTable(table, lookup(before, table.Path), lookup(after, table.Path)); err != nil {
			return err
		}
		strip(before, table.Path)
		strip(after, table.Path)
	}
	if !reflect.DeepEqual(before, after) {
		return fmt.Errorf("the edit would change more than the endpoints")
	}
	return nil
}

// verifyTable holds a table of the edited file against the old one.
func (f *File) verifyTable(table Table, before, after any) error {
	old, _ := before.(map[string]any)
	edited, _ := after.(map[string]any)
	meant := make(map[string]bool)
	for _, m := range table.Mappings {
		meant[spell(union(nil, m.Addresses...))] = true
	}
	for key, value := range edited {
		was, had := old[key]
		if had && reflect.DeepEqual(value, was) {
			continue
		}
		addrs, rest := settings(value)
		_, restWas := settings(was)
		if !meant[spell(addrs)] || had && !reflect.DeepEqual(rest, restWas) {
			return fmt.Errorf("the edit of %s in [%s] would go wrong", plain(key), table.Key())
		}
	}
	for key := range old {
		if _, kept := edited[key]; !kept && f.prune == nil {
			return fmt.Errorf("the edit would lose %s in [%s]", plain(key), table.Key())
		}
	}
	for _, m := range table.Mappings {
		if _, there := edited[m.Name.String()]; !there && old == nil {
			return fmt.Errorf("the edit would leave out %s in [%s]", m.Name, table.Key())
		}
	}
	return nil
}

// settings takes the addresses of a mapping and what else is said of it apart.
func settings(value any) (addrs []netip.Addr, rest map[string]any) {
	if table, is := value.(map[string]any); is {
		value, rest = table["addresses"], make(map[string]any)
		for key, setting := range table {
			if key != "addresses" {
				rest[key] = setting
			}
		}
	}
	for _, text := range texts(value) {
		if addr, err := netip.ParseAddr(text); err == nil {
			addrs = union(addrs, addr)
		}
	}
	return addrs, rest
}

// strip removes what is at a path, and the tables that are empty then.
func strip(values map[string]any, path []string) {
	if len(path) == 1 {
		delete(values, path[0])
		return
	}
	inner, is := values[path[0]].(map[string]any)
	if !is {
		return
	}
	if strip(inner, path[1:]); len(inner) == 0 {
		delete(values, path[0])
	}
}

// context is how many unchanged lines stand around a change in a difference.
const context = 3

// Diff is the difference of the edit, in the unified format; empty for none.
func (f *File) Diff() string {
	if !f.Changed() {
		return ""
	}
	f.sortChanges()
	lines := splitLines(f.data)
	starts := make([]int, len(lines)+1)
	for i, l := range lines {
		starts[i+1] = starts[i] + len(l)
	}
	lineAt := func(offset int) int { at, _ := slices.BinarySearch(starts, offset); return at }
	var text strings.Builder
	fmt.Fprintf(&text, "--- %s\n+++ %s\n", f.name, f.name)
	shift := 0
	for i := 0; i < len(f.changes); {
		first, last := i, i
		for last+1 < len(f.changes) && lineAt(f.changes[last+1].Start)-lineAt(f.changes[last].End) <= 2*context {
			last++
		}
		shift = f.hunk(&text, lines, lineAt, f.changes[first:last+1], shift)
		i = last + 1
	}
	return text.String()
}

// hunk writes changes that are near each other. The shift is by how many lines the
// edited file is longer so far.
func (f *File) hunk(text *strings.Builder, lines []string, lineAt func(int) int, changes []change, shift int) int {
	from := max(0, lineAt(changes[0].Start)-context)
	to := min(len(lines), lineAt(changes[len(changes)-1].End)+context)
	var body strings.Builder
	removed, added, at := 0, 0, from
	for _, c := range changes {
		writeLines(&body, " ", lines[at:lineAt(c.Start)])
		old, edited := lines[lineAt(c.Start):lineAt(c.End)], splitLines([]byte(c.text))
		writeLines(&body, "-", old)
		writeLines(&body, "+", edited)
		removed, added, at = removed+len(old), added+len(edited), lineAt(c.End)
	}
	writeLines(&body, " ", lines[at:to])
	length := to - from
	fmt.Fprintf(text, "@@ -%s +%s @@\n", extent(from, length), extent(from+shift, length-removed+added))
	text.WriteString(body.String())
	return shift + added - removed
}

// extent is a range of lines in the unified format, which counts from 1, and names
// the line before where there is none.
func extent(from, length int) string {
	if length == 0 {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, length)
}

func writeLines(text *strings.Builder, sign string, lines []string) {
	for _, l := range lines {
		text.WriteString(sign + strings.TrimRight(l, "\r\n") + "\n")
	}
}

func splitLines(data []byte) []string { return slices.Collect(strings.Lines(string(data))) }
