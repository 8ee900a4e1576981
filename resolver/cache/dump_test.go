package cache_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/zones"
)

// dumped are the entries about a name, by group and name.
func dumped(c *cache.Cache, name string, subtree bool) map[string]cache.Entry {
	entries := make(map[string]cache.Entry)
	for e := range c.Dump(zones.MustName(name), subtree) {
		entries[e.Group+" "+e.Question.Name.String()] = e
	}
	return entries
}

// A dump shows what is held, how long it still lasts and what has become of it,
// and changes nothing of it.
func TestDump(t *testing.T) {
	var watch clock
	c := cache.New(cache.Config{Stale: time.Hour, Now: watch.now})
	var server script
	group := c.Group("azure", &server)
	reply := said(t, dns.RcodeSuccess, "www.example.com. 60 IN A 192.0.2.1", "")
	server.says(reply, nil)
	ask(t, group, question("www.example.com", dns.TypeA))
	ask(t, group, question("old.example.com", dns.TypeA))
	watch.advance(70 * time.Second)
	ask(t, group, question("www.example.com", dns.TypeA))
	server.says(resolver.Reply{Rcode: dns.RcodeServerFailure}, nil)
	ask(t, group, question("old.example.com", dns.TypeA))
	dead := errors.New("connection refused")
	server.says(resolver.Reply{}, dead)
	if _, err := exchange(context.Background(), c.Group("corp", &server), question("www.example.com", dns.TypeA)); err == nil {
		t.Fatal("no error")
	}
	watch.advance(500 * time.Millisecond)
	ask(t, group, question("www.example.com", dns.TypeA))
	watch.advance(20 * time.Second)

	entries := dumped(c, "example.com", true)
	if got := slices.Sorted(maps.Keys(entries)); strings.Join(got, ", ") != "azure old.example.com, azure www.example.com, corp www.example.com" {
		t.Fatalf("dumped %q", got)
	}
	www := entries["azure www.example.com"]
	if got := ttls(www.Reply); !slices.Equal(got, []uint32{40}) || www.Left != 39500*time.Millisecond || www.Hits != 1 || !www.Protected || www.Failing {
		t.Errorf("www: %+v", www)
	}
	old := entries["azure old.example.com"]
	if old.Left != -30500*time.Millisecond || !old.Failing || old.Reply.Source != resolver.FromStale {
		t.Errorf("old: %+v", old)
	}
	failure := entries["corp www.example.com"]
	if !errors.Is(failure.Err, dead) || failure.Protected || failure.Left > 0 {
		t.Errorf("failure: %+v", failure)
	}
	var total int64
	for _, e := range entries {
		total += e.Bytes
	}
	if total != c.Bytes() {
		t.Errorf("%d bytes dumped, %d held", total, c.Bytes())
	}
	if got := dumped(c, "www.example.com", false); len(got) != 2 {
		t.Errorf("www alone: %v", got)
	}
	if again := dumped(c, ".", true)["azure www.example.com"]; again.Hits != www.Hits {
		t.Error("a dump counts as interest")
	}
	for range c.Dump(zones.Root(), true) {
		break // no more than one was wanted
	}
}
