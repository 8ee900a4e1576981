package cache

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"
)

// shard is a segmented LRU. What is new enters on probation and is protected
// when it is asked for again; room is made by giving up what has been on
// probation longest. Names that are asked for once, such as those of a flood of
// random names, only ever push out each other. What is asked for again after a
// flood has washed it away is known by its ghost, and protected at once.
type shard struct {
	mu        sync.Mutex
	probation *segment
	protected *segment
	ghosts    ghosts
	entries   int   // budget
	bytes     int64 // budget
	changes   atomic.Uint64
}

// segment is an LRU that knows its bytes; what bounds it is its shard. It is keyed
// by the hashes of keys: that is small, and whoever finds an entry looks whether it
// is that of the key. Of two keys with one hash the newer is held.
type segment struct {
	*simplelru.LRU[uint64, *entry]
	bytes int64
}

const (
	// protectedShare is how much of a shard, in percent, may be protected. The rest
	// is what a new name has to be asked for again.
	protectedShare = 80
	// usualBytes is about what an entry takes: a budget of bytes is not expected to
	// hold more entries than there are as many bytes for.
	usualBytes = 512
)

func newSegment() *segment {
	lru, err := simplelru.NewLRU[uint64, *entry](math.MaxInt, nil)
	if err != nil { // only of a size that is not positive
		panic(err)
	}
	return &segment{LRU: lru}
}

// best is the entry that answers k, and the hash it is held under: its own or the
// denial of its name, what is fresh before what is stale, and of two that are stale
// the newer.
func (sh *shard) best(k *key, now moment, rules ageing) (uint64, *entry) {
	own := sh.peek(k.exact, k, false)
	if own != nil && now < own.expires || k.question.Type == dns.TypeDS { // which no denial is for
		return k.exact, own
	}
	denial := sh.peek(k.denial, k, true)
	switch {
	case denial == nil:
		return k.exact, own
	case own == nil, now < denial.expires, own.asOf < denial.asOf, !own.usable(now, rules):
		return k.denial, denial
	default:
		return k.exact, own
	}
}

// peek gives what is held for k under a hash, without taking that for interest in it.
func (sh *shard) peek(hash uint64, k *key, denial bool) *entry {
	e, ok := sh.protected.Peek(hash)
	if !ok {
		if e, ok = sh.probation.Peek(hash); !ok {
			return nil
		}
	}
	if e.denies() != denial || !denial && e.qtype != k.question.Type || !e.of(k) {
		return nil
	}
	return e
}

// keep holds e under hash.
func (sh *shard) keep(hash uint64, e *entry) {
	switch {
	case int64(e.size) > sh.bytes:
		sh.remove(hash)
	case sh.protected.Contains(hash) || !e.traits.has(failure) && sh.ghosts.forget(hash):
		sh.probation.remove(hash)
		sh.protect(hash, e)
	default:
		sh.probation.add(hash, e)
	}
}

// forget gives up what is held for k under a hash.
func (sh *shard) forget(hash uint64, k *key, denial bool) {
	if sh.peek(hash, k, denial) != nil {
		sh.remove(hash)
	}
}

// held is how many entries and bytes are in the shard.
func (sh *shard) held() (int, int64) {
	return sh.probation.Len() + sh.protected.Len(), sh.probation.bytes + sh.protected.bytes + sh.ghosts.bytes()
}

// protect adds e to what is protected, or replaces it there. Those that have not
// been asked for longest go back on probation to make room for it.
func (sh *shard) protect(hash uint64, e *entry) {
	sh.protected.add(hash, e)
	for sh.protected.Len()*100 > sh.entries*protectedShare ||
		sh.protected.bytes*100 > sh.bytes*protectedShare {
		sh.probation.add(sh.protected.removeOldest())
	}
}

func (sh *shard) remove(hash uint64) {
	sh.probation.remove(hash)
	sh.protected.remove(hash)
}

// evict gives up an entry if one of the budgets is exceeded; nil if none is.
func (sh *shard) evict() *entry {
	entries, bytes := sh.held()
	if entries == 0 || entries <= sh.entries && bytes <= sh.bytes {
		return nil
	}
	from := sh.probation
	if from.Len() == 0 {
		from = sh.protected
	}
	hash, e := from.removeOldest()
	sh.ghosts.remember(hash)
	return e
}

// touch takes the entry of a hash for asked for, and tells whether it is here.
func (seg *segment) touch(hash uint64) bool {
	_, ok := seg.Get(hash)
	return ok
}

func (seg *segment) add(hash uint64, e *entry) {
	if old, ok := seg.Peek(hash); ok {
		seg.bytes -= int64(old.size)
	}
	seg.bytes += int64(e.size)
	seg.LRU.Add(hash, e)
}

func (seg *segment) remove(hash uint64) {
	if e, ok := seg.Peek(hash); ok {
		seg.bytes -= int64(e.size)
		seg.LRU.Remove(hash)
	}
}

func (seg *segment) removeOldest() (uint64, *entry) {
	hash, e, ok := seg.LRU.RemoveOldest()
	if ok {
		seg.bytes -= int64(e.size)
	}
	return hash, e
}
