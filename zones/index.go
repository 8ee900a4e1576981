package zones

import "hash/maphash"

// ref says what stands at a name: an endpoint's alias, an endpoint's addresses, or
// something else; two bits for which of these, and its number. The zero ref is
// nothing.
type ref uint32

const (
	aliasRef   ref = 1 << 30 // the public name of an endpoint with a private one
	addressRef ref = 2 << 30 // the name at which the addresses of an endpoint stand
	otherRef   ref = 3 << 30 // the operator's records, or nothing but names below it
	maxNumber      = 1<<30 - 1
)

func (r ref) kind() ref { return r &^ maxNumber }

func (r ref) number() uint32 { return uint32(r & maxNumber) }

// index finds what stands at a name. A map of names would take five times as much
// memory, because it holds each of them; this holds where they are.
type index struct {
	slots []uint64 // half of the name's hash, and its ref; 0 for free
	count int
	seed  maphash.Seed
}

// newIndex makes an index with room for so many names.
func newIndex(names int) index {
	return index{slots: make([]uint64, names*7/5+1), seed: maphash.MakeSeed()}
}

// slot is where a name is, or would be: one half of its hash says where to begin,
// and the other is compared before any text is looked at.
func (n *Network) slot(name string) (at int, found ref, tag uint64) {
	slots := n.names.slots
	hash := maphash.String(n.names.seed, name)
	tag = hash << 32
	at = int(hash >> 32 * uint64(len(slots)) >> 32)
	for slots[at] != 0 {
		if slot := slots[at]; slot&^(1<<32-1) == tag && n.textOf(ref(slot)) == name {
			return at, ref(slot), tag
		}
		if at++; at == len(slots) {
			at = 0
		}
	}
	return at, 0, tag
}

// textOf is the name that a ref stands at.
func (n *Network) textOf(r ref) string {
	if r.kind() == otherRef {
		return n.others[r.number()].name.text
	}
	endpoint := n.mapped.At(int(r.number()))
	if r.kind() == addressRef {
		if private := endpoint.Private(); !private.IsZero() {
			return private.text
		}
	}
	return endpoint.Name().text
}

// find is what stands at a name; 0 when nothing does.
func (n *Network) find(name Name) ref {
	_, found, _ := n.slot(name.text)
	return found
}

// enter enters what stands at a name, unless something does, which it gives.
func (n *Network) enter(name Name, r ref) ref {
	if n.names.count >= len(n.names.slots)*4/5 {
		n.grow()
	}
	at, found, tag := n.slot(name.text)
	if found == 0 {
		n.names.slots[at] = tag | uint64(r)
		n.names.count++
	}
	return found
}

// grow makes room.
func (n *Network) grow() {
	old := n.names.slots
	n.names.slots = make([]uint64, 2*len(old)+8)
	for _, slot := range old {
		if slot != 0 {
			at, _, tag := n.slot(n.textOf(ref(slot)))
			n.names.slots[at] = tag | slot&(1<<32-1)
		}
	}
}
