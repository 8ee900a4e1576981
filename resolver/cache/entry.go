package cache

import (
	"time"

	"pldns/resolver"
)

// moment is a time as the span since the Cache was made: small, monotonic, and
// never zero, so that zero can say "never".
type moment = time.Duration

// entry is one thing that an upstream said, or failed to say. It belongs to the
// shard that holds it: all of it is read and changed under that shard's lock. The
// slices in reply are replaced, never written to, since readers share them.
type entry struct {
	reply   resolver.Reply // its TTLs are those of the moment asOf
	err     error          // of a remembered failure that has no reply
	asOf    moment
	expires moment
	failure bool   // there is no answer here, only the memory of having asked
	hits    uint32 // in this life
	size    int64
}

// state is what an entry is good for at some moment.
type state uint8

const (
	absent state = iota // nothing, or nothing that may be used
	fresh               // an answer
)

// found is what a look at the store gives.
type found struct {
	state state
	reply resolver.Reply
	err   error
}

// at tells what e is good for now. It brings the TTLs of e forward, so that all
// who ask in the same second share one set of records.
func (e *entry) at(now moment) found {
	if now >= e.expires {
		return found{}
	}
	e.hits++
	e.countDown(now)
	return found{state: fresh, reply: e.reply, err: e.err}
}

// countDown lowers the TTLs of e by the whole seconds that have gone by since it
// was last done.
func (e *entry) countDown(now moment) {
	passed := uint32((now - e.asOf) / time.Second)
	if passed == 0 {
		return
	}
	lower := func(ttl uint32) uint32 { return ttl - min(ttl, passed) }
	e.reply.Answer = withTTL(e.reply.Answer, lower)
	e.reply.Authority = withTTL(e.reply.Authority, lower)
	e.asOf += seconds(passed)
}
