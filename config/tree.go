package config

import (
	"cmp"
	"encoding/binary"
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
	if slices.IsSortedFunc(g.pairs, comparePairs) {
		return
	}
	// Most names differ in the eight bytes behind what all have in common. Looking at
	// these first spares most looks at the names themselves, which are all over memory.
	type head struct {
		bytes uint64
		at    uint32
	}
	skip := g.common()
	heads := make([]head, len(g.pairs))
	for i := range g.pairs {
		var first [8]byte // a shorter key comes before those that it is the beginning of
		copy(first[:], g.pairs[i].key[skip:])
		heads[i] = head{binary.BigEndian.Uint64(first[:]), uint32(i)}
	}
	slices.SortFunc(heads, func(a, b head) int {
		if a.bytes != b.bytes {
			return cmp.Compare(a.bytes, b.bytes)
		}
		return comparePairs(g.pairs[a.at], g.pairs[b.at])
	})
	sorted := make([]pair, len(heads))
	for i, h := range heads {
		sorted[i] = g.pairs[h.at]
	}
	g.pairs = sorted
}

func comparePairs(a, b pair) int {
	if order := strings.Compare(a.key, b.key); order != 0 {
		return order
	}
	return cmp.Compare(a.offset, b.offset)
}

// common is how many bytes at their beginning all keys have in common.
func (g *group) common() int {
	first := g.pairs[0].key
	length := len(first)
	for i := range g.pairs {
		key := g.pairs[i].key
		length = min(length, len(key))
		for key[:length] != first[:length] {
			length--
		}
	}
	return length
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
