package cache

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

// store holds the entries within a budget of entries and one of bytes. It is cut
// into shards, each with its own lock and an equal part of both budgets. All that
// is said to one name is in one shard.
type store struct {
	seed     maphash.Seed
	shards   []shard
	rules    ageing
	observer Observer
	epoch    atomic.Uint64 // counts flushes
}

// ageing is the part of a Config that says how answers grow old.
type ageing struct {
	stale    time.Duration // how long an answer may be used after it has expired
	recheck  time.Duration // how long a failed refresh keeps clients from waiting for another
	quiet    time.Duration // the least time between two refreshes in the background
	prefetch bool
}

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
			lru:     newLRU(),
			ghosts:  ghosts{entries: max(1, min(entries, int(bytes/usualBytes)))},
			entries: entries,
			bytes:   bytes,
		}
	}
	return s
}

// shardOf gives the shard of the name of k.
func (s *store) shardOf(k *key) *shard { return &s.shards[k.denial%uint64(len(s.shards))] }

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
	failing bool   // a refresh failed not long ago: do not wait for another
	due     bool   // whoever gets this should have it refreshed in the background
	changes uint64 // of the shard so far
}

// look gives what is known of k now. To be looked for is what earns an entry a
// second chance, unless it is the memory of a failure.
func (s *store) look(k *key, now moment) found {
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	hash, e := sh.best(k, now, s.rules)
	if e == nil {
		return found{changes: sh.changes.Load()}
	}
	if !e.traits.has(failure) {
		if !e.wanted {
			e.wanted = true
			sh.wanted++
		}
		sh.lru.Get(hash) // which puts it in front
	}
	switch {
	case now < e.expires:
		e.hits++
		return found{state: fresh, entry: e, due: s.rules.prefetch && e.ending(now) && e.call(now, s.rules)}
	case e.usable(now, s.rules):
		failing := e.failed != 0 && now < e.failed+s.rules.recheck
		return found{state: stale, entry: e, failing: failing, due: failing && e.call(now, s.rules), changes: sh.changes.Load()}
	default:
		return found{changes: sh.changes.Load()}
	}
}

// fresh gives what has become known of k since a look that found nothing fresh, when the
// shard had had so many changes, without taking this one for interest in it; nil if there
// is nothing.
func (s *store) fresh(k *key, now moment, changes uint64) *entry {
	sh := s.shardOf(k)
	if sh.changes.Load() == changes {
		return nil
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, e := sh.best(k, now, s.rules); e != nil && now < e.expires {
		return e
	}
	return nil
}

// put keeps e under k, in the place of what was there; nil gives up what is held for k,
// the denial of its name included. A failure does not take the place of an answer that
// may still be told; a denial of the name takes that of its own type's, and any other
// answer that of the denial. It does nothing if there has been a flush since epoch: what
// was asked before a flush is not news after it.
func (s *store) put(k *key, e *entry, epoch uint64) {
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.epoch.Load() != epoch {
		return
	}
	sh.changes.Add(1)
	switch {
	case e == nil:
		sh.forget(k.exact, k, false)
		sh.forget(k.denial, k, true)
	case e.traits.has(failure):
		if _, old := sh.best(k, e.asOf, s.rules); old != nil && old.usable(e.asOf, s.rules) {
			old.failed = e.asOf
			return
		}
		sh.keep(k.exact, e)
	case e.denies():
		sh.forget(k.exact, k, false)
		sh.keep(k.denial, e)
	default:
		sh.forget(k.denial, k, true)
		sh.keep(k.exact, e)
	}
	for old := sh.evict(); old != nil; old = sh.evict() {
		s.observer.CacheEvent(old.group, Evicted)
	}
}

// fail notes that a refresh of e, which is held under k, has failed.
func (s *store) fail(k *key, e *entry, now moment) {
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e.failed = now
}

// held is how many entries there are, and the memory of them and of what manages them.
func (s *store) held() (entries int, bytes int64) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		count, size := sh.held()
		sh.mu.Unlock()
		entries, bytes = entries+count, bytes+size
	}
	return entries, bytes
}

// removeIf gives up every entry that matches, and tells how many they were.
func (s *store) removeIf(match func(*entry) bool) int {
	s.epoch.Add(1) // first: what is put from now on either sees it or is removed below
	removed := 0
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, hash := range sh.lru.Keys() {
			if e, ok := sh.lru.Peek(hash); ok && match(e) {
				sh.remove(hash)
				removed++
			}
		}
		if left, _ := sh.held(); left == 0 {
			sh.ghosts.table = nil
		}
		sh.mu.Unlock()
	}
	return removed
}
