package observe

import (
	"container/heap"
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
	heap  leastFirst // the one that came least often is the first
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
	name := &ranked{UnmappedName: UnmappedName{Private: private.Clone(), Count: count}}
	heap.Push(&r.heap, name)
	r.known[name.Private] = name
	return name
}

// moved puts a name in order whose count has changed.
func (r *ranking) moved(name *ranked) { heap.Fix(&r.heap, name.place) }

// remove drops a name.
func (r *ranking) remove(name *ranked) {
	heap.Remove(&r.heap, name.place)
	delete(r.known, name.Private)
}

// leastFirst are names of which the one that came least often is the first, for package
// heap.
type leastFirst []*ranked

func (l leastFirst) Len() int           { return len(l) }
func (l leastFirst) Less(i, j int) bool { return l[i].Count < l[j].Count }

func (l leastFirst) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].place, l[j].place = i, j
}

// Push appends a name.
func (l *leastFirst) Push(name any) {
	added := name.(*ranked)
	added.place = len(*l)
	*l = append(*l, added)
}

// Pop takes the last name away.
func (l *leastFirst) Pop() any {
	last := (*l)[len(*l)-1]
	(*l)[len(*l)-1] = nil
	*l = (*l)[:len(*l)-1]
	return last
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
