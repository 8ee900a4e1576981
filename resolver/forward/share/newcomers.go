package share

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// quantum is how many questions of a client, or about a suffix, count as those of
	// a newcomer before others had their turns: a name is asked for with two or three
	// types at once, and who opens a page asks for several names.
	quantum = 4
	// littlePart is which part of all turns somebody may have and still be a newcomer:
	// the fourth.
	littlePart = 4
	// lead is by how many turns newcomers may bring their network ahead of others, and
	// themselves ahead of those in it who wait. It is paid back by waiting.
	lead = 2 * quantum
	// keptPart is which part of the turns that may be saved up is kept for newcomers.
	keptPart = 4
	// knownFlows is of how many clients and suffixes it is known what they had lately.
	// Those that are forgotten are newcomers again, and never more than those are.
	knownFlows = 4096
	// earlyWeight is what the question of a newcomer weighs when the queue is full. They
	// only wait when there are more than are served, so some are made up; one that
	// waits in turn weighs 1, and does not give way to those.
	earlyWeight = 2
)

// newcomers tells those who asked for little lately from all others, and keeps turns
// for them, so that they need not wait for what others ask: the new flows of fq_codel
// (RFC 8290 section 4.2), with guards against flows that somebody makes up.
//
// A question is that of a newcomer only if its client is one and its suffix is one as
// well, in the network of the client: names below any number of domains are still
// those of one client, and any number of clients that ask for one domain are still
// one suffix. Both are for a [quantum] of questions, and again when nothing of theirs
// waits, if they had at most a [littlePart] of all turns. That is counted in turns and
// not in rounds: a round is as long as whoever makes up those who have part in it likes.
//
// Who makes up clients and suffixes has at most half of the turns of the network while
// others in it wait; and what newcomers have is a part of what their network has.
type newcomers struct {
	kept  float64 // turns that are kept for them
	known *simplelru.LRU[label, *credit]
	had   uint64 // turns that somebody had, ever
}

// credit is what is left to a client or a suffix as a newcomer.
type credit struct {
	left  int
	since uint64 // how many turns there had been when it began
}

func (n *newcomers) init(burst int) {
	n.kept = float64(burst / keptPart)
	n.known, _ = simplelru.NewLRU[label, *credit](knownFlows, nil) // fails for no size only
}

// isNewcomer tells whether a question is that of a newcomer, and counts it as one.
func (q *Queue) isNewcomer(key Key) bool {
	client := q.creditOf(label{kind: ofClient, network: key.Network, client: key.Client})
	if client == nil {
		return false
	}
	suffix := q.creditOf(label{kind: ofZone, network: key.Network, suffix: Suffix(key.Name)})
	if suffix == nil {
		return false
	}
	client.left--
	suffix.left--
	return true
}

// creditOf is what is left to a client or a suffix of a network; nil if that is nothing.
func (q *Queue) creditOf(flow label) *credit {
	waits := q.tree.shares[flow]
	if waits != nil && waits.lined > 0 {
		return nil
	}
	c, found := q.known.Get(flow)
	switch {
	case !found:
		c = &credit{quantum, q.had}
		q.known.Add(flow, c)
	case waits == nil && q.had-c.since >= quantum*littlePart:
		*c = credit{quantum, q.had}
	case c.left == 0:
		return nil
	}
	return c
}

// TakeNew lets a query pass that is the one of a newcomer, if there is a turn for it:
// however many others wait, they have theirs.
func (q *Queue) TakeNew(key Key, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	of := q.tree.standingOf(key.Network)
	waits := q.tree.shares[label{kind: ofNetwork, network: key.Network}]
	switch {
	case q.limiter.TokensAt(now) < 1 || !q.tree.mayLead(of):
		return false
	case waits != nil && (waits.early > 0 || waits.lined > 0 && of.ahead >= lead):
		return false
	case !q.isNewcomer(key):
		return false
	}
	q.take(now)
	q.tree.lead(of, waits)
	return true
}

// newcomer is the oldest question of a newcomer whose turn it is; nil if there is none.
func (q *Queue) newcomer() *Slot {
	early := q.tree.root.turnsOf(forNewcomers)
	if early.len() == 0 || !q.tree.mayLead(early.first().standing) {
		return nil
	}
	network := early.first()
	leaf := network.turnsOf(forNewcomers).first()
	q.tree.lead(network.standing, network)
	return leaf.held[1].head
}

// standing is what a network had, compared with others and within it. It outlives
// the share.
type standing struct {
	turn  uint64 // how many turns it had, not less than those who wait
	ahead int    // how many turns newcomers had before those who wait in it
}

// knownNetworks is of how many networks the standing is known.
const knownNetworks = 1024

func (t *tree) standingOf(network string) *standing {
	of, found := t.standings.Get(network)
	if !found {
		of = new(standing)
		t.standings.Add(network, of)
	}
	of.turn = max(of.turn, t.round())
	return of
}

// round is how many turns the network had that had the fewest of those that wait.
func (t *tree) round() uint64 {
	others, early := t.root.turnsOf(byClient), t.root.turnsOf(forNewcomers)
	switch {
	case others.len() > 0 && early.len() > 0:
		t.rounds = min(others.first().turn, early.first().turn)
	case others.len() > 0:
		t.rounds = others.first().turn
	case early.len() > 0:
		t.rounds = early.first().turn
	}
	return t.rounds
}

// mayLead tells whether a network is not too far ahead of the others.
func (t *tree) mayLead(of *standing) bool { return of.turn < t.round()+lead }

// lead counts a turn of a newcomer. Waits is the share of its network, nil if there is none.
func (t *tree) lead(of *standing, waits *share) {
	of.turn++
	if waits == nil || waits.lined == 0 {
		of.ahead = 0
		return
	}
	of.ahead++
	t.settle(waits)
}

// settle puts a network where it belongs among the others, whose standing or slots
// have changed. Newcomers of a network that had their part are not in turn.
func (t *tree) settle(network *share) {
	t.rank(network, turnIn, network.lined > 0)
	t.rank(network, earlyIn, network.early > 0 && (network.lined == 0 || network.standing.ahead < lead))
}

// rank puts a share into one of its rankings by turn, moves it there, or takes it out.
func (t *tree) rank(s *share, slot int, belongs bool) {
	r := s.in[slot]
	switch is := s.stands[slot-turnIn]; {
	case r == nil:
	case is && belongs:
		r.moved(s)
	case belongs:
		r.add(s)
	case is:
		r.remove(s)
	}
	s.stands[slot-turnIn] = belongs
}
