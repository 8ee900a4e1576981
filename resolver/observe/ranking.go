package observe

import (
	"hash/maphash"
	"math"
	"math/bits"
	"net/netip"
	"slices"

	"pldns/zones"
)

// ranking is the names of a network that come most often, of all that come: those that
// come less often cannot wash them out, however many they are.
//
// A name that is remembered is counted exactly. When there is no room, a new one is let in
// only if it came more often than the one that came least often so far: how often is an
// [estimate], which all that are not let in share (TinyLFU: Einziger, Friedman, Manes,
// "TinyLFU: A Highly Efficient Cache Admission Policy", 2017).
type ranking struct {
	heap  []*ranked // the one that came least often is the first
	known map[zones.Name]*ranked
}

// ranked is a name of a ranking.
type ranked struct {
	UnmappedName
	clients clients
	place   int
}

func newRanking() ranking { return ranking{known: make(map[zones.Name]*ranked)} }

// add takes a name in that came so often.
func (r *ranking) add(private zones.Name, count int) *ranked {
	name := &ranked{UnmappedName: UnmappedName{Private: private.Clone(), Count: count}, place: len(r.heap)}
	r.heap = append(r.heap, name)
	r.known[name.Private] = name
	r.up(name)
	return name
}

// remove drops a name.
func (r *ranking) remove(name *ranked) {
	last := r.heap[len(r.heap)-1]
	r.swap(name, last)
	r.heap[len(r.heap)-1] = nil
	r.heap = r.heap[:len(r.heap)-1]
	delete(r.known, name.Private)
	if last != name {
		r.down(last)
		r.up(last)
	}
}

// up moves a name towards the first until it is in order.
func (r *ranking) up(name *ranked) {
	for name.place > 0 {
		above := r.heap[(name.place-1)/2]
		if above.Count <= name.Count {
			return
		}
		r.swap(name, above)
	}
}

// down moves a name away from the first until it is in order.
func (r *ranking) down(name *ranked) {
	for {
		below := 2*name.place + 1
		if below >= len(r.heap) {
			return
		}
		least := r.heap[below]
		if below+1 < len(r.heap) && r.heap[below+1].Count < least.Count {
			least = r.heap[below+1]
		}
		if name.Count <= least.Count {
			return
		}
		r.swap(name, least)
	}
}

func (r *ranking) swap(a, b *ranked) {
	a.place, b.place = b.place, a.place
	r.heap[a.place], r.heap[b.place] = a, b
}

// estimate is how often names came that are not remembered, at most (a count-min sketch
// with conservative update: Estan, Varghese, "New Directions in Traffic Measurement and
// Accounting", 2002). Nobody can choose names that meet in it, because its hash is drawn
// at the start. It takes 2 MiB once there is something in it.
type estimate struct {
	seed  maphash.Seed
	rows  [estimateRows][]uint16
	added int // since it was halved
}

const (
	estimateRows = 4
	estimateBits = 18 // of the number of counters in a row
	// estimateAge is how many additions halve all counters: what came long ago counts
	// for less.
	estimateAge = 8 << estimateBits
)

func newEstimate() estimate { return estimate{seed: maphash.MakeSeed()} }

// places are where the counters of a name are.
func (c *estimate) places(network string, name zones.Name) (at [estimateRows]*uint16) {
	if c.rows[0] == nil {
		for row := range c.rows {
			c.rows[row] = make([]uint16, 1<<estimateBits)
		}
	}
	var hash maphash.Hash
	hash.SetSeed(c.seed)
	_, _ = hash.WriteString(network)
	_ = hash.WriteByte(0)
	_, _ = hash.WriteString(name.FQDN())
	sum := hash.Sum64()
	first, step := uint32(sum), uint32(sum>>32)|1 // Kirsch, Mitzenmacher, 2006
	for row := range at {
		at[row] = &c.rows[row][(first+uint32(row)*step)>>(32-estimateBits)]
	}
	return at
}

// add counts a name and gives how often it came at most, or that it came more often than
// can be counted.
func (c *estimate) add(network string, name zones.Name) int {
	if c.added++; c.added >= estimateAge {
		c.halve()
	}
	places := c.places(network, name)
	least := uint16(math.MaxUint16)
	for _, at := range places {
		least = min(least, *at)
	}
	if least == math.MaxUint16 {
		return math.MaxInt // more often than can be counted, so it is let in
	}
	for _, at := range places {
		*at = max(*at, least+1)
	}
	return int(least) + 1
}

// atLeast says that a name came so often.
func (c *estimate) atLeast(network string, name zones.Name, count int) {
	for _, at := range c.places(network, name) {
		*at = max(*at, uint16(min(count, math.MaxUint16)))
	}
}

func (c *estimate) halve() {
	c.added = 0
	for _, row := range c.rows {
		for i := range row {
			row[i] /= 2
		}
	}
}

// client is what a client counts as.
func (c *estimate) client(prefix netip.Prefix) uint64 {
	octets := prefix.Addr().As16()
	return maphash.Bytes(c.seed, append(octets[:], byte(prefix.Bits())))
}

// clients counts clients that are different: exactly as long as they are few, then about
// (linear counting: Whang, Vander-Zanden, Taylor, 1990). It takes 128 octets at most.
type clients struct {
	few []uint64
	all *[clientWords]uint64
}

const (
	fewClients  = 8
	clientWords = 8
	clientBits  = clientWords * 64
)

func (c *clients) add(client uint64) {
	if c.all == nil {
		if slices.Contains(c.few, client) {
			return
		}
		if len(c.few) < fewClients {
			c.few = append(c.few, client)
			return
		}
		c.all = new([clientWords]uint64)
		for _, known := range c.few {
			c.set(known)
		}
		c.few = nil
	}
	c.set(client)
}

func (c *clients) set(client uint64) {
	bit := client % clientBits
	c.all[bit/64] |= 1 << (bit % 64)
}

// count is how many there are. Beyond some 2,000 it does not grow.
func (c *clients) count() int {
	if c.all == nil {
		return len(c.few)
	}
	unset := clientBits
	for _, word := range c.all {
		unset -= bits.OnesCount64(word)
	}
	return max(fewClients+1, int(math.Round(clientBits*math.Log(clientBits/max(float64(unset), 0.5)))))
}
