package cache

import (
	"iter"
	"time"

	"pldns/resolver"
	"pldns/zones"
)

// Entry is one thing the cache holds, for people to look at.
type Entry struct {
	Group    string
	Question resolver.Question
	// Reply is what was said, with the TTLs that are left of it. What is in it is
	// shared and must not be changed.
	Reply resolver.Reply
	// Err is the error of a remembered failure that has no reply.
	Err error
	// Left is the time until it expires; negative is the time since.
	Left time.Duration
	// Failing says that the upstream has failed to refresh it.
	Failing bool
	// Protected says that it was asked for again since it first came in, so that
	// it is given up after what was not.
	Protected bool
	Hits      int // since it was last refreshed
	Bytes     int64
}

// Dump goes through what every group said about name, and with subtree about all
// names below it, in no order, expired entries and failures included. It reads a
// part at a time: what changes meanwhile may be missing or be given twice. The
// caller may stop when it has seen enough.
func (c *Cache) Dump(name zones.Name, subtree bool) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		now := c.now()
		for i := range c.store.shards {
			for _, e := range c.store.shards[i].entriesOf(name, subtree) {
				if !yield(e.at(now, c.store.rules)) {
					return
				}
			}
		}
	}
}

// at is what people are shown of an entry.
func (e *entry) at(now moment, rules ageing) Entry {
	asked := e.question()
	stale := now >= e.expires && e.usable(now, rules) && e.failed != 0
	reply, err := e.reply(now, stale)
	return Entry{
		Group:     e.group,
		Question:  asked,
		Reply:     reply.Unpacked(),
		Err:       err,
		Left:      e.expires - now,
		Failing:   e.failed != 0,
		Protected: e.wanted,
		Hits:      int(e.hits),
		Bytes:     int64(e.size),
	}
}

// entriesOf copies the entries of the given names, so that they can be shown
// without keeping the lock.
func (sh *shard) entriesOf(name zones.Name, subtree bool) []entry {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var entries []entry
	for _, e := range sh.lru.Values() {
		if e.about(name, subtree) {
			entries = append(entries, *e)
		}
	}
	return entries
}
