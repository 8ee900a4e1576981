package share

import (
	"time"

	"golang.org/x/time/rate"
)

// Queue is a fair queue before a limit of queries a second. Those that wait are
// served network by network, in each by client and by suffix in turn, so that
// nobody's turn depends on how many questions others have; and turns are kept for
// those who asked for little lately, which need not wait at all (see [newcomers]).
// It is bounded in length and in time: when it is full, the largest share loses its
// oldest question, or is not let in; and whoever has waited for long enough is told
// to give way.
type Queue struct {
	holder
	newcomers
	limiter  *rate.Limiter
	patience time.Duration
}

// burstTime is how much of a second's queries may leave at once.
const burstTime = 100 * time.Millisecond

// NewQueue makes a queue for a positive number of queries a second, in which a
// question waits for at most patience. As many wait as can be served in that time.
func NewQueue(perSecond float64, patience time.Duration) *Queue {
	burst := max(1, int(perSecond*burstTime.Seconds()))
	q := &Queue{limiter: rate.NewLimiter(rate.Limit(perSecond), burst), patience: patience}
	q.holder.init(int(perSecond*patience.Seconds())+1, true)
	q.newcomers.init(burst)
	return q
}

// Take lets a query pass that need not wait: nobody waits, and there is a turn for it
// besides those that are kept for newcomers. Where there is none, see TakeNew.
func (q *Queue) Take(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held > 0 || !q.hasTurn(now) {
		return false
	}
	q.take(now)
	return true
}

// TakeSpare lets a query pass that is not one of those whom the queue serves, if there is
// a turn for it that nobody needs: nobody waits, and so little was asked lately that no
// further turn can be saved up.
func (q *Queue) TakeSpare(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held > 0 || q.limiter.TokensAt(now) < float64(q.limiter.Burst()) {
		return false
	}
	q.take(now)
	return true
}

// Spend counts a query that is sent in any case: others wait a little longer for it.
func (q *Queue) Spend(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limiter.ReserveN(now, 1)
}

// hasTurn tells whether there is a turn for somebody who is no newcomer.
func (q *Queue) hasTurn(now time.Time) bool {
	return q.limiter.TokensAt(now) >= q.kept+1
}

// take takes a turn that there is.
func (q *Queue) take(now time.Time) {
	q.limiter.AllowN(now, 1)
	q.had++
}

// Add puts a question into the queue; false if it is refused. The slot must be
// free. The waiter is told to give way if it loses its place, or its time is up;
// otherwise Next gives it once.
func (q *Queue) Add(s *Slot, key Key, now time.Time, waiter Waiter) bool {
	q.mu.Lock()
	loser, ok := q.add(s, key, now, waiter)
	q.mu.Unlock()
	if loser != nil {
		loser.GiveWay()
	}
	return ok
}

func (q *Queue) add(s *Slot, key Key, now time.Time, waiter Waiter) (loser Waiter, ok bool) {
	at := q.since(now)
	s.key, s.waiter, s.due = key, waiter, at+q.patience
	q.held++
	state := waiting
	if q.isNewcomer(key) {
		state = early
	}
	q.count(s, state)
	if q.held <= q.capacity {
		return nil, true
	}
	leaf := q.tree.heaviest()
	if leaf == s.leaf {
		q.lose(s, at)
		return nil, false
	}
	victim := leaf.held[0].head
	if newcomer := leaf.held[1].head; victim == nil || newcomer != nil && newcomer.due < victim.due {
		victim = newcomer
	}
	return q.lose(victim, at), true
}

// Leave takes a question out of the queue; true if it was in it. See [Quota.Leave].
func (q *Queue) Leave(s *Slot) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.state == free {
		return false
	}
	q.discount(s)
	q.clear(s)
	return true
}

// Next takes the next question whose turn it is now out of the queue; nil if there
// is none. It tells those whose time is up.
func (q *Queue) Next(now time.Time) Waiter {
	for {
		q.mu.Lock()
		late := q.expired(q.since(now))
		if late == nil {
			break
		}
		q.mu.Unlock()
		late.GiveWay()
	}
	defer q.mu.Unlock()
	if q.held == 0 || q.limiter.TokensAt(now) < 1 {
		return nil
	}
	s := q.newcomer()
	if s == nil && q.tree.root.turnsOf(byClient).len() > 0 && q.hasTurn(now) {
		s = q.next()
	}
	if s == nil {
		return nil
	}
	q.take(now)
	waiter := s.waiter
	q.discount(s)
	q.clear(s)
	return waiter
}

// expired takes out a question that has waited for as long as it may.
func (q *Queue) expired(now time.Duration) Waiter {
	if q.due.len() == 0 || q.due.first().due > now {
		return nil
	}
	return q.lose(q.due.first(), now)
}

// next is the oldest question of the share whose turn it is, besides newcomers. A network is served
// by client one time and by suffix the other: so a client with few questions has
// its turn beside one that asks about many suffixes, and a suffix beside one that
// many clients ask about.
func (q *Queue) next() *Slot {
	network := q.tree.serve(q.tree.root.turnsOf(byClient))
	way := byClient
	if network.bySuffix {
		way = bySuffix
	}
	network.bySuffix = !network.bySuffix
	leaf := q.tree.serve(q.tree.serve(network.turnsOf(way)).turnsOf(0))
	return leaf.held[0].head
}

// Wait is how long it takes until Next has something to do; false if nobody waits.
func (q *Queue) Wait(now time.Time) (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held == 0 {
		return 0, false
	}
	turns := 1.0
	if early := q.tree.root.turnsOf(forNewcomers); early.len() == 0 || !q.tree.mayLead(early.first().standing) {
		turns += q.kept
	}
	short := (turns - q.limiter.TokensAt(now)) / float64(q.limiter.Limit())
	turn := time.Duration(short*float64(time.Second)) + 1 // Next must not be asked too early by a rounding
	return max(0, min(q.due.first().due-q.since(now), turn)), true
}

// Top is who has most questions in the queue, and lost most of them lately: at most
// n of each kind.
func (q *Queue) Top(n int, now time.Time) View {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.view(n, q.since(now))
}
