package share

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// recentShares is of how many networks, clients and suffixes each it is
	// remembered that they gave way.
	recentShares = 256
	// recentHalf is when what was remembered counts half.
	recentHalf = time.Minute
)

// recent remembers which shares gave way lately.
type recent struct {
	byKind [ofClient + 1]*simplelru.LRU[label, fading]
}

// fading is a number that becomes smaller with time.
type fading struct {
	amount float64
	at     time.Duration
}

func (f fading) now(now time.Duration) float64 {
	return f.amount * math.Exp2(-float64(now-f.at)/float64(recentHalf))
}

func (r *recent) init() {
	for i := range r.byKind {
		r.byKind[i], _ = simplelru.NewLRU[label, fading](recentShares, nil) // fails for no size only
	}
}

// add counts that a slot of a leaf gave way.
func (r *recent) add(leaf *share, now time.Duration) {
	client, zone := leaf.up[0], leaf.up[1]
	for _, s := range [...]*share{client, client.up[0], zone.up[1]} {
		known, _ := r.byKind[s.kind].Get(s.label)
		r.byKind[s.kind].Add(s.label, fading{known.now(now) + 1, now})
	}
}

// view is who holds most of what is counted, and gave way most.
func (h *holder) view(n int, now time.Duration) View {
	view := View{Held: h.held, Capacity: h.capacity}
	of := view.lists()
	for key, s := range h.tree.shares {
		if int(key.kind) >= len(of) {
			continue
		}
		gave, _ := h.recent.byKind[key.kind].Peek(key)
		keep(of[key.kind], n, key.usage(s.slots, gave.now(now)))
	}
	for kind, list := range of {
		for _, key := range h.recent.byKind[kind].Keys() {
			gave, _ := h.recent.byKind[kind].Peek(key)
			if amount := gave.now(now); h.tree.shares[key] == nil && amount >= 0.5 {
				keep(list, n, key.usage(0, amount))
			}
		}
	}
	return view
}

func (l label) usage(held int, gaveWay float64) Usage {
	return Usage{l.network, l.client, l.suffix.String(), held, int(math.Round(gaveWay)), l}
}

// keep puts a usage into a sorted list of at most n.
func keep(list *[]Usage, n int, u Usage) {
	at, _ := slices.BinarySearchFunc(*list, u, compareUsage)
	if at >= n {
		return
	}
	if len(*list) == n {
		*list = (*list)[:n-1]
	}
	*list = slices.Insert(*list, at, u)
}

// compareUsage puts first what gave way most, then what holds most.
func compareUsage(a, b Usage) int {
	return cmp.Or(
		cmp.Compare(b.GaveWay, a.GaveWay), cmp.Compare(b.Held, a.Held), cmp.Compare(a.Network, b.Network),
		a.Client.Addr().Compare(b.Client.Addr()), cmp.Compare(a.Suffix, b.Suffix),
	)
}

// merge adds slots that are not counted to any share.
func (v *View) merge(n int, keys []Key) {
	if len(keys) == 0 {
		return
	}
	held := make(map[label]int)
	for _, key := range keys {
		held[label{kind: ofNetwork, network: key.Network}]++
		held[label{kind: ofClient, network: key.Network, client: key.Client}]++
		held[label{kind: ofSuffix, suffix: Suffix(key.Name)}]++
	}
	of := v.lists()
	for _, list := range of {
		all := *list
		*list = nil
		for _, u := range all {
			u.Held += held[u.label]
			delete(held, u.label)
			keep(list, n, u)
		}
	}
	for key, more := range held {
		keep(of[key.kind], n, key.usage(more, 0))
	}
}

// lists are the lists by the kind of shares in them.
func (v *View) lists() [ofClient + 1]*[]Usage {
	return [...]*[]Usage{ofNetwork: &v.Networks, ofSuffix: &v.Suffixes, ofClient: &v.Clients}
}
