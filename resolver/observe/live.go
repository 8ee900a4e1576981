package observe

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/wire"
	"pldns/zones"
)

// waiting is how many queries wait for a reader at most.
const waiting = 256

// Live tells readers of single queries, as they are answered. Who answers never waits for
// one: what a reader has no room for is left out and counted, before anything is made of
// it. While there is no reader it wants nothing and costs nothing. Its methods may be called
// by many goroutines at once.
type Live struct {
	changed func()        // called when it wants something else than before; may be nil
	release func() string // what of a fleet's store is served; may be nil

	readers atomic.Pointer[[]*Reader]
	mu      sync.Mutex // held by who changes readers
}

// NewLive makes a Live without readers. Whenever it wants something else than before,
// changed is called, which must not wait; release names what is served. Both may be nil.
func NewLive(changed func(), release func() string) *Live {
	l := &Live{changed: changed, release: release}
	l.readers.Store(new([]*Reader))
	return l
}

// Seen is one query and what became of it, kept cheaply: it is put into words by who reads.
type Seen struct {
	Began      time.Time // when it was read
	Took       time.Duration
	Transport  string
	Why        listen.Refusal
	Remembered bool // the reply is from the reply cache
	Name       zones.Name
	Query      resolver.Query
	Answer     resolver.Answer // without its records: those are in Reply
	Reply      []byte          // as it was sent
	Release    string          // of a fleet's store, that was served; empty for none
}

// Reader reads queries. Its methods are those of one goroutine.
type Reader struct {
	of     *Live
	filter Filter
	queue  chan *Seen
	lost   atomic.Int64
}

// Follow begins to tell a reader of the queries that a filter wants, until the reader is
// closed.
func (l *Live) Follow(filter Filter) *Reader {
	r := &Reader{of: l, filter: filter, queue: make(chan *Seen, waiting)}
	l.change(func(all []*Reader) []*Reader { return append(all, r) })
	return r
}

// Seen has the queries, in the order in which they were answered.
func (r *Reader) Seen() <-chan *Seen { return r.queue }

// Lost is how many queries were left out since it was asked last.
func (r *Reader) Lost() int64 { return r.lost.Swap(0) }

// Close ends the telling. What waits may still be read.
func (r *Reader) Close() {
	r.of.change(func(all []*Reader) []*Reader {
		return slices.DeleteFunc(all, func(other *Reader) bool { return other == r })
	})
}

// change changes the readers.
func (l *Live) change(change func([]*Reader) []*Reader) {
	l.mu.Lock()
	all := change(slices.Clone(*l.readers.Load()))
	l.readers.Store(&all)
	l.mu.Unlock()
	if l.changed != nil {
		l.changed()
	}
}

// Wants is every query, while there are readers. None is decided anew for them.
func (l *Live) Wants() listen.Wants {
	if len(*l.readers.Load()) == 0 {
		return listen.Wants{}
	}
	return listen.Wants{Remembered: 1}
}

// Exchanged tells the readers.
func (l *Live) Exchanged(e *listen.Exchange) {
	var seen *Seen
	for _, r := range *l.readers.Load() {
		if !r.filter.Match(e) {
			continue
		}
		if len(r.queue) == cap(r.queue) {
			r.lost.Add(1)
			continue
		}
		if seen == nil {
			seen = l.seen(e)
		}
		select {
		case r.queue <- seen:
		default: // others were quicker
			r.lost.Add(1)
		}
	}
}

// seen keeps a query.
func (l *Live) seen(e *listen.Exchange) *Seen {
	s := &Seen{
		Began: e.Began, Took: e.Took, Transport: e.Transport, Why: e.Why, Remembered: e.Remembered, Name: e.Name(),
		Query: e.Query, Answer: e.Answer, Reply: slices.Clone(e.Reply),
	}
	s.Query.Worker = nil
	s.Answer.Wire, s.Answer.Records, s.Answer.Authority, s.Answer.Additional = wire.Message{}, nil, nil, nil
	if l.release != nil {
		s.Release = l.release()
	}
	return s
}
