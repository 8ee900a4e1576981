package source

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"

	"pldns/config"
	"pldns/zones"
)

// Origins tells where the mappings of a configuration come from, in 16 octets for each
// that a file holds. It may be used by any number of goroutines.
type Origins struct {
	seed   maphash.Seed
	places []config.Place // tables of files; a mapping there is named by its key
	marks  map[string]*marks
	// byName are the origins of what was learned.
	byName map[string]map[zones.Name]Origin
}

// marks are those of one network, sorted when somebody asks for the first time.
type marks struct {
	list   []mark
	sorted sync.Once
}

// mark is a mapping that a file holds.
type mark struct {
	hash  uint64
	place uint32 // in Origins.places
	line  uint32
}

func newOrigins(c *config.Config) *Origins {
	o := &Origins{seed: maphash.MakeSeed(), marks: make(map[string]*marks), byName: make(map[string]map[zones.Name]Origin)}
	numbers := make(map[config.Place]uint32)
	var last config.Place
	var lastAt uint32
	for i := range c.Networks {
		n := &c.Networks[i]
		count, _ := n.Count()
		m := &marks{list: make([]mark, 0, count)}
		for e := range n.Endpoints() {
			if table := e.Place.Table(); table != last || len(o.places) == 0 {
				at, known := numbers[table]
				if !known {
					at = uint32(len(o.places))
					numbers[table] = at
					o.places = append(o.places, table)
				}
				last, lastAt = table, at
			}
			m.list = append(m.list, mark{o.hash(e.Name), lastAt, uint32(e.Place.Line())})
		}
		o.marks[n.Name] = m
	}
	return o
}

func (o *Origins) hash(name zones.Name) uint64 { return maphash.String(o.seed, name.FQDN()) }

// learned notes the origin of a mapping that no file holds.
func (o *Origins) learned(network string, name zones.Name, origin Origin) {
	if o.byName[network] == nil {
		o.byName[network] = make(map[zones.Name]Origin)
	}
	o.byName[network][name] = origin
}

// Of is the origin of the mapping that a network has for a name, as it is served; false
// where it has none.
func (o *Origins) Of(network string, name zones.Name) (Origin, bool) {
	if o == nil {
		return Origin{}, false
	}
	if origin, known := o.byName[network][name]; known {
		return origin, true
	}
	m := o.marks[network]
	if m == nil {
		return Origin{}, false
	}
	m.sorted.Do(func() { slices.SortFunc(m.list, func(a, b mark) int { return cmp.Compare(a.hash, b.hash) }) })
	at, found := slices.BinarySearchFunc(m.list, o.hash(name), func(a mark, hash uint64) int { return cmp.Compare(a.hash, hash) })
	if !found {
		return Origin{}, false
	}
	table, line := o.places[m.list[at].place], int(m.list[at].line)
	if line > 0 {
		at := table.WithLine(line)
		return Origin{Source: HostsName, Place: at.String(), File: table.File(), Line: line}, true
	}
	return Origin{Source: FileName, Place: table.String(), File: table.File()}, true
}
