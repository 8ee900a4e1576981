package cache

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"
)

// store holds the entries within a budget of entries and one of bytes. It is cut
// into shards, each with its own lock and an equal part of both budgets. All that
// is said to one name is in one shard.
type store struct {
	seed     maphash.Seed
	shards   []shard
	rules    ageing
	observer Observer

	entries atomic.Int64 // of all shards
	bytes   atomic.Int64
	epoch   atomic.Uint64 // counts flushes
}

// ageing is the part of a Config that says how answers grow old.
type ageing struct {
	stale    time.Duration // how long an answer may be used after it has expired
	recheck  time.Duration // how long a failed refresh keeps clients from waiting for another
	quiet    time.Duration // the least time between two refreshes in the background
	prefetch bool
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
		entries, bytes := max(config.Entries/count, 1), config.Bytes/int64(count)
		s.shards[i] = shard{
			probation: newSegment(),
			protected: newSegment(),
			ghosts:    ghosts{entries: max(1, min(entries, int(bytes/usualBytes)))},
			entries:   entries,
			bytes:     bytes,
		}
	}
	return s
}

func newSegment() *segment {
	lru, err := simplelru.NewLRU[uint64, *entry](math.MaxInt, nil)
	if err != nil { // only of a size that is not positive
		panic(err)
	}
	return &segment{LRU: lru}
}

// shardOf gives the shard of the name of k.
func (s *store) shardOf(k key) *shard { return &s.shards[k.base%uint64(len(s.shards))] }

// state is what an entry is good for at some moment.
type state uint8

const (
	absent state = iota // nothing, or nothing that may be used
	fresh               // an answer
	stale               // an answer if there is no better one
)

// found is what a look at the store gives.
type found struct {
	state   state
	entry   *entry
	failing bool // a refresh failed not long ago: do not wait for another
	due     bool // whoever gets this should have it refreshed in the background
}

// look gives what is known of k now. To be looked for is what earns an entry its
// protection, unless it is the memory of a failure.
func (s *store) look(k key, now moment) found {
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	hash, e := sh.best(k, now, s.rules)
	if e == nil {
		return found{}
	}
	if !e.traits.has(failure) && !sh.protected.touch(hash) {
		sh.probation.remove(hash)
		sh.protect(hash, e)
	}
	switch {
	case now < e.expires:
		e.hits++
		return found{state: fresh, entry: e, due: s.rules.prefetch && e.ending(now) && e.call(now, s.rules)}
	case e.usable(now, s.rules):
		failing := e.failed != 0 && now < e.failed+s.rules.recheck
		return found{state: stale, entry: e, failing: failing, due: failing && e.call(now, s.rules)}
	default:
		return found{}
	}
}

// fresh gives what is known of k and has not expired, without taking the look for
// interest in it; nil if there is nothing.
func (s *store) fresh(k key, now moment) *entry {
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, e := sh.best(k, now, s.rules); e != nil && now < e.expires {
		return e
	}
	return nil
}

// best is the entry that answers k, and the hash it is held under: its own or the
// denial of its name, what is fresh before what is stale, and of two that are stale
// the newer.
func (sh *shard) best(k key, now moment, rules ageing) (uint64, *entry) {
	own := sh.peek(k.exact(), k, false)
	if own != nil && now < own.expires {
		return k.exact(), own
	}
	denial := sh.denial(k)
	switch {
	case denial == nil:
		return k.exact(), own
	case own == nil, now < denial.expires, own.asOf < denial.asOf, !own.usable(now, rules):
		return k.denial(), denial
	default:
		return k.exact(), own
	}
}

// denial is the denial of the name of k; nil if there is none, or none that is for
// the type of k.
func (sh *shard) denial(k key) *entry {
	if k.question.Type == dns.TypeDS {
		return nil
	}
	return sh.peek(k.denial(), k, true)
}

// peek gives what is held for k under a hash, without taking that for interest in it.
func (sh *shard) peek(hash uint64, k key, denial bool) *entry {
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

// put keeps e under k, in the place of what was there. A failure does not take the
// place of an answer that may still be told; a denial of the name takes that of its
// own type's, and any other answer that of the denial. It does nothing if there has
// been a flush since epoch: what was asked before a flush is not news after it.
func (s *store) put(k key, e *entry, epoch uint64) {
	s.change(k, epoch, func(sh *shard) {
		if e.traits.has(failure) {
			if _, old := sh.best(k, e.asOf, s.rules); old != nil && old.usable(e.asOf, s.rules) {
				old.failed = e.asOf
				return
			}
		}
		hash := k.exact()
		switch {
		case e.denies():
			sh.forget(k.exact(), k, false)
			hash = k.denial()
		case !e.traits.has(failure):
			sh.forget(k.denial(), k, true)
		}
		sh.keep(hash, e)
	})
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
func (sh *shard) forget(hash uint64, k key, denial bool) {
	if sh.peek(hash, k, denial) != nil {
		sh.remove(hash)
	}
}

// fail notes that a refresh of e, which is held under k, has failed.
func (s *store) fail(k key, e *entry, now moment) {
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e.failed = now
}

// drop gives up what is held for k, the denial of its name included.
func (s *store) drop(k key, epoch uint64) {
	s.change(k, epoch, func(sh *shard) {
		sh.forget(k.exact(), k, false)
		sh.forget(k.denial(), k, true)
	})
}

// change applies work to the shard of k, and keeps the budgets and the books.
func (s *store) change(k key, epoch uint64, work func(sh *shard)) {
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.epoch.Load() != epoch {
		return
	}
	entries, bytes := sh.held()
	work(sh)
	sh.makeRoom(func(hash uint64, evicted *entry) {
		sh.ghosts.remember(hash)
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

// removeIf gives up every entry that matches, and tells how many they were.
func (s *store) removeIf(match func(*entry) bool) int {
	s.epoch.Add(1) // first: what is put from now on either sees it or is removed below
	removed := 0
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		entries, bytes := sh.held()
		for _, seg := range []*segment{sh.probation, sh.protected} {
			for _, hash := range seg.Keys() {
				if e, ok := seg.Peek(hash); ok && match(e) {
					seg.remove(hash)
					removed++
				}
			}
		}
		if left, _ := sh.held(); left == 0 {
			sh.ghosts.table = nil
		}
		s.account(sh, entries, bytes)
		sh.mu.Unlock()
	}
	return removed
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

// makeRoom gives up entries until both budgets are kept.
func (sh *shard) makeRoom(evicted func(uint64, *entry)) {
	for {
		entries, bytes := sh.held()
		if entries == 0 || entries <= sh.entries && bytes <= sh.bytes {
			return
		}
		from := sh.probation
		if from.Len() == 0 {
			from = sh.protected
		}
		evicted(from.removeOldest())
	}
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
