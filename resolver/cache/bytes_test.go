package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// These tests come first in their package: a cache that another test has made holds
// memory for as long as its timer runs.

// noReply stands for an error in the place of a response code.
const noReply = -1

// placeholder is the first label of the name that is replaced in each reply.
const placeholder = "account00000"

// packed is a message with these records, the name @ in them being a name of
// example.com that begins with the placeholder.
func packed(tb testing.TB, rcode int, answer, authority string) []byte {
	tb.Helper()
	const name = placeholder + ".example.com."
	message := new(dns.Msg)
	message.SetQuestion(name, dns.TypeA) // the names of all records can point here
	message.Rcode = max(rcode, 0)
	message.Answer = rrs(tb, strings.ReplaceAll(answer, "@", name))
	message.Ns = rrs(tb, strings.ReplaceAll(authority, "@", name))
	message.Compress = true
	wire, err := message.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return wire
}

// unpacked gives a reply as an upstream gives it: every record, with all that it
// points to, unpacked from a message of its own.
func unpacked(tb testing.TB, wire []byte, label string) resolver.Reply {
	tb.Helper()
	message := new(dns.Msg)
	if err := message.Unpack(bytes.ReplaceAll(wire, []byte(placeholder), []byte(label))); err != nil {
		tb.Fatal(err)
	}
	return resolver.Reply{Rcode: message.Rcode, Answer: message.Answer, Authority: message.Ns}
}

// The bytes that are budgeted are near those that the runtime counts, and not
// fewer by much, for every kind of answer.
func TestBytesAreHonest(t *testing.T) {
	const entries = 4000
	signature := " 300 IN RRSIG A 13 3 300 20300101000000 20200101000000 12345 example.com. " + strings.Repeat("A", 86) + "=="
	for _, test := range []struct {
		name              string
		qtype             uint16
		answer, authority string
		rcode             int
	}{
		{name: "an address", qtype: dns.TypeA, answer: "@ 300 IN A 192.0.2.1"},
		{name: "eight addresses", qtype: dns.TypeAAAA, answer: strings.Repeat("@ 300 IN AAAA 2001:db8::1\n", 8)},
		{name: "a chain as Azure has it", qtype: dns.TypeA, answer: "@ 300 IN CNAME blob.dub09prdstr04a.store.core.windows.net.\nblob.dub09prdstr04a.store.core.windows.net. 60 IN A 192.0.2.1"},
		{name: "NXDOMAIN", qtype: dns.TypeA, authority: "example.com. 900 IN SOA ns.example.com. host.example.com. 1 3600 600 86400 300", rcode: dns.RcodeNameError},
		{name: "a signed address", qtype: dns.TypeA, answer: "@ 300 IN A 192.0.2.1\n@" + signature},
		{name: "texts", qtype: dns.TypeTXT, answer: "@ 300 IN TXT \"v=spf1 include:spf.protection.outlook.com -all\" \"" + strings.Repeat("x", 200) + "\""},
		{name: "a service", qtype: dns.TypeHTTPS, answer: "@ 300 IN HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1"},
		{name: "a failure", qtype: dns.TypeA, rcode: dns.RcodeServerFailure},
		{name: "nothing but an error", qtype: dns.TypeA, rcode: noReply},
	} {
		t.Run(test.name, func(t *testing.T) {
			var watch clock
			c := cache.New(cache.Config{Now: watch.now, Timeout: 100 * time.Millisecond})
			wire := packed(t, test.rcode, test.answer, test.authority)
			group := c.Group("azure", resolvertest.Known(func(q resolver.Question) (resolver.Reply, error) {
				if test.rcode == noReply {
					cause := &net.OpError{Op: "read", Net: "udp", Err: errors.New(q.Name.String())}
					return resolver.Reply{}, fmt.Errorf("ask about %s: %w", q.Name, cause)
				}
				return unpacked(t, wire, q.Name.Labels()[0]), nil
			}))
			before := inUse()
			for i := range entries {
				exchange(t.Context(), group, question(fmt.Sprintf("account%05d.example.com", i), test.qtype))
			}
			measured := inUse() - before
			said := c.Bytes()
			if c.Len() != entries {
				t.Fatalf("%d entries", c.Len())
			}
			t.Logf("%d bytes each by the runtime, %d by the cache", measured/entries, said/entries)
			if ratio := float64(said) / float64(measured); ratio < 0.9 || ratio > 1.15 {
				t.Errorf("%d bytes said, %d measured: %.2f", said, measured, ratio)
			}
			runtime.KeepAlive(c)
		})
	}
}

// Whatever type answers are of, and however much memory they would take unpacked:
// a full cache takes what its budget says, and what it says that it takes.
func TestBytesOfEveryType(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a cache with each type for 20 s: make test-all runs it")
	}
	const budget = 2 << 20
	for _, rrtype := range types() { // in one goroutine: those of subtests hold what they had for a while
		records := worst(t, rrtype, "x.example.com.")
		if len(records) == 0 {
			t.Errorf("%v: no data of this type is known to the test", dns.Type(rrtype))
			continue
		}
		said, measured, entries := filled(t, rrtype, records, budget)
		if said > budget || float64(measured) > budget*1.1 {
			t.Errorf("%v: %d bytes said and %d measured, of %d", dns.Type(rrtype), said, measured, budget)
		}
		if ratio := float64(said) / float64(measured); ratio < 0.87 || ratio > 1.15 {
			t.Errorf("%v: %d bytes said, %d measured: %.2f; %d entries", dns.Type(rrtype), said, measured, ratio, entries)
		}
	}
}

// filled fills a cache with answers of a type, and gives what it says that it takes,
// and what the runtime says.
func filled(t *testing.T, rrtype uint16, records []dns.RR, budget int64) (said, measured int64, entries int) {
	c := cache.New(cache.Config{Bytes: budget, Timeout: 100 * time.Millisecond}) // its timer holds it so long
	group := c.Group("azure", resolvertest.Known(func(q resolver.Question) (resolver.Reply, error) {
		rr := dns.Copy(records[len(q.Name.FQDN())%len(records)])
		rr.Header().Name = q.Name.FQDN()
		return resolver.Reply{Answer: []dns.RR{rr}}, nil
	}))
	before := inUse()
	for i := 0; c.Bytes() < budget*9/10 && i < 10_000; i++ {
		name := zones.MustName(fmt.Sprintf("h%d.%s.example.com", i, "xxxxxxxx"[:i%4+1]))
		exchange(t.Context(), group, resolver.Question{Name: name, Type: rrtype})
	}
	measured = inUse() - before
	runtime.KeepAlive(records)
	return c.Bytes(), measured, c.Len()
}

// inUse is how many bytes are held, after all garbage is gone: what a goroutine that
// has just ended held is garbage a moment later.
func inUse() int64 {
	var stats runtime.MemStats
	for last := uint64(math.MaxUint64); ; last = stats.HeapAlloc {
		runtime.Gosched()
		runtime.GC()
		runtime.ReadMemStats(&stats)
		if stats.HeapAlloc >= last-last/1000 {
			return int64(stats.HeapAlloc)
		}
	}
}
