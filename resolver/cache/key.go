package cache

import (
	"hash/maphash"

	"pldns/resolver"
	"pldns/zones"
)

// key is everything that an upstream's answer depends on: who is asked, and
// what, with the DO and CD bits. Whoever asks it is not in here, because nothing
// of the asker is sent upstream (RFC 7871 section 7.5 does not arise).
type key struct {
	group    string
	question resolver.Question
}

// hash spreads keys over shards and fingerprints. The seed is drawn for each
// process, so nobody outside can aim at one shard.
func (k key) hash(seed maphash.Seed) uint64 { return maphash.Comparable(seed, k) }

// about tells whether the question is about name, or with subtree about a name
// below it.
func (k key) about(name zones.Name, subtree bool) bool {
	return k.question.Name == name || subtree && k.question.Name.Within(name)
}
