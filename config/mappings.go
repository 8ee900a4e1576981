package config

import (
	"iter"
	"slices"
	"unique"

	"pldns/zones"
)

// mappings are endpoints in little memory, and where each is written.
type mappings struct {
	list     *zones.Endpoints
	sections []sectionMark
	// lines are the line of each in a hosts file or, in TOML, the complement of the
	// place of its key in keys. They hold no pointer, or each collection of memory would
	// look at a million of them.
	lines []int32
	keys  []string
	// claimed are names that a release cannot map.
	claimed map[string]bool
}

// sectionMark says where the endpoints from a number on are written.
type sectionMark struct {
	from int
	in   sectionHandle
}

// sectionHandle stands for a section.
type sectionHandle = unique.Handle[section]

func newMappings() *mappings { return &mappings{list: new(zones.Endpoints)} }

func (m *mappings) count() int { return len(m.lines) }

// grow makes room for so many more.
func (m *mappings) grow(count int) {
	m.list.Grow(count)
	m.lines = slices.Grow(m.lines, count)
}

func (m *mappings) add(e Endpoint) {
	if m.yields(&e) {
		return
	}
	if last := len(m.sections) - 1; last < 0 || m.sections[last].in != e.Place.in {
		m.sections = append(m.sections, sectionMark{m.count(), e.Place.in})
	}
	line := e.Place.line
	if line == 0 {
		line = ^int32(len(m.keys))
		m.keys = append(m.keys, e.Place.key)
	}
	m.list.Add(&e.Endpoint)
	m.lines = append(m.lines, line)
}

// addAll adds the endpoints of others.
func (m *mappings) addAll(others *mappings) {
	m.grow(others.count())
	for _, e := range others.all() {
		m.add(e)
	}
}

// end is the number behind the last endpoint of a section mark.
func (m *mappings) end(mark int) int {
	if mark+1 < len(m.sections) {
		return m.sections[mark+1].from
	}
	return m.count()
}

// place is where an endpoint is written.
func (m *mappings) place(number int) Place {
	after, _ := slices.BinarySearchFunc(m.sections, number+1, func(s sectionMark, number int) int { return s.from - number })
	p := Place{in: m.sections[after-1].in, line: m.lines[number]}
	if p.line < 0 {
		p.key, p.line = m.keys[^p.line], 0
	}
	return p
}

// all ranges over the endpoints with their numbers.
func (m *mappings) all() iter.Seq2[int, Endpoint] {
	return func(yield func(int, Endpoint) bool) {
		for i := range m.count() {
			if !yield(i, Endpoint{m.list.At(i).Endpoint(), m.place(i)}) {
				return
			}
		}
	}
}
