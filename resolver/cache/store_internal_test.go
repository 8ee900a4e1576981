package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// BenchmarkShards measures what cutting the store into shards is worth: looks at
// 1,000 entries by all cores at once, one in ten of them followed by a put.
func BenchmarkShards(b *testing.B) {
	for _, count := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			s := newStore(Config{Entries: 100_000}.withDefaults(), count)
			keys, h := make([]key, 1_000), newHasher(s.seed, "azure")
			for i := range keys {
				name := zones.MustName(fmt.Sprintf("h%d.example.com", i))
				keys[i] = h.key(resolver.Question{Name: name, Type: dns.TypeA})
				s.put(&keys[i], newEntry(&keys[i], &resolver.Reply{}, 1, time.Hour), 0)
				s.look(&keys[i], 1)
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(len(keys)); pb.Next(); i = (i + 7919) % len(keys) {
					if s.look(&keys[i], 1); i%10 == 0 {
						s.put(&keys[i], newEntry(&keys[i], &resolver.Reply{}, 1, time.Hour), 0)
					}
				}
			})
		})
	}
}
