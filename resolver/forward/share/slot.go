package share

import (
	"net/netip"
	"sync"
	"time"
)

// Waiter is told that it lost its [Slot].
type Waiter interface {
	// GiveWay is called once if others need the slot, or its time is up, by whoever
	// learnt that and holds no lock of this package. It must not wait for anything.
	GiveWay()
}

// Slot is what one question holds of a [Quota] or a [Queue]. It is meant to be a
// part of whatever stands for the question; the zero Slot holds nothing. It must
// not be copied while it holds anything, nor belong to two of them at once.
type Slot struct {
	key        Key
	waiter     Waiter
	due        time.Duration // when it has waited for as long as usual, or as it may, since the epoch
	leaf       *share        // nil as long as it is not counted to any
	prev, next *Slot
	at         int32
	state      state
}

// state is where a slot is.
type state uint8

const (
	free    state = iota
	listed        // it holds a place, and is not counted to a share yet
	waiting       // it is counted
	overdue       // and has waited for longer than usual
	early         // it is counted, and is that of a newcomer
)

func (s *Slot) before(other *Slot, _ int) bool { return s.due < other.due }

func (s *Slot) place(int) *int32 { return &s.at }

// holder is what quotas and queues have in common: slots that are counted to
// shares. All is guarded by mu.
type holder struct {
	mu       sync.Mutex
	capacity int
	held     int
	epoch    time.Time
	tree     *tree
	due      ranking[*Slot] // those that are waiting
	recent   recent
}

func (h *holder) init(capacity int, turns bool) {
	h.capacity, h.tree = max(capacity, 1), newTree(turns)
	h.recent.init()
}

// since is a time as it is kept in slots, by the monotonic clock.
func (h *holder) since(now time.Time) time.Duration {
	if h.epoch.IsZero() {
		h.epoch = now
	}
	return now.Sub(h.epoch)
}

// count counts a slot to its share: as one that is waiting, or early.
func (h *holder) count(s *Slot, as state) {
	s.leaf, s.state = h.tree.leaf(s.key.Network, s.key.Client, Suffix(s.key.Name)), as
	s.leaf.held[as.list()].push(s)
	h.tree.add(s.leaf, as.weight(), 1)
	h.tree.line(s.leaf, as, 1)
	h.due.add(s)
}

// discount takes a slot that was counted off its share.
func (h *holder) discount(s *Slot) {
	s.leaf.held[s.state.list()].remove(s)
	h.tree.line(s.leaf, s.state, -1)
	h.tree.add(s.leaf, -s.state.weight(), -1)
	if s.state != overdue {
		h.due.remove(s)
	}
}

// weight is what a slot that is counted weighs.
func (s state) weight() int {
	switch s {
	case overdue:
		return overdueWeight
	case early:
		return earlyWeight
	}
	return 1
}

// list is in which of the lists of its leaf a slot is that is counted.
func (s state) list() int {
	if s == waiting {
		return 0
	}
	return 1
}

// lose takes a slot away from whoever holds it, and gives who that is.
func (h *holder) lose(s *Slot, now time.Duration) Waiter {
	h.recent.add(s.leaf, now)
	waiter := s.waiter
	h.discount(s)
	h.clear(s)
	return waiter
}

// clear is the end of a slot.
func (h *holder) clear(s *Slot) {
	h.held--
	*s = Slot{}
}

// Usage is what one network, client or suffix holds.
type Usage struct {
	Network string       `json:"network,omitempty"` // of a network and a client
	Client  netip.Prefix `json:"client,omitzero"`   // of a client
	Suffix  string       `json:"suffix,omitempty"`  // of a suffix
	Held    int          `json:"in_flight"`         // slots now
	GaveWay int          `json:"gave_way"`          // slots lost or refused lately: those of a minute ago count half, and so on

	label label
}

// View is who holds most, for operators.
type View struct {
	Held, Capacity              int
	Networks, Clients, Suffixes []Usage // at most as many of each as were wanted, the largest first
}

// list is a list of slots in the order in which they were put there.
type list struct {
	head, tail *Slot
}

func (l *list) push(s *Slot) {
	s.prev, s.next = l.tail, nil
	if l.tail == nil {
		l.head = s
	} else {
		l.tail.next = s
	}
	l.tail = s
}

func (l *list) remove(s *Slot) {
	if s.prev == nil {
		l.head = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.tail = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}
