package replycache

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of one Cache. A reply of a private endpoint takes about 400 bytes
// with its key, so the first bound is the one that is reached.
const (
	maxReplies = 1 << 16
	maxBytes   = 48 << 20
)

// Cache holds replies. It may be used by any number of goroutines; Get takes no
// lock and allocates nothing.
//
// It is cut into sets of eight places. A question can stand in the places of one
// set only, so that putting one in moves nothing, and the whole can neither grow
// nor need a sweep.
type Cache struct {
	seed       maphash.Seed
	start      time.Time
	sets       []set
	locks      [64]sync.Mutex // of the sets, in turn; held by writers
	bytes      atomic.Int64
	limit      int64
	generation atomic.Uint64
}

// New makes an empty reply cache.
func New() *Cache { return newCache(maxReplies, maxBytes) }

// newCache makes a reply cache for so many replies, a power of two not below eight, that
// take so many bytes at most.
func newCache(replies int, limit int64) *Cache {
	return &Cache{
		seed:  maphash.MakeSeed(),
		start: time.Now(),
		sets:  make([]set, replies/ways),
		limit: limit,
	}
}

// Moment is a time as the span since the Cache was made, so that comparing two is
// cheap.
type Moment time.Duration

// At is the moment of a time.
func (c *Cache) At(t time.Time) Moment { return Moment(t.Sub(c.start)) }

// Generation counts the calls of Forget. A reply is put in with the generation
// that was current before its answer was decided.
func (c *Cache) Generation() uint64 { return c.generation.Load() }

// Forget drops every reply: those that are in it now, and those whose answers are
// being decided now.
func (c *Cache) Forget() {
	c.generation.Add(1)
	for i := range c.sets {
		lock := c.lock(i)
		for way := range c.sets[i].ways {
			c.sets[i].remove(c, way)
		}
		lock.Unlock()
	}
}

// Get gives the reply that is remembered under the key, nil when there is none
// that may be used at this moment. The key is only read.
func (c *Cache) Get(key []byte, now Moment) *Reply {
	hash := maphash.Bytes(c.seed, key)
	s := &c.sets[hash%uint64(len(c.sets))]
	for found := s.candidates(tagOf(hash)); found != 0; found &= found - 1 {
		reply := s.ways[wayOf(found)].Load()
		if reply == nil || reply.hash != hash || !bytes.Equal(reply.key, key) {
			continue
		}
		if now >= reply.expires || reply.generation != c.generation.Load() {
			return nil
		}
		reply.touch(now)
		return reply
	}
	return nil
}

// Put remembers a reply, in the place of the one with the same key. Neither key
// nor message is kept. It does nothing if the cache has been told to forget since
// the generation of the entry, or if there is no room for as much.
func (c *Cache) Put(key []byte, e Entry) {
	hash := maphash.Bytes(c.seed, key)
	reply := newReply(key, hash, e)
	at := int(hash % uint64(len(c.sets)))
	defer c.lock(at).Unlock()
	if c.generation.Load() != e.Generation {
		return
	}
	s := &c.sets[at]
	way := s.place(reply, c.bytes.Load()+reply.size() > c.limit)
	s.remove(c, way)
	if c.bytes.Add(reply.size()) > c.limit {
		c.bytes.Add(-reply.size())
		return
	}
	s.put(way, reply)
}

// Len is how many replies are held, those that have expired included.
func (c *Cache) Len() int {
	held := 0
	for i := range c.sets {
		for way := range c.sets[i].ways {
			if c.sets[i].ways[way].Load() != nil {
				held++
			}
		}
	}
	return held
}

// Bytes is the memory that the replies take, about.
func (c *Cache) Bytes() int64 { return c.bytes.Load() }

// lock locks a set for writing.
func (c *Cache) lock(set int) *sync.Mutex {
	lock := &c.locks[set%len(c.locks)]
	lock.Lock()
	return lock
}
