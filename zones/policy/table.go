package policy

import (
	"errors"
	"hash/maphash"
	"math"
	"net/netip"

	"github.com/gaissmai/bart"

	"pldns/zones"
)

// errFull is more than a policy can have.
var errFull = errors.New("there are more entries than a policy can have")

// table finds entries. There may be a million, so names stand one after another in one
// text, rules that many have are kept once, and nothing that there is one of for each name
// has a pointer, which each collection of memory would look at.
type table struct {
	seed  maphash.Seed
	at    map[uint64]uint32 // entry by the hash of its name, or by the next that is free
	names []entry
	text  []byte
	rules []Rule
	keys  map[string]uint32 // of rules, by what they say; nil once nothing is added
	count int

	prefixes  map[netip.Prefix]uint32 // rules; nil once nothing is added
	addresses bart.Table[*Rule]       // the same, once nothing is added
}

// entry is what stands at a name, which is a part of the text. A rule is a number; 0 is
// none.
type entry struct {
	begin        uint32
	exact, below uint32 // rules of the name itself, and of those below it
	length       uint16
}

func newTable() *table {
	return &table{
		seed: maphash.MakeSeed(), at: make(map[uint64]uint32), rules: make([]Rule, 1), keys: make(map[string]uint32),
		prefixes: make(map[netip.Prefix]uint32),
	}
}

// len is the number of entries.
func (t *table) len() int { return t.count }

func (t *table) nameOf(e *entry) []byte { return t.text[e.begin : e.begin+uint32(e.length)] }

// slot is where a name is, or would be. Two names of a million have the same hash once in
// ten million starts; then the second is found under the next number.
func (t *table) slot(name string) (key uint64, found *entry) {
	for key = maphash.String(t.seed, name); ; key++ {
		at, is := t.at[key]
		if !is {
			return key, nil
		}
		if found = &t.names[at]; string(t.nameOf(found)) == name {
			return key, found
		}
	}
}

// find finds the entry of a name itself, or the longest wildcard that it is below, in words.
func (t *table) find(name zones.Name) (string, *Rule) {
	if t.count == 0 {
		return "", nil
	}
	if _, found := t.slot(name.FQDN()); found != nil && found.exact > 0 {
		return name.Clone().String(), &t.rules[found.exact]
	}
	for above, more := name.Parent(); more; above, more = above.Parent() {
		if _, found := t.slot(above.FQDN()); found != nil && found.below > 0 {
			return above.Under("*").String(), &t.rules[found.below]
		}
	}
	return "", nil
}

func (t *table) findAddress(addr netip.Addr) (netip.Prefix, *Rule) {
	prefix, rule, found := t.addresses.LookupPrefixLPM(netip.PrefixFrom(addr, addr.BitLen()))
	if !found {
		return netip.Prefix{}, nil
	}
	return prefix, rule
}

// rule gives the number of a rule, by what it says.
func (t *table) rule(key string, rule Rule) uint32 {
	at, known := t.keys[key]
	if !known {
		at = uint32(len(t.rules))
		t.rules = append(t.rules, rule)
		t.keys[key] = at
	}
	return at
}

// enter gives what stands at a name, which is entered.
func (t *table) enter(name zones.Name) (*entry, error) {
	text := name.FQDN()
	key, found := t.slot(text)
	if found != nil {
		return found, nil
	}
	if len(t.text)+len(text) > math.MaxUint32 || len(t.names) >= math.MaxUint32-1 {
		return nil, errFull
	}
	t.at[key] = uint32(len(t.names))
	t.names = append(t.names, entry{begin: uint32(len(t.text)), length: uint16(len(text))})
	t.text = append(t.text, text...)
	return &t.names[len(t.names)-1], nil
}

// set sets one of the rules of an entry, unless there is one.
func (t *table) set(where *uint32, rule uint32) (set bool) {
	if *where == 0 {
		*where = rule
		t.count++
	}
	return *where == rule
}

// seal gives back what only adding needs.
func (t *table) seal() {
	for prefix, rule := range t.prefixes {
		t.addresses.Insert(prefix, &t.rules[rule])
	}
	t.keys, t.prefixes = nil, nil
	t.names = append(make([]entry, 0, len(t.names)), t.names...)
	t.text = append(make([]byte, 0, len(t.text)), t.text...)
}
