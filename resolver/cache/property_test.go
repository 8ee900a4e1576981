package cache_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/zones"
)

// addressOf is the one address that belongs to a question asked of a group.
func addressOf(group string, q resolver.Question) string {
	h := fnv.New32a()
	fmt.Fprint(h, group, q)
	return net.IP(binary.BigEndian.AppendUint32(nil, h.Sum32())).String()
}

// moody is an upstream that gives each question its own address, and sometimes
// nothing, or nothing yet.
func moody(group string) apart {
	return func(q resolver.Question) (resolver.Reply, error) {
		switch rand.IntN(10) {
		case 0:
			return resolver.Reply{}, errors.New("connection refused")
		case 1:
			return resolver.Reply{Rcode: dns.RcodeServerFailure}, nil
		}
		record := &dns.A{
			Hdr: dns.RR_Header{Name: q.Name.FQDN(), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: rand.Uint32N(50)},
			A:   net.ParseIP(addressOf(group, q)),
		}
		return resolver.Reply{Answer: []dns.RR{record}, Source: resolver.FromUpstream}, nil
	}
}

// Many goroutines ask, flush and dump while time goes by: nobody is ever told
// what belongs to another question or group, no TTL is higher than what was said,
// and the budgets are kept. Under -race it also shows that nothing is written
// that somebody reads.
func TestManyAtOnce(t *testing.T) {
	const entries, bytes = 300, 150_000
	var watch clock
	c := cache.New(cache.Config{
		Entries: entries, Bytes: bytes,
		Stale: time.Minute, Prefetch: true, Waiting: 50, Now: watch.now,
	})
	stop := run(t, c)
	views := map[string]resolver.Exchanger{}
	for _, group := range []string{"azure", "corp"} {
		views[group] = c.Group(group, moody(group))
	}
	check := func(group string, q resolver.Question) {
		reply, err := exchange(context.Background(), views[group], q)
		if err != nil || reply.Rcode != dns.RcodeSuccess {
			return
		}
		record := reply.Answer[0].(*dns.A)
		if got := record.A.String(); len(reply.Answer) != 1 || got != addressOf(group, q) {
			t.Errorf("%s %v: told %v", group, q, reply.Answer)
		}
		if record.Hdr.Ttl > 50 {
			t.Errorf("%s %v: TTL %d", group, q, record.Hdr.Ttl)
		}
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 3000 {
				group := []string{"azure", "corp"}[rand.IntN(2)]
				name := fmt.Sprintf("h%d.example.com", rand.IntN(rand.IntN(400)+1))
				q := resolver.Question{Name: zones.MustName(name), Type: dns.TypeA, DNSSEC: rand.IntN(2) == 0, CheckingDisabled: rand.IntN(2) == 0}
				switch n := rand.IntN(1000); {
				case n < 5:
					c.Flush(q.Name, n == 0)
				case n < 10:
					for range c.Dump(q.Name, true) {
					}
				case n < 100:
					watch.advance(time.Duration(rand.IntN(2000)) * time.Millisecond)
				default:
					check(group, q)
				}
				if c.Len() > entries || c.Bytes() > bytes {
					t.Errorf("%d entries, %d bytes", c.Len(), c.Bytes())
				}
			}
		})
	}
	all.Wait()
	stop() // what is under way in the background comes in before the count
	held := 0
	for range c.Dump(zones.Root(), true) {
		held++
	}
	if held != c.Len() {
		t.Errorf("%d entries dumped, %d counted", held, c.Len())
	}
	c.Flush(zones.Root(), true)
	if c.Len() != 0 || c.Bytes() != 0 {
		t.Errorf("after a flush of everything %d entries, %d bytes", c.Len(), c.Bytes())
	}
}
