package zones

import (
	"hash/maphash"
	"slices"
)

// HasBelow reports whether the network answers any name strictly below a name: one
// that is mapped, public or private, wildcards included; one with records; the apex
// of a zone that denies missing names or is held as a copy; the reverse of a mapped address. While it
// does, the name exists, and nobody may be told that it does not (RFC 8020 section
// 2).
//
// It costs one hash and one binary search, and allocates nothing. What is kept of
// each ancestor is 64 bits under a secret seed: among a million of them, the chance
// that another name is taken for one is below 1 in 10^13.
func (n *Network) HasBelow(name Name) bool {
	if _, found := slices.BinarySearch(n.ancestors, n.ancestorHash(name)); found {
		return true
	}
	prefix, is := reversePrefix(name)
	return is && !prefix.IsSingleIP() && n.mapsWithin(prefix)
}

// ancestorHash stands for a name among the ancestors.
func (n *Network) ancestorHash(name Name) uint64 { return maphash.String(n.names.seed, name.text) }

// findAncestors collects the names above those that the network answers. Those of
// them that are below the apex of a zone, and that nothing else stands at, are its
// empty non-terminals. Above a name outside every zone there are none: it is exact,
// and its ancestors are for the outside.
func (n *Network) findAncestors() {
	found := ancestors{network: n, inZone: make(map[Name]bool)}
	var lastPublic, lastPrivate Name
	for i := range n.mapped.Len() {
		endpoint := n.mapped.At(i)
		found.above(endpoint.Name(), &lastPublic)
		if private := endpoint.Private(); !private.IsZero() {
			found.above(private, &lastPrivate)
		}
	}
	for _, other := range n.others {
		found.above(other.name, &lastPublic)
	}
	for _, zone := range n.zones {
		if zone.Missing != Forward || zone.Copy != "" {
			found.above(zone.Name, &lastPublic)
		}
	}
	slices.Sort(found.hashes)
	n.ancestors = slices.Clip(slices.Compact(found.hashes))
	for _, name := range found.empty {
		n.ownUnlessOwned(name, n.other(name, nil)) // nothing stands there
	}
}

// ancestors are the names above those that a network answers. Most of these have a
// parent in common, which is looked at once.
type ancestors struct {
	network *Network
	inZone  map[Name]bool // the ancestors, and whether a zone of the network holds them
	hashes  []uint64
	empty   []Name
}

// above adds the names above a name, unless its parent is the same as the last.
func (a *ancestors) above(name Name, last *Name) {
	if parent, more := name.Parent(); more && parent != *last {
		*last = parent
		a.add(parent)
	}
}

// add adds a name and those above it, and reports whether a zone holds it.
func (a *ancestors) add(name Name) bool {
	if inZone, known := a.inZone[name]; known {
		return inZone
	}
	_, inZone := a.network.zones[name]
	if parent, more := name.Parent(); more && a.add(parent) && !inZone {
		inZone = true
		if a.network.find(name) == 0 {
			a.empty = append(a.empty, name)
		}
	}
	a.inZone[name] = inZone
	a.hashes = append(a.hashes, a.network.ancestorHash(name))
	return inZone
}
