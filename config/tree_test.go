package config

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestGroupSort shows that pairs come in the order of their keys, and those with one
// key in the order of the file, whatever the keys have in common.
func TestGroupSort(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, form := range []string{"%d", "db-%03d.database.windows.net", "the same beginning and %d", "%[1]c\x00", "\x00%d", "one"} {
		g := new(group)
		for i := range 500 {
			key := form
			if form != "one" {
				key = fmt.Sprintf(form, random.IntN(300))
			}
			if i%50 == 0 {
				key = key[:len(key)/2]
			}
			g.add(pair{key: key, offset: uint32(i)})
		}
		want := slices.Clone(g.pairs)
		slices.SortStableFunc(want, func(a, b pair) int {
			return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.offset, b.offset))
		})
		g.sort()
		if !slices.Equal(g.pairs, want) {
			t.Errorf("keys such as %q are not in order", want[len(want)-1].key)
		}
	}
}
