package traffic

import (
	"maps"
	"sync/atomic"
	"time"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/listen/replycache"
)

// tally counts answers of one kind, by the time that they took. One addition counts any
// number of them, so that workers that count alike rarely meet.
type tally struct {
	next    replycache.Tally // counts the same elsewhere; nil for nobody
	columns [3]Column
	times   [buckets]atomic.Uint64
	told    times // of times, at the last look; of who looks alone
}

// Add counts answers that took equally long.
func (t *tally) Add(queries int, took time.Duration) {
	if t.next != nil {
		t.next.Add(queries, took)
	}
	t.times[bucketOf(took)].Add(uint64(queries))
}

// collect adds to s what was counted since it was called last. What was refused unread is
// not timed: it would say nothing of answers.
func (t *tally) collect(s *sum) {
	var total uint64
	for i := range t.times {
		now := t.times[i].Load()
		counted := now - t.told[i]
		if counted == 0 {
			continue
		}
		t.told[i] = now
		total += counted
		if t.columns[1] != FromRefusal {
			s.Times[i] += counted
		}
	}
	for _, column := range t.columns {
		s.Counts[column] += total
	}
}

// observer counts in a Traffic what another one is told.
type observer struct {
	listen.Observer
	traffic *Traffic
}

// Observe is next, but that answers are counted here, too.
func (t *Traffic) Observe(next listen.Observer) listen.Observer { return observer{next, t} }

// Tally gives what counts the answers of a kind.
func (o observer) Tally(kind listen.Kind) replycache.Tally {
	n := o.traffic.network(kind.Network)
	if known := n.tally(kind); known != nil {
		return known
	}
	return n.addTally(kind, &tally{
		next:    o.Observer.Tally(kind),
		columns: [3]Column{rcodeColumn(kind.Rcode), sourceColumn(kind.Source, kind.Remembered), over(kind)},
	})
}

// refused counts a query that was refused with a reply.
func (t *Traffic) refused(e *listen.Exchange) {
	kind := listen.Kind{Transport: e.Transport, Network: e.Answer.Network, Rcode: e.Answer.Rcode, Source: refusal}
	n := t.network(kind.Network)
	counting := n.tally(kind)
	if counting == nil {
		counting = n.addTally(kind, &tally{columns: [3]Column{rcodeColumn(kind.Rcode), FromRefusal, over(kind)}})
	}
	counting.Add(1, e.Took)
}

// refusal is in place of the source of what was not decided.
const refusal = 15

func over(kind listen.Kind) Column { return OverTransport(resolver.Transport(kind.Transport)) }

// place puts all of a kind but its network into a number.
func place(kind listen.Kind) uint32 {
	place := uint32(kind.Rcode)<<8 | uint32(kind.Source&15)<<4 | uint32(over(kind)-OverUDP)<<1
	if kind.Remembered {
		place |= 1
	}
	return place
}

// tally is the one of a kind; nil if there is none yet.
func (n *network) tally(kind listen.Kind) *tally { return (*n.tallies.Load())[place(kind)] }

// addTally adds the first of its kind, or gives the one that was first.
func (n *network) addTally(kind listen.Kind, counting *tally) *tally {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := *n.tallies.Load()
	if known := before[place(kind)]; known != nil {
		return known
	}
	all := maps.Clone(before)
	all[place(kind)] = counting
	n.tallies.Store(&all)
	return counting
}

// renew begins new tallies. Those before are counted until it is called again: the replies
// that hold them are given out no longer.
func (n *network) renew(s *sum) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gather(s)
	n.before = *n.tallies.Load()
	n.tallies.Store(&map[uint32]*tally{})
}

// collect adds to s what was counted since the last time.
func (n *network) collect(s *sum) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gather(s)
}

func (n *network) gather(s *sum) {
	for _, counting := range *n.tallies.Load() {
		counting.collect(s)
	}
	for _, counting := range n.before {
		counting.collect(s)
	}
}
