package replycache

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

	"pldns/resolver"
)

// questionAt is where the question of a message begins, after the header (RFC
// 1035 section 4.1.1).
const questionAt = 12

// replyBytes is what a reply takes besides its key and message.
const replyBytes = 192

// Tally counts the queries that a reply was given to. Add is called by many
// goroutines at once; took is the time that each of the queries took.
type Tally interface {
	Add(queries int, took time.Duration)
}

// Entry is what is put into a Cache.
type Entry struct {
	Message []byte   // as it was sent
	TTLs    []uint16 // offsets of the TTLs in it that count down; nil for none
	AsOf    Moment   // when its TTLs were right
	Expires Moment   // when it may not be used any more
	// Generation is the Cache's before the answer was decided.
	Generation uint64
	// Tally counts the queries it is given to. It must not be nil.
	Tally Tally
	// Account is given back with the reply: what it counts to, for whoever keeps count.
	Account uint64
	// Source is given back with the reply: where its answer came from.
	Source resolver.Source
}

// Forever is the end of what is right as long as its snapshot.
const Forever = Moment(1<<63 - 1)

// Reply is a remembered reply. What every look reads stands in front, so that it
// lies in as few lines of the processor's cache as can be: where packets come one by
// one, each line that must be fetched costs about as much as everything else here.
type Reply struct {
	hash       uint64
	key        []byte
	message    []byte
	expires    Moment
	generation uint64
	tally      Tally
	used       atomic.Int64 // the second in which it was last given out, plus 1; 0 for never
	asOf       Moment
	ttls       []uint16
	account    uint64
	source     resolver.Source
}

func newReply(key []byte, hash uint64, e Entry) *Reply {
	both := slices.Concat(key, e.Message)
	return &Reply{
		hash:       hash,
		key:        both[:len(key):len(key)],
		message:    both[len(key):],
		ttls:       slices.Clone(e.TTLs),
		asOf:       e.AsOf,
		expires:    e.Expires,
		generation: e.Generation,
		tally:      e.Tally,
		account:    e.Account,
		source:     e.Source,
	}
}

// Len is the number of octets of the message.
func (r *Reply) Len() int { return len(r.message) }

// Tally counts the queries that the reply is given to.
func (r *Reply) Tally() Tally { return r.tally }

// Account is what the reply was put in with.
func (r *Reply) Account() uint64 { return r.account }

// Source is what the reply was put in with.
func (r *Reply) Source() resolver.Source { return r.source }

// size is the memory that the reply takes, about.
func (r *Reply) size() int64 { return int64(replyBytes + len(r.key) + len(r.message) + 2*len(r.ttls)) }

// Write writes the message into out, which has room for Len octets, as the reply
// to a query: with its id, with its question in its own letter case (the same as
// the remembered one in any other respect), with the TTLs of this moment.
func (r *Reply) Write(out []byte, id uint16, question []byte, now Moment) []byte {
	out = out[:copy(out, r.message)]
	binary.BigEndian.PutUint16(out, id)
	copy(out[questionAt:], question)
	passed := uint32((now - r.asOf) / Moment(time.Second))
	if passed == 0 || now < r.asOf {
		return out
	}
	for _, at := range r.ttls {
		ttl := binary.BigEndian.Uint32(out[at:])
		binary.BigEndian.PutUint32(out[at:], ttl-min(ttl, passed))
	}
	return out
}

// touch notes that r was given out. It writes once in a second, so that the
// processors that read it do not take it from each other.
func (r *Reply) touch(now Moment) {
	if second := int64(now/Moment(time.Second)) + 1; r.used.Load() != second {
		r.used.Store(second)
	}
}

// worth says how much it would be a pity to lose a reply.
type worth struct {
	alive bool
	used  int64
	asOf  Moment
}

func (r *Reply) worth(now Moment) worth {
	return worth{alive: now < r.expires, used: r.used.Load(), asOf: r.asOf}
}

// below tells whether w goes before other: what has expired, then what nobody
// asked for twice, so that a flood of names only ever washes away itself, then
// what was used longest ago.
func (w worth) below(other worth) bool {
	switch {
	case w.alive != other.alive:
		return !w.alive
	case w.used != other.used:
		return w.used < other.used
	default:
		return w.asOf < other.asOf
	}
}
