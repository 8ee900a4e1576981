package zones

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// Endpoints is a list of mappings in little memory, because a network may have a
// million: names stand one after another in chunks of text, what many endpoints have
// in common is kept once, and nothing has a pointer of its own. The zero Endpoints is
// empty. While nobody adds to it, any number of goroutines may read it.
type Endpoints struct {
	text     []string     // chunks, of which no name crosses an end
	list     []packed     // with one more that bounds the last
	addrs    []netip.Addr // of all endpoints, in their order
	settings []settings
	unsorted bool // whether the names are in another order than theirs
	full     bool // whether one did not fit

	chunk      strings.Builder // the last of text
	settingsAt map[settings]uint32
	last       uint32 // settings that the next probably has, too
}

// packed is one endpoint. Its private name stands behind its name, and its addresses
// end where those of the next one begin.
type packed struct {
	name                uint32 // chunk and place in it
	nameLen, privateLen uint16
	addrs, settings     uint32
}

// settings are what many endpoints have in common.
type settings struct {
	zone  Name
	ttl   uint32
	pick  Pick
	probe Probe
}

// alike reports whether two public names of one private name may have these settings.
func (s *settings) alike(other *settings) bool {
	return s.zone == other.zone && s.ttl == other.ttl && s.pick == other.pick && s.probe.Alike(other.probe)
}

// A chunk is short, so that a name which somebody keeps does not keep much text.
const (
	chunkBits = 16
	chunkSize = 1 << chunkBits
	maxChunks = 1 << (32 - chunkBits)
)

// Mapping is an endpoint as a network has it. It is comparable; the zero Mapping
// is none, and has none of the following.
type Mapping struct {
	of     *Endpoints
	number uint32
}

// IsZero reports whether m is no endpoint.
func (m Mapping) IsZero() bool { return m.of == nil }

func (m Mapping) packed() *packed { return &m.of.list[m.number] }

func (m Mapping) settings() *settings { return &m.of.settings[m.packed().settings] }

// Name is the name that clients ask for; its leftmost label may be "*".
func (m Mapping) Name() Name {
	p := m.packed()
	return Name{m.of.slice(p.name, p.nameLen)}
}

// Private is the privatelink name that Name is an alias of, or the zero Name.
func (m Mapping) Private() Name {
	p := m.packed()
	return Name{m.of.slice(p.name+uint32(p.nameLen), p.privateLen)}
}

// Zone is the privatelink zone of Private; the zero Name where there is none.
func (m Mapping) Zone() Name { return m.settings().zone }

// Addresses are its addresses, in the operator's order. They must not be changed.
func (m Mapping) Addresses() []netip.Addr {
	begin, end := m.packed().addrs, m.of.list[m.number+1].addrs
	return m.of.addrs[begin:end:end]
}

// TTL is in seconds.
func (m Mapping) TTL() uint32 { return m.settings().ttl }

// Pick is which of its addresses are answered.
func (m Mapping) Pick() Pick { return m.settings().pick }

// Probe is how its addresses are probed; the zero Probe for not at all.
func (m Mapping) Probe() Probe { return m.settings().probe }

// Endpoint is the endpoint as a specification has it.
func (m Mapping) Endpoint() Endpoint {
	return Endpoint{
		Name: m.Name(), Private: m.Private(), Zone: m.Zone(), Addresses: m.Addresses(), TTL: m.TTL(), Pick: m.Pick(), Probe: m.Probe(),
	}
}

// isAlias reports whether the addresses stand at a private name.
func (m Mapping) isAlias() bool {
	p := m.packed()
	return p.privateLen > 0 && m.Private() != m.Name()
}

// At returns the endpoint with a number, counted from 0 in the order of [Endpoints.Add].
func (e *Endpoints) At(number int) Mapping { return Mapping{e, uint32(number)} }

// Len is the number of endpoints.
func (e *Endpoints) Len() int { return max(0, len(e.list)-1) }

// slice is a part of the text.
func (e *Endpoints) slice(begin uint32, length uint16) string {
	if length == 0 {
		return ""
	}
	at := begin % chunkSize
	return e.text[begin>>chunkBits][at : at+uint32(length)]
}

// ofAddress is the endpoint that has the address with a place in addrs.
func (e *Endpoints) ofAddress(place uint32) Mapping {
	after, _ := slices.BinarySearchFunc(e.list, place+1, func(p packed, place uint32) int { return int(p.addrs) - int(place) })
	return e.At(after - 1)
}

// Grow makes room for so many more endpoints of one address each.
func (e *Endpoints) Grow(count int) {
	e.list = slices.Grow(e.list, count+1)
	e.addrs = slices.Grow(e.addrs, count)
}

// Add adds an endpoint, of which nothing is kept but copies. Of more than a network
// can have, about a thousand million, it keeps what fits, and [Build] refuses it.
func (e *Endpoints) Add(spec *Endpoint) {
	if len(e.list) == 0 {
		e.list, e.settingsAt = append(e.list, packed{}), make(map[settings]uint32)
	}
	number := e.Len()
	if number >= maxNumber || len(e.addrs)+len(spec.Addresses) > math.MaxUint32 || len(e.text) > maxChunks-2 {
		e.full = true
		return
	}
	shared := settings{spec.Zone, spec.TTL, spec.Pick, spec.Probe}
	if number == 0 || shared != e.settings[e.last] {
		e.last = e.enter(shared)
	}
	e.unsorted = e.unsorted || number > 0 && e.At(number-1).Name().Compare(spec.Name) > 0
	e.list[number] = packed{
		name: e.write(spec.Name.text, spec.Private.text), addrs: uint32(len(e.addrs)), settings: e.last,
		nameLen: uint16(len(spec.Name.text)), privateLen: uint16(len(spec.Private.text)),
	}
	e.addrs = append(e.addrs, spec.Addresses...)
	e.list = append(e.list, packed{addrs: uint32(len(e.addrs))})
}

// enter gives the place of settings, which it adds if they are new.
func (e *Endpoints) enter(shared settings) uint32 {
	at, known := e.settingsAt[shared]
	if !known {
		at = uint32(len(e.settings))
		shared.zone = shared.zone.Clone() // it may be a part of a longer text
		e.settingsAt[shared] = at
		e.settings = append(e.settings, shared)
	}
	return at
}

// write gives the place of two names in the text. A name has at most 255 octets, each
// of which may be written with four characters.
func (e *Endpoints) write(name, private string) uint32 {
	if len(e.text) == 0 {
		e.text = append(e.text, "") // grows with its text, so that a small network takes little
	} else if e.chunk.Len()+len(name)+len(private) > chunkSize {
		e.chunk.Reset()
		e.chunk.Grow(chunkSize)
		e.text = append(e.text, "")
	}
	place := uint32(len(e.text)-1)<<chunkBits | uint32(e.chunk.Len())
	e.chunk.WriteString(name)
	e.chunk.WriteString(private)
	e.text[len(e.text)-1] = e.chunk.String()
	return place
}

// sorted are the same endpoints ordered by name, those of one name in their order, and
// the number that each had before; nil for the number itself. The text is shared.
func (e *Endpoints) sorted() (*Endpoints, []uint32) {
	if !e.unsorted {
		return e, nil
	}
	name := func(number uint32) Name { return e.At(int(number)).Name() }
	order := make([]uint32, e.Len())
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Or(name(a).Compare(name(b)), cmp.Compare(a, b)) })
	s := &Endpoints{
		text: e.text, settings: e.settings, full: e.full,
		list: make([]packed, 0, len(e.list)), addrs: make([]netip.Addr, 0, len(e.addrs)),
	}
	for _, number := range order {
		one := e.list[number]
		one.addrs = uint32(len(s.addrs))
		s.list = append(s.list, one)
		s.addrs = append(s.addrs, e.At(int(number)).Addresses()...)
	}
	s.list = append(s.list, packed{addrs: uint32(len(s.addrs))})
	return s, order
}
