package cache_test

import (
	"context"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
)

// An answer from memory makes no work for the garbage collector.
func TestHitAllocatesNothing(t *testing.T) {
	var watch clock
	c := cache.New(cache.Config{Now: watch.now, Prefetch: true})
	for name, view := range map[string]struct {
		group resolver.Exchanger
		q     resolver.Question
	}{
		"an answer": {c.Group("azure", everything(t)), question("www.example.com", dns.TypeA)},
		"a failure": {c.Group("corp", &script{reply: resolver.Reply{Rcode: dns.RcodeServerFailure}}), question("www.example.com", dns.TypeA)},
	} {
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := exchange(context.Background(), view.group, view.q); err != nil {
				t.Error(err)
			}
		})
		if allocs > 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
