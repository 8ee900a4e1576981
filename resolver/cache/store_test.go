package cache_test

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// everything is an upstream that has an address for every name.
func everything(tb testing.TB) resolvertest.Known {
	address := rrs(tb, "x. 3600 IN A 192.0.2.1")[0].(*dns.A)
	return func(q resolver.Question) (resolver.Reply, error) {
		rr := *address
		rr.Hdr.Name = q.Name.FQDN()
		return resolver.Reply{Answer: []dns.RR{&rr}, Source: resolver.FromUpstream}, nil
	}
}

func TestFlush(t *testing.T) {
	fill := func() *cache.Cache {
		c := cache.New(cache.Config{})
		for _, group := range []string{"azure", "corp"} {
			view := c.Group(group, everything(t))
			for _, name := range []string{"example.com", "a.example.com", "b.a.example.com", "notexample.com", "example.net"} {
				ask(t, view, question(name, dns.TypeA))
			}
		}
		return c
	}
	for _, test := range []struct {
		name    string
		subtree bool
		want    int
	}{
		{"example.com", false, 2},
		{"example.com", true, 6},
		{"a.example.com", true, 4},
		{"nothing.example", true, 0},
		{".", false, 0},
		{".", true, 10},
	} {
		c := fill()
		if got := c.Flush(zones.MustName(test.name), test.subtree); got != test.want || c.Len() != 10-test.want {
			t.Errorf("flush %s (subtree %v): %d gone and %d left, want %d gone", test.name, test.subtree, got, c.Len(), test.want)
		}
		if c.Len() == 0 && c.Bytes() != 0 {
			t.Errorf("an empty cache has %d bytes", c.Bytes())
		}
	}
}

func TestFlushGroup(t *testing.T) {
	c := cache.New(cache.Config{})
	for _, group := range []string{"azure", "corp"} {
		ask(t, c.Group(group, everything(t)), question("www.example.com", dns.TypeA))
	}
	if got := c.FlushGroup("azure"); got != 1 || c.Len() != 1 {
		t.Errorf("%d gone, %d left", got, c.Len())
	}
	if reply := ask(t, c.Group("corp", everything(t)), question("www.example.com", dns.TypeA)); reply.Source != resolver.FromCache {
		t.Errorf("the other group is told from %v", reply.Source)
	}
}

// Neither budget is ever exceeded, and what is held counts.
func TestBudgets(t *testing.T) {
	for _, config := range []cache.Config{
		{Entries: 1},
		{Entries: 100},
		{Entries: 5000},
		{Bytes: 1},
		{Bytes: 30_000},
		{Bytes: 3_000_000},
	} {
		t.Run(fmt.Sprintf("%d entries %d bytes", config.Entries, config.Bytes), func(t *testing.T) {
			c := cache.New(config)
			group := c.Group("azure", everything(t))
			for i := range 10_000 {
				ask(t, group, question(fmt.Sprintf("h%d.example.com", i%7000), dns.TypeA))
				if config.Entries > 0 && c.Len() > config.Entries || config.Bytes > 0 && c.Bytes() > config.Bytes {
					t.Fatalf("%d entries, %d bytes", c.Len(), c.Bytes())
				}
			}
			if config.Bytes != 1 && c.Len() < min(config.Entries, 10) {
				t.Errorf("only %d entries are held", c.Len())
			}
		})
	}
}
