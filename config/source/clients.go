package source

import (
	"cmp"
	"net/netip"
	"slices"

	"pldns/config"
	"pldns/zones"
)

// holding is a prefix that a network has, or would have.
type holding struct {
	network  int
	prefix   netip.Prefix
	distance int // -1 for what is written by hand
	place    config.Place
}

// clients gives the networks the prefixes that were learned. A client must match one
// network alone (ARCHITECTURE.md, rule 1): of networks at the same ingress that would
// have the same prefix, the one that has it written by hand has it, else the closest;
// if two are as close, none has it, because its clients could be anybody's.
func (c *composer) clients(learned []Source, sets []*Set) {
	var wishes []holding
	for i := range c.Config.Networks {
		n := &c.Config.Networks[i]
		for j := range learned {
			if sets[j] == nil || sets[j].Shares[n.Name] == nil {
				continue
			}
			for _, client := range sets[j].Shares[n.Name].Clients {
				wishes = addWish(wishes, holding{i, client.Prefix.Masked(), client.Distance, client.Place})
			}
		}
	}
	if len(wishes) == 0 {
		return
	}
	var all []holding
	for i := range c.Config.Networks {
		for _, prefix := range c.Config.Networks[i].Clients {
			all = append(all, holding{network: i, prefix: prefix, distance: -1})
		}
	}
	ingresses := make([][]zones.Ingress, len(c.Config.Networks))
	for i := range c.Config.Networks {
		spec := c.Config.Networks[i].Spec()
		ingresses[i] = spec.Ingresses()
	}
	byHand := len(all)
	all = append(all, wishes...)
	for i := byHand; i < len(all); i++ {
		if c.granted(all, i, ingresses) {
			n := &c.Config.Networks[all[i].network]
			n.Clients = append(slices.Clip(n.Clients), all[i].prefix)
		}
	}
	c.overlaps(all, ingresses)
}

// addWish adds a prefix that a network would have; of two the closer one.
func addWish(wishes []holding, w holding) []holding {
	at := slices.IndexFunc(wishes, func(other holding) bool { return other.network == w.network && other.prefix == w.prefix })
	if at < 0 {
		return append(wishes, w)
	}
	if w.distance < wishes[at].distance {
		wishes[at] = w
	}
	return wishes
}

// granted tells whether a network gets a prefix that it learned.
func (c *composer) granted(all []holding, at int, ingresses [][]zones.Ingress) bool {
	want := all[at]
	name := func(h holding) string { return c.Config.Networks[h.network].Name }
	for i, other := range all {
		switch {
		case i == at || other.prefix != want.prefix:
		case other.network == want.network:
			return false // it is written by hand, too
		case !shareIngress(ingresses[other.network], ingresses[want.network]) || other.distance > want.distance:
		case other.distance < 0:
			c.warn("clients of %s are those of network %s, which names them, and not of %s, whose VNets have them (%s)",
				want.prefix, name(other), name(want), want.place.Key())
			return false
		case other.distance < want.distance:
			c.warn("clients of %s are those of network %s, in whose VNet they are (%s), and not of %s, which is peered with it (%s)",
				want.prefix, name(other), other.place.Key(), name(want), want.place.Key())
			return false
		default:
			c.warn("clients of %s could be those of network %s (%s) and of %s (%s), so they are refused: "+
				"write them into clients of one of the two",
				want.prefix, name(want), want.place.Key(), name(other), other.place.Key())
			return false
		}
	}
	return true
}

// overlaps warns of prefixes that lie in those of another network: the longer one has
// its clients, which may not be meant.
func (c *composer) overlaps(all []holding, ingresses [][]zones.Ingress) {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b holding) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	for i, outer := range sorted {
		for _, inner := range sorted[i+1:] {
			if !outer.prefix.Contains(inner.prefix.Addr()) {
				break
			}
			byHand := outer.distance < 0 && inner.distance < 0
			same := outer.prefix == inner.prefix || outer.network == inner.network
			if same || byHand || !shareIngress(ingresses[outer.network], ingresses[inner.network]) {
				continue
			}
			c.warn("clients of %s of network %s%s lie in %s of network %s%s: they belong to the first, whose prefix is longer",
				inner.prefix, c.Config.Networks[inner.network].Name, at(inner),
				outer.prefix, c.Config.Networks[outer.network].Name, at(outer))
		}
	}
}

// at is the resource that a prefix was learned of, in brackets.
func at(h holding) string {
	if h.distance < 0 {
		return ""
	}
	return " (" + h.place.Key() + ")"
}

// shareIngress tells whether a client could come to both networks. Networks without a
// ingress stand behind the same one.
func shareIngress(a, b []zones.Ingress) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return slices.ContainsFunc(a, func(ingress zones.Ingress) bool { return slices.Contains(b, ingress) })
}
