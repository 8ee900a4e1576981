package share

import (
	"net/netip"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"pldns/zones"
)

// kind is what a share is the share of.
type kind uint8

const (
	ofNetwork kind = iota
	ofSuffix       // over all networks
	ofClient       // within a network
	ofZone         // a suffix within a network
	ofLeaf         // a suffix for a client
)

// label tells shares apart.
type label struct {
	kind    kind
	network string
	client  netip.Prefix
	suffix  zones.Name
}

// The rankings that a share stands in.
const (
	heavyIn  = iota // by weight, in the first share that it belongs to
	heavyIn2        // by weight, in the second
	turnIn          // by turn, in the first
	turnIn2         // by turn, in the second
	earlyIn         // among the newcomers: a network by turn, in it a leaf by its oldest
	rankings
)

// share is what one of [kind] holds. It exists as long as that is anything.
type share struct {
	label
	weight    int
	slots     int    // held by it
	served    uint64 // when it was served last; the lowest is next
	up        [2]*share
	heavy     [2]ranking[*share] // of those that it consists of
	turns     *[3]ranking[*share]
	in        [rankings]*ranking[*share]
	at        [rankings]int32
	held      [2]list // of a leaf: what waits within the usual time, and beyond it or as a newcomer
	lined     int     // slots that wait for their turn, besides those of newcomers
	early     int     // slots of newcomers
	stands    [rankings - turnIn]bool
	*standing // of a network

	bySuffix bool // a network is served by suffix the next time
}

func (s *share) before(other *share, slot int) bool {
	switch {
	case slot < turnIn:
		return s.weight > other.weight
	case s.kind == ofNetwork:
		return s.turn < other.turn
	case slot == earlyIn:
		return s.held[1].head.due < other.held[1].head.due
	}
	return s.served < other.served
}

func (s *share) place(slot int) *int32 { return &s.at[slot] }

// The ways by which a network, or everything, is taken apart.
const (
	byClient     = 0 // for everything: by network
	bySuffix     = 1
	forNewcomers = 2 // by turn only: for everything the networks, for a network the leaves
)

// tree holds all shares by what they belong to.
type tree struct {
	shares map[label]*share
	root   share
	turns  bool   // they are served in turn
	clock  uint64 // of turns
	rounds uint64 // see round

	standings *simplelru.LRU[string, *standing] // by network
}

func newTree(turns bool) *tree {
	t := &tree{shares: make(map[label]*share), turns: turns}
	t.standings, _ = simplelru.NewLRU[string, *standing](knownNetworks, nil) // fails for no size only
	t.ready(&t.root)
	return t
}

// ready prepares the rankings of a share for those that it will consist of.
func (t *tree) ready(s *share) {
	switch s.kind {
	case ofSuffix, ofZone:
		s.heavy[0].slot = heavyIn2
	default:
		s.heavy[0].slot = heavyIn
	}
	if t.turns {
		s.turns = new([3]ranking[*share])
		s.turns[0].slot, s.turns[1].slot, s.turns[forNewcomers].slot = turnIn, turnIn, earlyIn
		if s.kind == ofZone {
			s.turns[0].slot = turnIn2
		}
	}
}

// leaf is the share of a client and a suffix, made if there is none.
func (t *tree) leaf(network string, client netip.Prefix, suffix zones.Name) *share {
	key := label{ofLeaf, network, client, suffix}
	if s := t.shares[key]; s != nil {
		return s
	}
	of := t.get(label{kind: ofNetwork, network: network}, nil, nil)
	all := t.get(label{kind: ofSuffix, suffix: suffix}, nil, nil)
	inside := t.get(label{kind: ofClient, network: network, client: client}, of, nil)
	zone := t.get(label{kind: ofZone, network: network, suffix: suffix}, of, all)
	return t.get(key, inside, zone)
}

// get finds or makes a share of what it belongs to.
func (t *tree) get(key label, first, second *share) *share {
	s := t.shares[key]
	if s != nil {
		return s
	}
	t.clock++
	s = &share{label: key, served: t.clock, up: [2]*share{first, second}}
	t.ready(s)
	t.shares[key] = s
	switch key.kind {
	case ofNetwork:
		s.in[heavyIn] = &t.root.heavy[byClient]
		if t.turns {
			s.in[turnIn], s.in[earlyIn] = t.root.turnsOf(byClient), t.root.turnsOf(forNewcomers)
			s.standing = t.standingOf(key.network)
		}
	case ofSuffix:
		s.in[heavyIn] = &t.root.heavy[bySuffix]
	case ofClient:
		s.in[heavyIn], s.in[turnIn] = &first.heavy[byClient], first.turnsOf(byClient)
	case ofZone:
		s.in[heavyIn], s.in[turnIn] = &first.heavy[bySuffix], first.turnsOf(bySuffix)
		s.in[heavyIn2] = &second.heavy[0]
	case ofLeaf:
		s.in[heavyIn], s.in[turnIn] = &first.heavy[0], first.turnsOf(0)
		s.in[heavyIn2], s.in[turnIn2] = &second.heavy[0], second.turnsOf(0)
		s.in[earlyIn] = first.up[0].turnsOf(forNewcomers)
	}
	for _, r := range s.in[:turnIn] {
		if r != nil {
			r.add(s)
		}
	}
	return s
}

func (s *share) turnsOf(way int) *ranking[*share] {
	if s.turns == nil {
		return nil
	}
	return &s.turns[way]
}

// add changes the weight of a leaf, and the number of its slots, and those of all
// that it belongs to. What weighs nothing any more is forgotten.
func (t *tree) add(leaf *share, weight, count int) {
	client, zone := leaf.up[0], leaf.up[1]
	for _, s := range [...]*share{leaf, client, zone, zone.up[0], zone.up[1]} {
		s.weight += weight
		s.slots += count
		if s.weight == 0 {
			t.forget(s)
			continue
		}
		s.in[heavyIn].moved(s)
		if second := s.in[heavyIn2]; second != nil {
			second.moved(s)
		}
	}
}

func (t *tree) forget(s *share) {
	delete(t.shares, s.label)
	for _, r := range s.in[:turnIn] {
		if r != nil {
			r.remove(s)
		}
	}
}

// line counts slots that wait for their turn, in the state in which they do, to a
// leaf and all that it belongs to.
func (t *tree) line(leaf *share, as state, count int) {
	if !t.turns {
		return
	}
	client, zone := leaf.up[0], leaf.up[1]
	network := client.up[0]
	for _, s := range [...]*share{leaf, client, zone, network} {
		if as == early {
			s.early += count
		} else {
			s.lined += count
		}
	}
	for _, s := range [...]*share{leaf, client, zone} {
		t.rank(s, turnIn, s.lined > 0)
		t.rank(s, turnIn2, s.lined > 0)
	}
	t.rank(leaf, earlyIn, leaf.early > 0)
	t.settle(network)
}

// serve gives the first of a ranking by turn its turn.
func (t *tree) serve(r *ranking[*share]) *share {
	s := r.first()
	if s.kind == ofNetwork {
		s.turn++
		s.ahead = max(s.ahead-1, 0)
		t.settle(s)
		return s
	}
	t.clock++
	s.served = t.clock
	t.rank(s, turnIn, true)
	t.rank(s, turnIn2, true)
	return s
}

// heaviest is the leaf that must give something up; there must be one. It belongs
// to the network that holds most, and there to the client or the suffix that holds
// most. If some suffix holds more over all networks than any network does, it is a
// leaf of that suffix, in the network that holds most of it; but not in a network
// that holds less than half of what the heaviest one does, which must not suffer
// for what others ask.
func (t *tree) heaviest() *share {
	network, suffix := t.root.heavy[byClient].first(), t.root.heavy[bySuffix].first()
	if suffix.weight > network.weight {
		if zone := suffix.heavy[0].first(); 2*zone.up[0].weight >= network.weight {
			return zone.heavy[0].first()
		}
	}
	client, zone := network.heavy[byClient].first(), network.heavy[bySuffix].first()
	if zone.weight > client.weight {
		return zone.heavy[0].first()
	}
	return client.heavy[0].first()
}
