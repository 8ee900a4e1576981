package config

import (
	"cmp"
	"slices"
	"strconv"

	"pldns/zones"
)

// Places tells where the endpoints of a network are written, which have a number there:
// those in hosts files their line, counted on from file to file, so that a million need
// no more than that; those in TOML, which are few, one from inTOML on. Any number of
// goroutines may use it.
type Places struct {
	hosts []hostsPlace // in order
	toml  []Place
	lines lines
}

// hostsPlace is a hosts file, and what the numbers of its lines are counted from.
type hostsPlace struct {
	from uint32
	file Place
}

// inTOML is the number of the first place in TOML: hosts files of one network do not
// have two billion lines.
const inTOML = 1 << 31

// Places gives each endpoint of a network, by its place in c.Networks, together with the
// number of where it is written, in order.
func (c *Config) Places(network int, each func(name zones.Name, number uint32)) *Places {
	m := c.Networks[network].mapped
	p := &Places{lines: c.lines}
	from := p.count(m)
	for i, section := range m.sections {
		for number := section.from; number < m.end(i); number++ {
			spot := from[section.in] + uint32(m.lines[number])
			if m.lines[number] < 0 {
				spot = p.add(m.place(number))
			}
			each(m.list.At(number).Name(), spot)
		}
	}
	return p
}

// count numbers the hosts files of a network, by how many lines of each map something.
func (p *Places) count(m *mappings) map[sectionHandle]uint32 {
	last := make(map[sectionHandle]int32)
	for i, section := range m.sections {
		last[section.in] = max(last[section.in], slices.Max(m.lines[section.from:m.end(i)]))
	}
	from, next := make(map[sectionHandle]uint32), uint32(0)
	for _, section := range m.sections {
		if _, known := from[section.in]; !known && last[section.in] > 0 {
			from[section.in] = next
			p.hosts = append(p.hosts, hostsPlace{next, Place{in: section.in}})
			next += uint32(last[section.in]) + 1
		}
	}
	return from
}

// add numbers a place in TOML. In a long file, of which the lines are not known, all
// places of a table are one.
func (p *Places) add(at Place) uint32 {
	if p.lines[at.File()] == nil {
		at = Place{in: at.in}
	}
	if last := len(p.toml) - 1; last < 0 || p.toml[last] != at {
		p.toml = append(p.toml, at)
	}
	return inTOML + uint32(len(p.toml)-1)
}

// Spot is where something is written.
type Spot struct {
	File    string
	Line    int    // 0 where it is not known, as in a long file in TOML
	Table   string // key path of the table in TOML
	InHosts bool   // whether the file is one of hosts
}

// String is the file and the line, or the table where the line is not known.
func (s Spot) String() string {
	if s.Line > 0 {
		return s.File + ":" + strconv.Itoa(s.Line)
	}
	return s.File + ": " + s.Table
}

// At is the place with a number.
func (p *Places) At(number uint32) Spot {
	if number >= inTOML {
		place := p.toml[number-inTOML]
		return Spot{File: place.File(), Line: p.lines.of(place), Table: place.section().table}
	}
	i, _ := slices.BinarySearchFunc(p.hosts, number, func(h hostsPlace, number uint32) int { return cmp.Compare(h.from, number) })
	of := p.hosts[i-1] // a line is never 0
	return Spot{File: of.file.File(), Line: int(number - of.from), InHosts: true}
}
