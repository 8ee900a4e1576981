package listen

import (
	"sync/atomic"
	"time"

	"pldns/resolver"
	"pldns/resolver/listen/replycache"
	"pldns/resolver/wire"
	"pldns/zones"
)

// What was forwarded is given from memory for freshPart of what is left of its
// TTL, and for freshMax at most. So the cache behind the Handler is asked again
// and again while its own answer lasts: at least sixteen times in a long life,
// and several times in the tenth of it in which it refreshes what is in demand.
// An answer that it has replaced lives on here for fifteen seconds at the most.
const (
	freshPart = 8
	freshMax  = 15 * time.Second
)

// memory is a query's view of the reply cache of the snapshot that answers.
type memory struct {
	snapshot   *resolver.Snapshot // nil when nothing is remembered
	replies    *replycache.Cache
	network    *zones.Network // of the client that was located; nil for none
	now        replycache.Moment
	generation uint64
	key        []byte // of the query; empty when its reply is not to be remembered
	room       [replycache.MaxKey]byte
}

// open looks at the snapshot that answers now.
func (m *memory) open(s *Server, now time.Time) {
	if m.snapshot = s.config.Handler.Snapshot(); m.snapshot == nil {
		return
	}
	m.replies = s.replies.of(m.snapshot)
	m.now = m.replies.At(now)
	m.generation = m.replies.Generation()
}

// close lets go of the snapshot: who waits must not keep an old one. Nothing is
// remembered until a reply has been looked for again.
func (m *memory) close() { m.snapshot, m.replies, m.network, m.key = nil, nil, nil, nil }

// locate finds the network of a client. Nothing is looked up before that is known:
// what networks see never meets.
func (m *memory) locate(client zones.Client) {
	m.network, m.key = nil, nil
	if m.snapshot != nil {
		m.network, _ = m.snapshot.Table().NetworkOf(client)
	}
}

// recall finds the reply to the request of q, nil when it is not remembered, larger
// than it may be, or not to be given again. What offers a time to be idle is never
// remembered, because the time differs, and what is signed is for who asks.
func (m *memory) recall(r *request, q *query) *replycache.Reply {
	m.key = m.room[:0]
	if m.network == nil || q.sample.anew || r.keepalive && q.idle != nil || r.signature != nil {
		return nil
	}
	asks := q.kind | replycache.Asks(r.flags)&replycache.Header
	if r.edns {
		asks |= replycache.EDNS
	}
	if r.do {
		asks |= replycache.DO
	}
	m.key = replycache.AppendKey(m.key, m.network.Number(), asks, r.question)
	reply := m.replies.Get(m.key, m.now)
	if reply == nil || len(reply.Message) > q.limit(r) {
		return nil
	}
	return reply
}

// remember keeps the reply to q that says the whole of an answer, if that may be given
// again.
func (s *Server) remember(q *query, x *scratch, reply []byte, answer *resolver.Answer, about account) {
	m := &x.memory
	if len(m.key) == 0 || answer.Reuse == resolver.Once || len(reply) > resolver.UDPSize {
		return
	}
	entry := replycache.Entry{
		Message: reply, AsOf: m.now, Expires: replycache.Forever, Generation: m.generation, Account: uint64(about),
		Source: answer.Source, Tally: s.tally(q, answer, true),
	}
	if answer.Verdict.Policy != "" {
		verdict := answer.Verdict
		entry.Verdict = &verdict
	}
	if answer.Reuse == resolver.WhileFresh {
		offsets, least := wire.TTLs(entry.Message)
		life := min(time.Duration(least)*time.Second/freshPart, freshMax)
		if life <= 0 {
			return
		}
		entry.TTLs, entry.Expires = offsets, m.now+replycache.Moment(life)
	}
	m.replies.Put(m.key, entry)
}

// tally is what counts the answer to q: also by what a policy has said, if one has, and that
// public addresses were left out, if they were.
func (s *Server) tally(q *query, answer *resolver.Answer, remembered bool) replycache.Tally {
	counting := s.config.Observer.Tally(q.kindOf(answer, remembered))
	if v := answer.Verdict; v.Policy != "" {
		counting = both{counting, s.config.Observer.Policed(answer.Network, v.Policy, v.Action)}
	}
	if !answer.Required.IsZero() {
		counting = both{counting, s.config.Observer.Confined(answer.Network)}
	}
	return counting
}

// both counts an answer twice: as what it is, and as what was done with it.
type both struct{ answer, done replycache.Tally }

// Add counts answers that took equally long.
func (b both) Add(queries int, took time.Duration) {
	b.answer.Add(queries, took)
	b.done.Add(queries, took)
}

// kindOf is what the answer to q is counted as.
func (q *query) kindOf(answer *resolver.Answer, remembered bool) Kind {
	return Kind{q.transport, answer.Network, answer.Rcode, answer.Source, remembered}
}

// counts are queries that were answered from the reply cache, by kind: to count many at
// once is cheaper, and most are of the same kind.
type counts struct {
	began time.Time // when the first of them was read
	kinds int
	of    [16]struct {
		tally   replycache.Tally
		queries int
	}
}

// add counts a query that was read at began.
func (c *counts) add(tally replycache.Tally, began time.Time) {
	for i := range c.of[:c.kinds] {
		if c.of[i].tally == tally {
			c.of[i].queries++
			return
		}
	}
	if c.kinds == len(c.of) {
		c.tell()
	}
	if c.kinds == 0 {
		c.began = began
	}
	c.of[c.kinds].tally, c.of[c.kinds].queries = tally, 1
	c.kinds++
}

// tell passes the counts on, when the replies have been sent, and begins anew.
func (c *counts) tell() {
	if c.kinds == 0 {
		return
	}
	took, kinds := time.Since(c.began), c.kinds
	c.kinds = 0
	for i := range c.of[:kinds] {
		c.of[i].tally.Add(c.of[i].queries, took)
	}
}

// replyCaches are the finished replies of the snapshot that answers: each snapshot has a
// reply cache of its own, which is dropped when the first query meets the next one.
type replyCaches struct {
	held atomic.Pointer[repliesOf]
}

// repliesOf are the finished replies of one snapshot.
type repliesOf struct {
	snapshot *resolver.Snapshot
	cache    *replycache.Cache
}

// of gives the reply cache of a snapshot. Who still holds the snapshot before may take
// the place once more: that costs replies, and mixes none.
func (r *replyCaches) of(snapshot *resolver.Snapshot) *replycache.Cache {
	for {
		held := r.held.Load()
		if held != nil && held.snapshot == snapshot {
			return held.cache
		}
		next := &repliesOf{snapshot, replycache.New()}
		if r.held.CompareAndSwap(held, next) {
			return next.cache
		}
	}
}

// ForgetReplies drops all finished replies, and those that are being decided: the next
// query of each kind is decided anew. It may be called at any time.
func (s *Server) ForgetReplies() {
	if held := s.replies.held.Load(); held != nil {
		held.cache.Forget()
	}
}
