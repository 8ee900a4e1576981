package listen

import (
	"sync/atomic"

	"pldns/resolver/udpio"
)

// mailbox is what the worker of a socket knows of the queries that the socket brought
// and that are pending. That worker alone goes on with them, whoever wakes them, so that
// what they ask, and their replies, leave with its batches. The methods but take may be
// called by many goroutines at once, and of no mailbox: then there is no worker.
type mailbox struct {
	worker  *udpio.Worker
	ended   atomic.Bool           // the socket is not to be read any longer
	waiting atomic.Int64          // queries that are pending
	woken   atomic.Pointer[query] // those that can go on, the last that was woken first
}

// post has the worker go on with a query that was woken; false if there is no worker.
func (m *mailbox) post(q *query) bool {
	if m == nil {
		return false
	}
	for {
		last := m.woken.Load()
		q.wait.before = last
		if m.woken.CompareAndSwap(last, q) {
			m.worker.Wake()
			return true
		}
	}
}

// take gives those that can go on, a list by before in the order in which they were
// woken. The worker calls it.
func (m *mailbox) take() (first *query) {
	for q := m.woken.Swap(nil); q != nil; {
		before := q.wait.before
		q.wait.before, first, q = first, q, before
	}
	return first
}

// posted tells whether the worker has something to do that no socket tells of.
func (m *mailbox) posted() bool {
	return m.woken.Load() != nil || m.ended.Load() && m.waiting.Load() == 0
}

// entered says that one more query is pending, and left that one less is.
func (m *mailbox) entered() {
	if m != nil {
		m.waiting.Add(1)
	}
}

func (m *mailbox) left() {
	if m != nil && m.waiting.Add(-1) == 0 && m.ended.Load() {
		m.worker.Wake()
	}
}

// stop ends the reading. The worker goes on with what is pending.
func (m *mailbox) stop() {
	m.ended.Store(true)
	m.worker.Wake()
}
