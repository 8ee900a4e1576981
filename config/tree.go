package config

import (
	"cmp"
	"slices"
	"strings"
)

// group is a TOML table: its pairs, sorted by key once the whole file is read. A
// file may hold a million of them, so that strings are not boxed, and nothing is
// kept for each pair that only a few need.
type group struct {
	pairs []pair
	// subs are the tables among the pairs, as long as the file is read: what headers
	// and dotted keys lead through.
	subs map[string]*sub
	made origin
}

// pair is a key and its value: text where that is a string, else value.
type pair struct {
	key, text string
	value     any
	offset    uint32 // of the key in the file
}

// origin is what made a table, which decides what may be added to it.
type origin uint8

const (
	byPath   origin = iota // part of the path of a header
	byHeader               // its own header
	byDots                 // the dots in a key
	byBraces               // an inline table, to which nothing is added
)

// sub is a table in a table, or a list of tables, of which headers mean the last.
type sub struct {
	*group
	list *tables
}

// tables is a list of tables that each have a header.
type tables struct{ groups []*group }

// any is the value. Its strings are copies, which do not keep the file's text.
func (p *pair) any() any {
	if p.value == nil {
		return strings.Clone(p.text)
	}
	return p.value
}

// add enters a pair. Whether the key is there already is found out at the end.
func (g *group) add(p pair) {
	if len(g.pairs) == cap(g.pairs) {
		g.pairs = slices.Grow(g.pairs, max(4, len(g.pairs))) // by half at a time would take many copies
	}
	g.pairs = append(g.pairs, p)
}

// addSub enters a table, or a list of tables.
func (g *group) addSub(key string, offset uint32, s *sub) {
	if g.subs == nil {
		g.subs = make(map[string]*sub)
	}
	g.subs[key] = s
	value := any(s.group)
	if s.list != nil {
		value = s.list
	}
	g.add(pair{key: key, value: value, offset: offset})
}

// sort brings the pairs into the order of their keys, those with one key into the
// order of the file.
func (g *group) sort() {
	slices.SortFunc(g.pairs, func(a, b pair) int {
		if order := strings.Compare(a.key, b.key); order != 0 {
			return order
		}
		return cmp.Compare(a.offset, b.offset)
	})
}

// find is the pair with a key, nil when there is none.
func (g *group) find(key string) *pair {
	if g == nil {
		return nil
	}
	at, found := slices.BinarySearchFunc(g.pairs, key, func(p pair, key string) int { return strings.Compare(p.key, key) })
	if !found {
		return nil
	}
	return &g.pairs[at]
}

// all are the pairs, sorted by key; none of no table.
func (g *group) all() []pair {
	if g == nil {
		return nil
	}
	return g.pairs
}

// remove takes a pair out.
func (g *group) remove(key string) {
	g.pairs = slices.DeleteFunc(g.pairs, func(p pair) bool { return p.key == key })
}
