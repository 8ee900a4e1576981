package replycache

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pldns/resolver/wire"
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
		reply := s.ways[bits.TrailingZeros64(found)/8].Load()
		if reply == nil || reply.hash != hash || !bytes.Equal(reply.key, key) {
			continue
		}
		if now >= reply.Expires || reply.Generation != c.generation.Load() {
			return nil
		}
		// That it is given out is noted once in a second, so that the processors that read
		// it do not take it from each other.
		if second := int64(now/Moment(time.Second)) + 1; reply.used.Load() != second {
			reply.used.Store(second)
		}
		return reply
	}
	return nil
}

// Put remembers a reply, in the place of the one with the same key. Neither key
// nor message is kept. It does nothing if the cache has been told to forget since
// the generation of the entry, or if there is no room for as much.
func (c *Cache) Put(key []byte, e Entry) {
	hash, both := maphash.Bytes(c.seed, key), slices.Concat(key, e.Message)
	reply := &Reply{hash: hash, key: both[:len(key):len(key)], Entry: e}
	reply.Message, reply.TTLs = both[len(key):], slices.Clone(e.TTLs)
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
	s.ways[way].Store(reply)
	s.tag(way, tagOf(hash))
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

// Asks are the things besides the question that a reply depends on.
type Asks uint16

// What a query may ask for in its header and its OPT record. The bits of the header are
// where they are there.
const (
	Header = Asks(wire.RD | wire.AD | wire.CD)

	EDNS Asks = 1 << 0 // it has an OPT record
	DO   Asks = 1 << 1
	// TCP, TLS, HTTPS, QUIC and HTTP3 are not asked for: they keep apart what is counted apart.
	TCP   Asks = 1 << 2
	TLS   Asks = 1 << 3
	HTTPS Asks = 1 << 6
	QUIC  Asks = 1 << 7
	HTTP3 Asks = 1 << 9
)

// keyHead is the length of a key without its question.
const keyHead = 6

// MaxKey is the length of the longest key: names have at most 255 octets (RFC
// 1035 section 2.3.4), and a type and a class follow.
const MaxKey = keyHead + 255 + 4

// AppendKey appends the key of a question to b: who asks, by the number of its
// network, what else the reply depends on, and the question as it stands in the
// message, in lower case (RFC 4343). The question is well formed.
func AppendKey(b []byte, network uint32, asks Asks, question []byte) []byte {
	b = append(b, byte(network>>24), byte(network>>16), byte(network>>8), byte(network), byte(asks>>8), byte(asks))
	start := len(b)
	b = append(b, question...)
	// Lengths of labels are below 64, so they are never taken for letters.
	name := b[start : len(b)-4]
	for i, octet := range name {
		if octet-'A' < 26 {
			name[i] = octet | 0x20
		}
	}
	return b
}
