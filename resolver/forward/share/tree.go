package share

import (
	"net/netip"

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
	rankings
)

// share is what one of [kind] holds. It exists as long as that is anything.
type share struct {
	label
	weight int
	slots  int    // held by it
	turn   uint64 // when it was served last; the lowest is next
	up     [2]*share
	heavy  [2]ranking[*share] // of those that it consists of
	turns  *[2]ranking[*share]
	in     [rankings]*ranking[*share]
	at     [rankings]int32
	held   [2]list // of a leaf: what waits within the usual time, and beyond it

	bySuffix bool // a network is served by suffix the next time
}

func (s *share) before(other *share, slot int) bool {
	if slot >= turnIn {
		return s.turn < other.turn
	}
	return s.weight > other.weight
}

func (s *share) place(slot int) *int32 { return &s.at[slot] }

// The two ways by which a network, or everything, is taken apart.
const (
	byClient = 0 // for everything: by network
	bySuffix = 1
)

// tree holds all shares by what they belong to.
type tree struct {
	shares map[label]*share
	root   share
	turns  bool   // they are served in turn
	clock  uint64 // of turns
}

func newTree(turns bool) *tree {
	t := &tree{shares: make(map[label]*share), turns: turns}
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
		s.turns = new([2]ranking[*share])
		s.turns[0].slot, s.turns[1].slot = turnIn, turnIn
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
	s = &share{label: key, turn: t.clock, up: [2]*share{first, second}}
	t.ready(s)
	t.shares[key] = s
	switch key.kind {
	case ofNetwork:
		s.in[heavyIn] = &t.root.heavy[byClient]
		s.in[turnIn] = t.root.turnsOf(byClient)
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
	}
	for _, r := range s.in {
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
	for _, r := range s.in {
		if r != nil {
			r.remove(s)
		}
	}
}

// serve gives the first of a ranking by turn its turn.
func (t *tree) serve(r *ranking[*share]) *share {
	s := r.first()
	t.clock++
	s.turn = t.clock
	for _, r := range s.in[turnIn:] {
		if r != nil {
			r.moved(s)
		}
	}
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
