package zones

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// endpoints are the endpoints of one network in little memory: a network may have
// a million. Names stand one after another in chunks of text, what many endpoints
// have in common is kept once, and nothing has a pointer of its own.
type endpoints struct {
	text     []string     // chunks, of which no name crosses an end
	list     []packed     // sorted by name, with one more that bounds the last
	addrs    []netip.Addr // of all endpoints, in their order
	settings []settings
	zones    []Name
}

// packed is one endpoint. Its addresses end where those of the next one begin.
type packed struct {
	name, private       uint32 // chunk and place in it
	nameLen, privateLen uint16
	addrs               uint32
	settings, zone      uint32
}

// settings are what many endpoints have in common.
type settings struct {
	ttl   uint32
	pick  Pick
	probe Probe
}

// alike tells whether two public names of one private name may have these settings.
func (s *settings) alike(other *settings) bool {
	return s.ttl == other.ttl && s.pick == other.pick && s.probe.Alike(other.probe)
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
	of     *endpoints
	number uint32
}

// IsZero tells whether m is no endpoint.
func (m Mapping) IsZero() bool { return m.of == nil }

func (m Mapping) packed() *packed { return &m.of.list[m.number] }

func (m Mapping) settings() *settings { return &m.of.settings[m.packed().settings] }

// Name is the name that clients ask for; its leftmost label may be "*".
func (m Mapping) Name() Name { return m.of.name(m.number) }

// Private is the privatelink name that Name is an alias of, or the zero Name.
func (m Mapping) Private() Name { return m.of.private(m.number) }

// Zone is the privatelink zone of Private; the zero Name where there is none.
func (m Mapping) Zone() Name { return m.of.zones[m.packed().zone] }

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

// isAlias tells whether the addresses stand at a private name.
func (m Mapping) isAlias() bool {
	p := m.packed()
	return p.privateLen > 0 && m.Private() != m.Name()
}

// at is the endpoint with a number.
func (e *endpoints) at(number uint32) Mapping { return Mapping{e, number} }

// count is the number of endpoints.
func (e *endpoints) count() int { return max(0, len(e.list)-1) }

func (e *endpoints) name(number uint32) Name {
	return Name{e.slice(e.list[number].name, e.list[number].nameLen)}
}

func (e *endpoints) private(number uint32) Name {
	return Name{e.slice(e.list[number].private, e.list[number].privateLen)}
}

func (e *endpoints) slice(begin uint32, length uint16) string {
	if length == 0 {
		return ""
	}
	at := begin % chunkSize
	return e.text[begin>>chunkBits][at : at+uint32(length)]
}

// ofAddress is the endpoint that has the address with a place in addrs.
func (e *endpoints) ofAddress(place uint32) Mapping {
	after, _ := slices.BinarySearchFunc(e.list, place+1, func(p packed, place uint32) int { return int(p.addrs) - int(place) })
	return e.at(uint32(after - 1))
}

// packer makes endpoints.
type packer struct {
	*endpoints
	chunk    strings.Builder
	known    map[settings]uint32
	zones    map[Name]uint32
	last     settings // of the endpoint before, and where they are
	lastAt   uint32
	lastZone uint32
}

// pack makes endpoints of their specifications.
func pack(at func(number int) *Endpoint, count int) (*endpoints, error) {
	p := packer{endpoints: new(endpoints), known: make(map[settings]uint32), zones: make(map[Name]uint32)}
	addresses, sorted := 0, true
	for i := range count {
		addresses += len(at(i).Addresses)
		sorted = sorted && (i == 0 || at(i-1).Name.Compare(at(i).Name) <= 0)
	}
	if count > maxNumber || addresses > math.MaxUint32 {
		return p.endpoints, fmt.Errorf("%d endpoints are more than a network can have, which is %d", count, maxNumber)
	}
	p.list = make([]packed, 0, count+1)
	p.addrs = make([]netip.Addr, 0, addresses)
	p.endpoints.zones = append(p.endpoints.zones, Name{})
	p.zones[Name{}] = 0
	if sorted {
		for i := range count {
			p.add(at(i))
		}
	} else {
		for _, i := range sortedOrder(at, count) {
			p.add(at(int(i)))
		}
	}
	p.flush()
	p.list = append(p.list, packed{addrs: uint32(len(p.addrs))})
	if len(p.text) > maxChunks {
		return p.endpoints, fmt.Errorf("the names of %d endpoints are more text than a network can have", count)
	}
	return p.endpoints, nil
}

// sortedOrder is the order of the endpoints by name.
func sortedOrder(at func(number int) *Endpoint, count int) []uint32 {
	order := make([]uint32, count)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(at(int(a)).Name.Compare(at(int(b)).Name), cmp.Compare(a, b))
	})
	return order
}

func (p *packer) add(spec *Endpoint) {
	shared := settings{spec.TTL, spec.Pick, spec.Probe}
	if shared != p.last || len(p.settings) == 0 {
		at, known := p.known[shared]
		if !known {
			at = uint32(len(p.settings))
			p.known[shared] = at
			p.settings = append(p.settings, shared)
		}
		p.last, p.lastAt = shared, at
	}
	if zone := spec.Zone; zone != p.endpoints.zones[p.lastZone] {
		at, known := p.zones[zone]
		if !known {
			at = uint32(len(p.endpoints.zones))
			zone = Name{strings.Clone(zone.text)} // it may be a part of a longer text
			p.zones[zone] = at
			p.endpoints.zones = append(p.endpoints.zones, zone)
		}
		p.lastZone = at
	}
	p.list = append(p.list, packed{
		name: p.write(spec.Name.text), nameLen: uint16(len(spec.Name.text)),
		private: p.write(spec.Private.text), privateLen: uint16(len(spec.Private.text)),
		addrs: uint32(len(p.addrs)), settings: p.lastAt, zone: p.lastZone,
	})
	p.addrs = append(p.addrs, spec.Addresses...)
}

// write gives the place of a name in the text. A name has at most 255 octets, each
// of which may be written with four characters.
func (p *packer) write(text string) uint32 {
	if p.chunk.Len()+len(text) > chunkSize {
		p.flush()
	}
	if p.chunk.Len() == 0 {
		p.chunk.Grow(chunkSize)
	}
	place := uint32(len(p.text))<<chunkBits | uint32(p.chunk.Len())
	p.chunk.WriteString(text)
	return place
}

// flush ends the chunk. One that is hardly begun is copied, so that a small
// network takes little.
func (p *packer) flush() {
	text := p.chunk.String()
	if len(text) < chunkSize/2 {
		text = strings.Clone(text)
	}
	p.text = append(p.text, text)
	p.chunk.Reset()
}
