package traffic

import "sync/atomic"

// sketch finds what comes most often in a stream of which it can remember only a part
// (Space-Saving: Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and
// Top-k Elements in Data Streams", 2005). What is new takes the place of the entry that
// came least often, and its count, which is a bound of what may have been missed. So what
// makes up more than one in size of the stream is always there, whatever the rest is.
//
// It is not safe for use by several goroutines.
type sketch struct {
	size    int               // entries at most
	entries []*entry          // a heap: the one that came least often is the first
	known   map[string]*entry // by key
}

// entry is something that comes often.
type entry struct {
	key   string
	count uint64 // at most so often it came
	over  uint64 // and so much less at the least
	place int
}

const (
	// sharedEntries is how many entries all sketches have together, besides those that
	// each may always have.
	sharedEntries = 65_536
	ownEntries    = 16
)

// spare are entries that nobody has yet.
type spare struct{ left atomic.Int64 }

func (s *spare) take() bool {
	if s.left.Add(-1) >= 0 {
		return true
	}
	s.left.Add(1)
	return false
}

func newSketch(size int) sketch { return sketch{size: size, known: make(map[string]*entry)} }

// add counts a key n times. Nothing is allocated if it is known.
func (s *sketch) add(key []byte, n uint64, from *spare) {
	e := s.known[string(key)]
	switch {
	case e != nil:
	case len(s.entries) < ownEntries || len(s.entries) < s.size && from.take():
		e = &entry{key: string(key), place: len(s.entries)}
		s.entries = append(s.entries, e)
		s.known[e.key] = e
		e.count = n
		s.up(e)
		return
	default:
		e = s.entries[0]
		delete(s.known, e.key)
		e.key, e.over = string(key), e.count
		s.known[e.key] = e
	}
	e.count += n
	s.down(e)
}

// drop forgets everything.
func (s *sketch) drop(to *spare) {
	to.left.Add(int64(max(0, len(s.entries)-ownEntries)))
	*s = newSketch(s.size)
}

// The heap is kept in order by hand, because queries wait for it: container/heap takes 20 ns
// more for one that is sampled (BenchmarkSampled: 55 ns as it is).

// up moves an entry towards the first until it is in order.
func (s *sketch) up(e *entry) {
	for e.place > 0 {
		above := s.entries[(e.place-1)/2]
		if above.count <= e.count {
			return
		}
		s.swap(e, above)
	}
}

// down moves an entry away from the first until it is in order.
func (s *sketch) down(e *entry) {
	for {
		below := 2*e.place + 1
		if below >= len(s.entries) {
			return
		}
		least := s.entries[below]
		if below+1 < len(s.entries) && s.entries[below+1].count < least.count {
			least = s.entries[below+1]
		}
		if e.count <= least.count {
			return
		}
		s.swap(e, least)
	}
}

func (s *sketch) swap(a, b *entry) {
	a.place, b.place = b.place, a.place
	s.entries[a.place], s.entries[b.place] = a, b
}
