package config

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// The rules by which a client finds its network are those of zones.Table: its door
// narrows the candidates, the exact address before every address of a port, and
// then the longest prefix wins. A client whose door nobody claims has the networks
// without a door as candidates.

// candidate is a prefix at a door, and whose it is.
type candidate struct {
	door    zones.Door // zero where the network has no door
	prefix  netip.Prefix
	network *networkDraft
	place   Place
}

// checkMatching reports networks that one client matches equally well, and those
// that no client can match.
func (l *loader) checkMatching() {
	behind := make(map[zones.Door][]candidate)
	for _, name := range slices.Sorted(maps.Keys(l.drafts)) {
		for _, c := range candidates(l.drafts[name]) {
			behind[c.door] = append(behind[c.door], c)
		}
	}
	for door, list := range behind {
		slices.SortStableFunc(list, func(a, b candidate) int {
			return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
		})
		behind[door] = list
	}
	for _, door := range slices.SortedFunc(maps.Keys(behind), func(a, b zones.Door) int { return cmp.Compare(a.String(), b.String()) }) {
		l.equalMatches(behind[door])
	}
	for _, name := range slices.Sorted(maps.Keys(l.drafts)) {
		if draft := l.drafts[name]; !draft.broken {
			l.checkReach(draft, behind)
		}
	}
}

// candidates are the prefixes of a network at each of its doors. A network with a
// door and no prefix takes every client of the door.
func candidates(draft *networkDraft) []candidate {
	doors := slices.Clone(draft.claims)
	for _, d := range draft.listeners {
		doors = append(doors, claim{zones.NewListenerDoor(d.socket), d.place})
	}
	if len(doors) == 0 {
		doors = []claim{{}}
	}
	var list []candidate
	for _, d := range doors {
		clients := draft.clients
		if len(clients) == 0 && !d.door.IsZero() {
			clients = []client{
				{netip.PrefixFrom(netip.IPv4Unspecified(), 0), d.place},
				{netip.PrefixFrom(netip.IPv6Unspecified(), 0), d.place},
			}
		}
		for _, c := range clients {
			list = append(list, candidate{d.door, c.prefix, draft, c.place})
		}
	}
	return list
}

// equalMatches reports equal prefixes of different networks at one door, which
// stand beside each other in the sorted list.
func (l *loader) equalMatches(list []candidate) {
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		if a.prefix != b.prefix {
			continue
		}
		clients := "clients of " + b.prefix.String()
		if b.prefix.Bits() == 0 {
			clients = "all clients"
		}
		l.rep.clash(b.place, a.place, faultf("give one of them a longer prefix, or listeners of its own",
			"%s match networks %s and %s equally well", clients, a.network.name, b.network.name))
	}
}

// checkReach reports a network that no client can match.
func (l *loader) checkReach(draft *networkDraft, behind map[zones.Door][]candidate) {
	at := draft.place
	if len(draft.clients) > 0 {
		at = Place{File: draft.clients[0].place.File, table: draft.place.below("clients").Key()}
	}
	if len(draft.clients) == 0 && len(draft.listeners) == 0 && len(draft.claims) == 0 {
		l.rep.add(at, &fault{"no client can match this network: it has neither clients nor listeners",
			`add clients = ["10.0.0.0/16"] or listeners = ["10.0.0.4:53"]`})
		return
	}
	if l.listenKnown && !l.hasOpenDoor(draft, behind) {
		l.rep.add(at, &fault{"no client can match this network: every address of listen.dns is a listener of other networks",
			"give it listeners of its own, or open another address in listen.dns"})
		return
	}
	rivals := make(map[string]bool)
	for _, c := range candidates(draft) {
		if !covered(c, behind[c.door], rivals) {
			return
		}
	}
	l.rep.add(at, faultf("give it clients that are not in those, or remove it",
		"no client can match this network: longer prefixes of %s cover all its clients", strings.Join(slices.Sorted(maps.Keys(rivals)), ", ")))
}

// hasOpenDoor tells whether queries that arrive somewhere have this network among
// their candidates.
func (l *loader) hasOpenDoor(draft *networkDraft, behind map[zones.Door][]candidate) bool {
	if len(draft.claims) > 0 {
		return true
	}
	for _, open := range l.config.Listen.All() {
		wildcard := zones.NewListenerDoor(netip.AddrPortFrom(netip.IPv6Unspecified(), open.Port()))
		_, exact := behind[zones.NewListenerDoor(open)]
		_, all := behind[wildcard]
		exact = exact && !open.Addr().IsUnspecified()
		if len(draft.listeners) == 0 && !exact && !all {
			return true
		}
		for _, d := range draft.listeners {
			own := zones.NewListenerDoor(d.socket)
			if own == wildcard && !exact || own != wildcard && opens(open, own.Listener) {
				return true
			}
		}
	}
	return false
}

// covered tells whether longer prefixes of other networks leave nothing of a
// candidate, and collects whose they are. The list is sorted, so that what lies
// inside the candidate's prefix stands behind it.
func covered(c candidate, list []candidate, rivals map[string]bool) bool {
	at, _ := slices.BinarySearchFunc(list, c.prefix, func(other candidate, prefix netip.Prefix) int {
		return cmp.Or(other.prefix.Addr().Compare(prefix.Addr()), cmp.Compare(other.prefix.Bits(), prefix.Bits()))
	})
	next := c.prefix.Addr() // the first address that is not known to be covered
	for _, other := range list[at:] {
		switch {
		case !c.prefix.Contains(other.prefix.Addr()):
			return false
		case other.network == c.network || other.prefix.Bits() == c.prefix.Bits():
			continue
		case next.Less(other.prefix.Addr()):
			return false
		}
		end := last(other.prefix)
		if end.Less(next) {
			continue // inside one that was seen
		}
		rivals[other.network.name] = true
		if end == last(c.prefix) {
			return true
		}
		next = end.Next()
	}
	return false
}

// last is the last address of a prefix.
func last(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}
