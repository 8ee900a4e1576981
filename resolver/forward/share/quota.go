package share

import (
	"time"
)

const (
	// overdueWeight is what a slot weighs that has been held for longer than usual:
	// it probably waits for what nobody will answer. A slot within the usual time
	// weighs 1, so that many questions with quick answers do not make a heavy share.
	overdueWeight = 8
	// countAhead is how many slots that are not counted yet are counted whenever one
	// is taken. With at least two, all are counted before a quota is full that began
	// to count when it was half full.
	countAhead = 2
	// agePerEnter is how many slots become overdue whenever one is taken, so that no
	// one question does the work for many.
	agePerEnter = 16
)

// Quota bounds how many questions are under way at once. When it is full, each
// that begins makes another give way, of the share that weighs most: one that has
// waited longer than usual if there is any, else the oldest. Or it is refused, if
// that share is its own.
//
// So whoever holds less than others is never the one to give way: a network that
// weighs less than half of what the heaviest one does; in a network, a client and
// a suffix that both weigh less than the heaviest client or suffix there.
//
// As long as a Quota is not half full it costs a list entry for each question. From
// then on each operation takes a few map look-ups, and time that grows with the
// logarithm of the number of shares.
type Quota struct {
	holder
	listed list // slots that are not counted yet, in order
}

// NewQuota makes a quota for so many questions, at least 1.
func NewQuota(capacity int) *Quota {
	q := new(Quota)
	q.init(capacity, false)
	return q
}

// Enter takes a place for a question, which is usually answered within the given
// time; false if the question is refused. The slot must be free. Later the waiter
// may be told to give way, even before Enter has returned.
func (q *Quota) Enter(s *Slot, key Key, now time.Time, usual time.Duration, waiter Waiter) bool {
	q.mu.Lock()
	loser, ok := q.enter(s, key, now, usual, waiter)
	q.mu.Unlock()
	if loser != nil {
		loser.GiveWay()
	}
	return ok
}

// Leave gives a place back; true if it was still held. If it was not although the
// question was let in, the waiter was told to give way or is just being told, so
// whoever uses slots again must wait for that. Leaving twice does nothing.
func (q *Quota) Leave(s *Slot) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch s.state {
	case free:
		return false
	case listed:
		q.listed.remove(s)
	default:
		q.discount(s)
	}
	q.clear(s)
	return true
}

func (q *Quota) enter(s *Slot, key Key, now time.Time, usual time.Duration, waiter Waiter) (loser Waiter, ok bool) {
	at := q.since(now)
	s.key, s.waiter, s.due, s.state = key, waiter, at+usual, listed
	q.listed.push(s)
	q.held++
	if 2*q.held <= q.capacity {
		return nil, true
	}
	full := q.held > q.capacity
	for n := 0; q.listed.head != nil && (full || n <= countAhead); n++ {
		next := q.listed.head
		q.listed.remove(next)
		q.count(next, waiting)
	}
	q.age(at)
	if !full {
		return nil, true
	}
	leaf := q.tree.heaviest()
	victim := leaf.held[1].head
	if victim == nil {
		if leaf == s.leaf {
			q.lose(s, at)
			return nil, false
		}
		victim = leaf.held[0].head
	}
	return q.lose(victim, at), true
}

// age makes slots weigh more that were held for longer than usual.
func (q *Quota) age(now time.Duration) {
	for range agePerEnter {
		if q.due.len() == 0 || q.due.first().due > now {
			return
		}
		s := q.due.first()
		q.due.remove(s)
		s.leaf.held[0].remove(s)
		s.leaf.held[1].push(s)
		s.state = overdue
		q.tree.add(s.leaf, overdueWeight-1, 0)
	}
}

// Held is how many places are taken.
func (q *Quota) Held() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held
}

// Waiters are all who hold a place.
func (q *Quota) Waiters() (all []Waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lists := []list{q.listed}
	for _, s := range q.tree.shares {
		lists = append(lists, s.held[:]...)
	}
	for _, l := range lists {
		for s := l.head; s != nil; s = s.next {
			all = append(all, s.waiter)
		}
	}
	return all
}

// Top is who holds most places, and gave way most often lately: at most n of each
// kind. It takes time in proportion to the places taken.
func (q *Quota) Top(n int, now time.Time) View {
	q.mu.Lock()
	view := q.view(n, q.since(now))
	var keys []Key
	for s := q.listed.head; s != nil; s = s.next {
		keys = append(keys, s.key)
	}
	q.mu.Unlock()
	view.merge(n, keys)
	return view
}
