package cache

import (
	"hash/maphash"
	"strconv"

	"pldns/resolver"
	"pldns/zones"
)

// key is everything that an upstream's answer depends on: who is asked, and
// what, with the DO and CD bits. Whoever asks it is not in here, because nothing
// of the asker is sent upstream (RFC 7871 section 7.5 does not arise).
type key struct {
	group    string
	question resolver.Question
	traits   traits // those that an entry has of its question
	exact    uint64 // the hash of all of it, under which an answer is held
	denial   uint64 // that of all but the type, for the denial of the name, which answers every type
}

// hasher makes the hashes of the keys of one group. The seed is drawn for each process, so
// nobody outside can choose names whose hashes meet.
type hasher struct {
	seed  maphash.Seed
	group string
	asked [4]uint64 // the group's part, with neither, one or both of DO and CD
}

// newHasher makes the hasher of a group.
func newHasher(seed maphash.Seed, group string) hasher {
	h := hasher{seed: seed, group: group}
	for bits := range h.asked {
		h.asked[bits] = maphash.String(seed, group+" "+strconv.Itoa(bits))
	}
	return h
}

// typeSpread makes the hashes of the types of one name differ in all their bits:
// the golden ratio, as multiplicative hashing has it.
const typeSpread = 0x9E3779B97F4A7C15

// key makes the key of a question to the group.
func (h *hasher) key(q resolver.Question) key {
	k := key{group: h.group, question: q}
	if q.DNSSEC {
		k.traits |= dnssec
	}
	if q.CheckingDisabled {
		k.traits |= unchecked
	}
	k.denial = maphash.String(h.seed, q.Name.FQDN()) + h.asked[k.traits]
	k.exact = k.denial + uint64(q.Type)*typeSpread
	return k
}

// about tells whether the entry is about name, or with subtree about a name below it.
func (e *entry) about(name zones.Name, subtree bool) bool {
	own := e.name()
	return own == name || subtree && own.Within(name)
}
