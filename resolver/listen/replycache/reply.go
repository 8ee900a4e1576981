package replycache

import (
	"encoding/binary"
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
	Message []byte // as it was sent
	Expires Moment // when it may not be used any more
	// Generation is the Cache's before the answer was decided.
	Generation uint64
	// Tally counts the queries it is given to. It must not be nil.
	Tally Tally
	// Account is what the reply counts to, for whoever keeps count.
	Account uint64
	AsOf    Moment            // when its TTLs were right
	TTLs    []uint16          // offsets of the TTLs in it that count down; nil for none
	Source  resolver.Source   // where its answer came from
	Verdict *resolver.Verdict // what a policy has said of it; nil for nothing
}

// Forever is the end of what is right as long as its snapshot.
const Forever = Moment(1<<63 - 1)

// Reply is a remembered reply. What every look reads stands in front, so that it
// lies in as few lines of the processor's cache as can be: where packets come one by
// one, each line that must be fetched costs about as much as everything else here.
type Reply struct {
	hash uint64
	key  []byte
	used atomic.Int64 // the second in which it was last given out, plus 1; 0 for never
	Entry
}

// size is the memory that the reply takes, about.
func (r *Reply) size() int64 { return int64(replyBytes + len(r.key) + len(r.Message) + 2*len(r.TTLs)) }

// Write writes the message into out, which has room for it, as the reply
// to a query: with its id, with its question in its own letter case (the same as
// the remembered one in any other respect), with the TTLs of this moment.
func (r *Reply) Write(out []byte, id uint16, question []byte, now Moment) []byte {
	out = out[:copy(out, r.Message)]
	binary.BigEndian.PutUint16(out, id)
	copy(out[questionAt:], question)
	passed := uint32((now - r.AsOf) / Moment(time.Second))
	if passed == 0 || now < r.AsOf {
		return out
	}
	for _, at := range r.TTLs {
		ttl := binary.BigEndian.Uint32(out[at:])
		binary.BigEndian.PutUint32(out[at:], ttl-min(ttl, passed))
	}
	return out
}

// worth says how much it would be a pity to lose a reply.
type worth struct {
	alive bool
	used  int64
	asOf  Moment
}

func (r *Reply) worth(now Moment) worth {
	return worth{alive: now < r.Expires, used: r.used.Load(), asOf: r.AsOf}
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
