package cache_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/zones"
)

// working is a working set whose names are asked for the more often the lower
// their number, as clients do, and a count of what the cache does for it.
type working struct {
	group resolver.Exchanger
	names *rand.Zipf
	asked []resolver.Question
}

func newWorking(group resolver.Exchanger, size int) *working {
	w := &working{
		group: group,
		names: rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.05, 20, uint64(size-1)),
	}
	for i := range size {
		w.asked = append(w.asked, question(fmt.Sprintf("service%d.example.com", i), dns.TypeA))
	}
	return w
}

// ask asks for one of the names and tells whether it came from memory.
func (w *working) ask(tb testing.TB) bool {
	return ask(tb, w.group, w.asked[w.names.Uint64()]).Source == resolver.FromCache
}

// A flood of random names, twenty for every question of a working set that fills
// half of the cache, leaves the hit rate of the working set within 5 points, and
// the budgets are kept at every step. A working set that comes in only when the
// flood has begun gets there too, though not as fast.
func TestFlood(t *testing.T) {
	const (
		entries = 640
		names   = 300
		rounds  = 2500
		flood   = 20
	)
	for _, test := range []struct {
		name   string
		warm   bool
		bytes  int64
		within float64 // points
	}{
		{"warm", true, 0, 5},
		{"warm, short of bytes", true, entries * 500, 5},
		{"cold", false, 0, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			measure := func(flooded bool) float64 {
				var watch clock
				c := cache.New(cache.Config{Entries: entries, Bytes: test.bytes, Now: watch.now})
				work := newWorking(c.Group("azure", everything(t)), names)
				random := c.Group("azure", everything(t))
				for range rounds {
					if test.warm {
						work.ask(t)
					}
				}
				hits := 0
				for i := range rounds {
					watch.advance(5 * time.Millisecond)
					if work.ask(t) && i >= rounds/2 {
						hits++
					}
					for j := 0; flooded && j < flood; j++ {
						name := zones.NameOf(fmt.Sprintf("x%d.example.net.", i*flood+j))
						ask(t, random, resolver.Question{Name: name, Type: dns.TypeA})
					}
					if c.Len() > entries || test.bytes > 0 && c.Bytes() > test.bytes {
						t.Fatalf("%d entries, %d bytes", c.Len(), c.Bytes())
					}
				}
				return 100 * float64(hits) / (rounds / 2)
			}
			calm, flooded := measure(false), measure(true)
			t.Logf("hit rate %.1f %% calm, %.1f %% flooded", calm, flooded)
			if flooded < calm-test.within {
				t.Errorf("the hit rate falls from %.1f to %.1f %%", calm, flooded)
			}
		})
	}
}
