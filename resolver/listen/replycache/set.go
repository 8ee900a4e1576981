package replycache

import "sync/atomic"

// ways is how many replies a set holds: as many tags as fit a word.
const ways = 8

// set is the replies whose keys share a part of their hash. The tags say in one
// word which of them may be meant, so that a look goes to one reply as a rule.
type set struct {
	tags atomic.Uint64 // one octet for each way, 0 for none
	ways [ways]atomic.Pointer[Reply]
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// tagOf is the part of a hash that tells the replies of a set apart, never 0.
func tagOf(hash uint64) uint64 { return hash>>56 | 1 }

// candidates has the highest bit of an octet set for every way with the tag, and seldom for
// another.
func (s *set) candidates(tag uint64) uint64 {
	differ := s.tags.Load() ^ tag*lowBits
	return (differ - lowBits) &^ differ & highBits
}

// place chooses the way for a reply: where its key stands already, else an empty
// one unless room must be made, else the one that is worth the least. Callers
// hold the lock of the set.
func (s *set) place(reply *Reply, makeRoom bool) int {
	empty, worst := -1, -1
	for way := range s.ways {
		held := s.ways[way].Load()
		switch {
		case held == nil:
			empty = way
		case held.hash == reply.hash && string(held.key) == string(reply.key):
			return way
		case worst < 0 || held.worth(reply.AsOf).below(s.ways[worst].Load().worth(reply.AsOf)):
			worst = way
		}
	}
	if worst < 0 || empty >= 0 && !makeRoom {
		return empty
	}
	return worst
}

// remove empties a way.
func (s *set) remove(c *Cache, way int) {
	held := s.ways[way].Load()
	if held == nil {
		return
	}
	s.tag(way, 0)
	s.ways[way].Store(nil)
	c.bytes.Add(-held.size())
}

// tag writes the tag of a way. Only holders of the lock write.
func (s *set) tag(way int, tag uint64) {
	s.tags.Store(s.tags.Load()&^(0xFF<<(8*way)) | tag<<(8*way))
}
