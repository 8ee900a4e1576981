package cache

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// store holds the entries within a budget of entries and one of bytes. It is cut
// into shards, each with its own lock and an equal part of both budgets.
type store struct {
	seed     maphash.Seed
	shards   []shard
	rules    ageing
	observer Observer

	entries atomic.Int64 // of all shards
	bytes   atomic.Int64
	epoch   atomic.Uint64 // counts flushes
}

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
}

// segment is an LRU that knows its bytes; what bounds it is its shard.
type segment struct {
	*simplelru.LRU[key, *entry]
	bytes int64
}

// protectedShare is how much of a shard, in percent, may be protected. The rest
// is what a new name has to be asked for again.
const protectedShare = 80

// newStore makes a store of count shards.
func newStore(config Config, count int) *store {
	s := &store{
		seed:   maphash.MakeSeed(),
		shards: make([]shard, count),
		rules: ageing{
			stale:    config.Stale,
			recheck:  config.Recheck,
			quiet:    config.FailureTTL,
			prefetch: config.Prefetch,
		},
		observer: config.Observer,
	}
	for i := range s.shards {
		entries := max(config.Entries/count, 1)
		s.shards[i] = shard{
			probation: newSegment(),
			protected: newSegment(),
			ghosts:    ghosts{entries: entries},
			entries:   entries,
			bytes:     config.Bytes / int64(count),
		}
	}
	return s
}

func newSegment() *segment {
	lru, err := simplelru.NewLRU[key, *entry](math.MaxInt, nil)
	if err != nil { // only of a size that is not positive
		panic(err)
	}
	return &segment{LRU: lru}
}

// shardOf gives the shard of k, and the hash of k.
func (s *store) shardOf(k key) (*shard, uint64) {
	hash := k.hash(s.seed)
	return &s.shards[hash%uint64(len(s.shards))], hash
}

// look gives what is known of k now. To be looked for is what earns an entry its
// protection, unless it is the memory of a failure.
func (s *store) look(k key, now moment) found {
	sh, _ := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e, ok := sh.protected.Get(k); ok {
		return e.at(now, s.rules)
	}
	e, ok := sh.probation.Peek(k)
	if !ok {
		return found{}
	}
	if !e.failure {
		sh.probation.remove(k)
		sh.protect(k, e)
	}
	return e.at(now, s.rules)
}

// put keeps e under k, in the place of what was there; but a failure does not
// take the place of an answer that may still be told. It does nothing if there
// has been a flush since epoch: what was asked before a flush is not news after it.
func (s *store) put(k key, e *entry, epoch uint64) {
	e.size = sizeOf(k, e)
	s.change(k, epoch, func(sh *shard, hash uint64) {
		if old, ok := sh.peek(k); ok && e.failure && old.usable(e.asOf, s.rules) {
			old.failed = e.asOf
			return
		}
		switch {
		case e.size > sh.bytes:
			sh.remove(k)
		case sh.protected.Contains(k) || !e.failure && sh.ghosts.forget(hash):
			sh.probation.remove(k)
			sh.protect(k, e)
		default:
			sh.probation.add(k, e)
		}
	})
}

// fail notes that a refresh of k has failed.
func (s *store) fail(k key, now moment) {
	sh, _ := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e, ok := sh.peek(k); ok {
		e.failed = now
	}
}

// drop gives up what is held under k.
func (s *store) drop(k key, epoch uint64) {
	s.change(k, epoch, func(sh *shard, _ uint64) { sh.remove(k) })
}

// change applies work to the shard of k, and keeps the budgets and the books.
func (s *store) change(k key, epoch uint64, work func(sh *shard, hash uint64)) {
	sh, hash := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.epoch.Load() != epoch {
		return
	}
	entries, bytes := sh.held()
	work(sh, hash)
	sh.makeRoom(func(evicted key) {
		sh.ghosts.remember(evicted.hash(s.seed))
		s.observer.CacheEvent(evicted.group, Evicted)
	})
	s.account(sh, entries, bytes)
}

// account books what has changed in sh since it held entries and bytes.
func (s *store) account(sh *shard, entries int, bytes int64) {
	entriesNow, bytesNow := sh.held()
	s.observer.CacheSize(
		int(s.entries.Add(int64(entriesNow-entries))),
		s.bytes.Add(bytesNow-bytes))
}

// removeIf gives up every entry whose key matches, and tells how many they were.
func (s *store) removeIf(match func(key) bool) int {
	s.epoch.Add(1) // first: what is put from now on either sees it or is removed below
	removed := 0
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		entries, bytes := sh.held()
		for _, seg := range []*segment{sh.probation, sh.protected} {
			for _, k := range seg.Keys() {
				if match(k) {
					seg.remove(k)
					removed++
				}
			}
		}
		s.account(sh, entries, bytes)
		sh.mu.Unlock()
	}
	return removed
}

// held is how many entries and bytes are in the shard.
func (sh *shard) held() (int, int64) {
	return sh.probation.Len() + sh.protected.Len(), sh.probation.bytes + sh.protected.bytes
}

// protect adds e to what is protected, or replaces it there. Those that have not
// been asked for longest go back on probation to make room for it.
func (sh *shard) protect(k key, e *entry) {
	sh.protected.add(k, e)
	for sh.protected.Len()*100 > sh.entries*protectedShare ||
		sh.protected.bytes*100 > sh.bytes*protectedShare {
		sh.probation.add(sh.protected.removeOldest())
	}
}

// peek gives what is held under k, without taking that for interest in it.
func (sh *shard) peek(k key) (*entry, bool) {
	if e, ok := sh.protected.Peek(k); ok {
		return e, true
	}
	return sh.probation.Peek(k)
}

func (sh *shard) remove(k key) {
	sh.probation.remove(k)
	sh.protected.remove(k)
}

// makeRoom gives up entries until both budgets are kept.
func (sh *shard) makeRoom(evicted func(key)) {
	for {
		entries, bytes := sh.held()
		if entries <= sh.entries && bytes <= sh.bytes {
			return
		}
		from := sh.probation
		if from.Len() == 0 {
			from = sh.protected
		}
		k, _ := from.removeOldest()
		evicted(k)
	}
}

func (seg *segment) add(k key, e *entry) {
	if old, ok := seg.Peek(k); ok {
		seg.bytes -= old.size
	}
	seg.bytes += e.size
	seg.LRU.Add(k, e)
}

func (seg *segment) remove(k key) {
	if e, ok := seg.Peek(k); ok {
		seg.bytes -= e.size
		seg.LRU.Remove(k)
	}
}

func (seg *segment) removeOldest() (key, *entry) {
	k, e, ok := seg.LRU.RemoveOldest()
	if ok {
		seg.bytes -= e.size
	}
	return k, e
}
