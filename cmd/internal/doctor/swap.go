package doctor

import (
	"fmt"
	"strings"

	"pldns/zones"
)

// swap is the mapping whose certificate stands at the address of another one.
type swap struct {
	with   *visit // nil where there is none
	mutual bool   // and the other way round: the two were exchanged
}

// tell puts a swap into a result.
func (s swap) tell(r *Result) {
	switch {
	case s.with == nil:
	case s.mutual:
		r.SwappedWith = s.with.name.String()
		r.Seen = fmt.Sprintf("%s and %s are swapped: the certificate at %s is for %s, and that at %s for %s",
			r.Name, s.with.name, r.Address, s.with.name, s.with.to, r.Name)
		r.Remedy = fmt.Sprintf("exchange %s and %s in network %s", r.Address.Addr(), s.with.to.Addr(), r.Network)
	default:
		r.Seen += fmt.Sprintf("; it is for %s, which is mapped to %s", s.with.name, s.with.to.Addr())
	}
}

// place is a name, or the parent of names, in a network.
type place struct {
	network string
	name    zones.Name
}

// findSwaps finds for every mapping whose certificate is for another name the
// mapping of the same network that it is for.
func findSwaps(mappings []mapping) []swap {
	byName, byParent := make(map[place][]*visit), make(map[place][]*visit)
	for _, m := range mappings {
		byName[place{m.network, m.name}] = append(byName[place{m.network, m.name}], m.visit)
		if parent, has := m.name.Parent(); has {
			byParent[place{m.network, parent}] = append(byParent[place{m.network, parent}], m.visit)
		}
	}
	swaps := make([]swap, len(mappings))
	for i, m := range mappings {
		if !misplaced(m.visit) {
			continue
		}
		for _, text := range m.look.leaf.DNSNames {
			among := byName
			if below, wildcard := strings.CutPrefix(text, "*."); wildcard {
				among, text = byParent, below
			}
			name, err := zones.ParseName(text)
			if err != nil {
				continue // a certificate may say anything
			}
			swaps[i].consider(m.visit, among[place{m.network, name}])
		}
	}
	return swaps
}

// misplaced tells whether the certificate found is for another name.
func misplaced(v *visit) bool { return v.look.leaf != nil && !v.look.named }

// consider looks among mappings that a certificate covers for the best one to
// name: one that holds the certificate of v in turn, else the first.
func (s *swap) consider(v *visit, others []*visit) {
	for _, other := range others {
		if s.mutual {
			return
		}
		switch {
		case other.name == v.name:
		case misplaced(other) && other.look.leaf.VerifyHostname(v.name.String()) == nil:
			s.with, s.mutual = other, true
		case s.with == nil:
			s.with = other
		}
	}
}
