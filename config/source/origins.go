package source

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"

	"pldns/config"
	"pldns/zones"
)

// Origins tells where the mappings of a configuration come from, in 12 octets for each
// that a file holds. It may be used by any number of goroutines.
type Origins struct {
	seed  maphash.Seed
	files map[string]*marks
	// byName are the origins of what was learned.
	byName map[string]map[zones.Name]Origin
}

// marks are those of one network, sorted when somebody asks for the first time.
type marks struct {
	list   []mark
	sorted sync.Once
	places *config.Places
}

// mark is a mapping that a file holds: the hash of its name, in two parts because a
// number of 64 bits would take room that is not used, and the number of its place.
type mark struct{ high, low, place uint32 }

func (m mark) compare(other mark) int {
	return cmp.Or(cmp.Compare(m.high, other.high), cmp.Compare(m.low, other.low))
}

func newOrigins(c *config.Config) *Origins {
	o := &Origins{seed: maphash.MakeSeed(), files: make(map[string]*marks), byName: make(map[string]map[zones.Name]Origin)}
	for i := range c.Networks {
		count, _, _ := c.Networks[i].Count()
		m := &marks{list: make([]mark, 0, count)}
		m.places = c.Places(i, func(name zones.Name, place uint32) {
			one := o.mark(name)
			one.place = place
			m.list = append(m.list, one)
		})
		o.files[c.Networks[i].Name] = m
	}
	return o
}

// mark is that of a name, without a place.
func (o *Origins) mark(name zones.Name) mark {
	hash := maphash.String(o.seed, name.FQDN())
	return mark{high: uint32(hash >> 32), low: uint32(hash)}
}

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
	m := o.files[network]
	if m == nil {
		return Origin{}, false
	}
	m.sorted.Do(func() { slices.SortFunc(m.list, mark.compare) })
	at, found := slices.BinarySearchFunc(m.list, o.mark(name), mark.compare)
	if !found {
		return Origin{}, false
	}
	spot := m.places.At(m.list[at].place)
	origin := Origin{Source: FileName, Place: spot.String(), File: spot.File, Line: spot.Line}
	switch {
	case spot.Released():
		origin.Source = StoreName
	case spot.InHosts:
		origin.Source = HostsName
	}
	return origin, true
}
