package memo

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of one Memo. A reply of a private endpoint takes about 400 bytes
// with its key, so the first bound is the one that is reached.
const (
	maxReplies = 1 << 16
	maxBytes   = 48 << 20
)

// Memo holds replies. It may be used by any number of goroutines; Get takes no
// lock and allocates nothing.
//
// It is cut into sets of eight places. A question can stand in the places of one
// set only, so that putting one in moves nothing, and the whole can neither grow
// nor need a sweep.
type Memo struct {
	seed       maphash.Seed
	start      time.Time
	sets       []set
	locks      [64]sync.Mutex // of the sets, in turn; held by writers
	bytes      atomic.Int64
	limit      int64
	generation atomic.Uint64
}

// New makes an empty memo.
func New() *Memo { return newMemo(maxReplies, maxBytes) }

// newMemo makes a memo for so many replies, a power of two not below eight, that
// take so many bytes at most.
func newMemo(replies int, limit int64) *Memo {
	return &Memo{
		seed:  maphash.MakeSeed(),
		start: time.Now(),
		sets:  make([]set, replies/ways),
		limit: limit,
	}
}

// Moment is a time as the span since the Memo was made, so that comparing two is
// cheap.
type Moment time.Duration

// At is the moment of a time.
func (m *Memo) At(t time.Time) Moment { return Moment(t.Sub(m.start)) }

// Generation counts the calls of Forget. A reply is put in with the generation
// that was current before its answer was decided.
func (m *Memo) Generation() uint64 { return m.generation.Load() }

// Forget drops every reply: those that are in it now, and those whose answers are
// being decided now.
func (m *Memo) Forget() {
	m.generation.Add(1)
	for i := range m.sets {
		lock := m.lock(i)
		for way := range m.sets[i].ways {
			m.sets[i].remove(m, way)
		}
		lock.Unlock()
	}
}

// Get gives the reply that is remembered under the key, nil when there is none
// that may be used at this moment. The key is only read.
func (m *Memo) Get(key []byte, now Moment) *Reply {
	hash := maphash.Bytes(m.seed, key)
	s := &m.sets[hash%uint64(len(m.sets))]
	for found := s.candidates(tagOf(hash)); found != 0; found &= found - 1 {
		reply := s.ways[wayOf(found)].Load()
		if reply == nil || reply.hash != hash || !bytes.Equal(reply.key, key) {
			continue
		}
		if now >= reply.expires || reply.generation != m.generation.Load() {
			return nil
		}
		reply.touch(now)
		return reply
	}
	return nil
}

// Put remembers a reply, in the place of the one with the same key. Neither key
// nor message is kept. It does nothing if the memo has been told to forget since
// the generation of the entry, or if there is no room for as much.
func (m *Memo) Put(key []byte, e Entry) {
	hash := maphash.Bytes(m.seed, key)
	reply := newReply(key, hash, e)
	at := int(hash % uint64(len(m.sets)))
	defer m.lock(at).Unlock()
	if m.generation.Load() != e.Generation {
		return
	}
	s := &m.sets[at]
	way := s.place(reply, m.bytes.Load()+reply.size > m.limit)
	s.remove(m, way)
	if m.bytes.Add(reply.size) > m.limit {
		m.bytes.Add(-reply.size)
		return
	}
	s.put(way, reply)
}

// Len is how many replies are held, those that have expired included.
func (m *Memo) Len() int {
	held := 0
	for i := range m.sets {
		for way := range m.sets[i].ways {
			if m.sets[i].ways[way].Load() != nil {
				held++
			}
		}
	}
	return held
}

// Bytes is the memory that the replies take, about.
func (m *Memo) Bytes() int64 { return m.bytes.Load() }

// lock locks a set for writing.
func (m *Memo) lock(set int) *sync.Mutex {
	lock := &m.locks[set%len(m.locks)]
	lock.Lock()
	return lock
}
