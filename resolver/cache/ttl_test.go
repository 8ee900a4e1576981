package cache_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
)

// What is kept, for how long, and with which TTLs it is told. lasts is the time
// during which the upstream is not asked again; zero says that it is asked again
// at once.
func TestLifetime(t *testing.T) {
	const (
		ok     = dns.RcodeSuccess
		denied = dns.RcodeNameError
	)
	tests := []struct {
		name      string
		config    cache.Config
		qtype     uint16
		rcode     int
		answer    string
		authority string
		lasts     time.Duration
		ttls      []uint32 // at once
	}{
		{
			name:  "a record lasts for its TTL",
			qtype: dns.TypeA, answer: "www.example.com. 300 IN A 192.0.2.1",
			lasts: 300 * time.Second, ttls: []uint32{300},
		}, {
			name:  "a chain lasts for its smallest TTL, and every record tells its own",
			qtype: dns.TypeA, answer: "www.example.com. 300 IN CNAME a.example.com.\na.example.com. 20 IN CNAME b.example.com.\nb.example.com. 60 IN A 192.0.2.1",
			lasts: 20 * time.Second, ttls: []uint32{300, 20, 60},
		}, {
			name:  "TTL 0 is for this transaction only (RFC 1035 section 3.2.1)",
			qtype: dns.TypeA, answer: "www.example.com. 300 IN CNAME a.example.com.\na.example.com. 0 IN A 192.0.2.1",
			lasts: 0, ttls: []uint32{300, 0},
		}, {
			name:   "TTL 0 is not lifted by a floor",
			config: cache.Config{MinTTL: time.Minute},
			qtype:  dns.TypeA, answer: "www.example.com. 0 IN A 192.0.2.1",
			lasts: 0, ttls: []uint32{0},
		}, {
			name:   "a floor, if configured, lifts positive TTLs",
			config: cache.Config{MinTTL: time.Minute},
			qtype:  dns.TypeA, answer: "www.example.com. 5 IN A 192.0.2.1",
			lasts: time.Minute, ttls: []uint32{60},
		}, {
			name:  "a TTL is cut at one day by default",
			qtype: dns.TypeA, answer: "www.example.com. 604800 IN A 192.0.2.1",
			lasts: 24 * time.Hour, ttls: []uint32{86400},
		}, {
			name:   "no setting goes over 7 days (RFC 8767 section 4)",
			config: cache.Config{MaxTTL: 1000 * time.Hour},
			qtype:  dns.TypeA, answer: "www.example.com. 2147483647 IN A 192.0.2.1",
			lasts: 7 * 24 * time.Hour, ttls: []uint32{604800},
		}, {
			name:  "a TTL with the high bit set is large, not zero (RFC 8767 section 4)",
			qtype: dns.TypeA, answer: "www.example.com. 4294967295 IN A 192.0.2.1",
			lasts: 24 * time.Hour, ttls: []uint32{86400},
		}, {
			name:  "NXDOMAIN lasts for the SOA's MINIMUM where that is smaller (RFC 2308 section 5)",
			qtype: dns.TypeA, rcode: denied, authority: soa,
			lasts: 300 * time.Second, ttls: []uint32{300},
		}, {
			name:  "NXDOMAIN lasts for the SOA's TTL where that is smaller",
			qtype: dns.TypeA, rcode: denied, authority: "example.com. 60 IN SOA ns.example.com. host.example.com. 1 3600 600 86400 300",
			lasts: 60 * time.Second, ttls: []uint32{60},
		}, {
			name:  "NXDOMAIN is cut at one hour by default",
			qtype: dns.TypeA, rcode: denied, authority: "example.com. 86400 IN SOA ns.example.com. host.example.com. 1 3600 600 86400 86400",
			lasts: time.Hour, ttls: []uint32{3600},
		}, {
			name:   "NXDOMAIN is not lifted by a floor",
			config: cache.Config{MinTTL: time.Minute},
			qtype:  dns.TypeA, rcode: denied, authority: "example.com. 5 IN SOA ns.example.com. host.example.com. 1 3600 600 86400 5",
			lasts: 5 * time.Second, ttls: []uint32{5},
		}, {
			name:  "NODATA lasts like NXDOMAIN",
			qtype: dns.TypeAAAA, authority: soa,
			lasts: 300 * time.Second, ttls: []uint32{300},
		}, {
			name:  "a chain into NODATA lasts for the smaller of both",
			qtype: dns.TypeAAAA, answer: "www.example.com. 20 IN CNAME a.example.com.", authority: soa,
			lasts: 20 * time.Second, ttls: []uint32{20, 20},
		}, {
			name:  "the proof counts too (RFC 9077)",
			qtype: dns.TypeAAAA, authority: soa + "\nexample.com. 30 IN NSEC b.example.com. A NS SOA RRSIG NSEC",
			lasts: 30 * time.Second, ttls: []uint32{30, 30},
		}, {
			name:  "NXDOMAIN without SOA is not kept (RFC 2308 section 5)",
			qtype: dns.TypeA, rcode: denied,
		}, {
			name:  "NODATA without SOA is not kept",
			qtype: dns.TypeA,
		}, {
			name:  "a referral is not NODATA",
			qtype: dns.TypeA, authority: "example.com. 900 IN NS ns.example.com.",
			ttls: []uint32{900},
		}, {
			name:  "an SOA of another zone denies nothing",
			qtype: dns.TypeA, rcode: denied, authority: "example.net. 900 IN SOA ns.example.net. host.example.net. 1 3600 600 86400 300",
			ttls: []uint32{900},
		}, {
			name:  "the SOA is that of the end of the chain (RFC 2308 section 2.1)",
			qtype: dns.TypeA, rcode: denied, answer: "www.example.com. 600 IN CNAME gone.example.net.",
			authority: "example.net. 900 IN SOA ns.example.net. host.example.net. 1 3600 600 86400 300",
			lasts:     300 * time.Second, ttls: []uint32{600, 300},
		}, {
			name:  "a chain that leads nowhere is not kept",
			qtype: dns.TypeA, answer: "www.example.com. 20 IN CNAME a.example.com.",
			ttls: []uint32{20},
		}, {
			name:  "an alias that was asked for is an answer",
			qtype: dns.TypeCNAME, answer: "www.example.com. 20 IN CNAME a.example.com.",
			lasts: 20 * time.Second, ttls: []uint32{20},
		}, {
			name:  "whatever there is answers ANY",
			qtype: dns.TypeANY, answer: "www.example.com. 3789 IN HINFO \"RFC8482\" \"\"",
			lasts: 3789 * time.Second, ttls: []uint32{3789},
		}, {
			name:  "SERVFAIL is remembered for a second (RFC 9520)",
			qtype: dns.TypeA, rcode: dns.RcodeServerFailure,
			lasts: time.Second,
		}, {
			name:  "REFUSED likewise",
			qtype: dns.TypeA, rcode: dns.RcodeRefused,
			lasts: time.Second,
		}, {
			name:   "a failure is remembered as long as configured",
			config: cache.Config{FailureTTL: 10 * time.Second},
			qtype:  dns.TypeA, rcode: dns.RcodeServerFailure,
			lasts: 10 * time.Second,
		}, {
			name:   "and never over 30 seconds",
			config: cache.Config{FailureTTL: time.Hour},
			qtype:  dns.TypeA, rcode: dns.RcodeServerFailure,
			lasts: 30 * time.Second,
		}, {
			name:  "the SOA beside a failure does not make it a denial",
			qtype: dns.TypeA, rcode: dns.RcodeServerFailure, authority: soa,
			lasts: time.Second, ttls: []uint32{900},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var watch clock
			test.config.Now = watch.now
			var server script
			server.says(said(t, test.rcode, test.answer, test.authority), nil)
			group := cache.New(test.config).Group("azure", &server)
			q := question("www.example.com", test.qtype)

			first := ask(t, group, q)
			if got := ttls(first); !slices.Equal(got, test.ttls) {
				t.Errorf("first told with TTLs %v, want %v", got, test.ttls)
			}
			if first.Rcode != test.rcode || first.Source != resolver.FromUpstream {
				t.Errorf("first told RCODE %d from %v", first.Rcode, first.Source)
			}
			if test.lasts > 0 {
				watch.advance(test.lasts - 1)
				if again := ask(t, group, q); again.Source != resolver.FromCache || again.Rcode != test.rcode {
					t.Errorf("just before the end: RCODE %d from %v", again.Rcode, again.Source)
				}
				watch.advance(1)
			}
			if last := ask(t, group, q); last.Source != resolver.FromUpstream || server.asked.Load() != 2 {
				t.Errorf("after its life it came from %v, and the upstream was asked %d times", last.Source, server.asked.Load())
			}
		})
	}
}

// TTLs are counted down by whole seconds, at least one is left as long as the
// answer is used, and what was told to one client does not change for it.
func TestCountDown(t *testing.T) {
	var watch clock
	var server script
	server.says(said(t, dns.RcodeSuccess,
		"www.example.com. 300 IN CNAME a.example.com.\na.example.com. 20 IN A 192.0.2.1\n", ""), nil)
	group := cache.New(cache.Config{Now: watch.now}).Group("azure", &server)
	q := question("www.example.com", dns.TypeA)

	first := ask(t, group, q)
	for _, step := range []struct {
		after time.Duration
		want  []uint32
	}{
		{0, []uint32{300, 20}},
		{999 * time.Millisecond, []uint32{300, 20}},
		{time.Millisecond, []uint32{299, 19}},
		{1500 * time.Millisecond, []uint32{298, 18}},
		{500 * time.Millisecond, []uint32{297, 17}},
		{16*time.Second + 999*time.Millisecond, []uint32{281, 1}},
	} {
		watch.advance(step.after)
		reply := ask(t, group, q)
		if got := ttls(reply); !slices.Equal(got, step.want) || reply.Source != resolver.FromCache {
			t.Errorf("after another %v: TTLs %v from %v, want %v", step.after, got, reply.Source, step.want)
		}
	}
	if got := ttls(first); !slices.Equal(got, []uint32{300, 20}) {
		t.Errorf("the first reply has changed to TTLs %v", got)
	}
}

// An error is remembered as a failure is, and every asker gets it.
func TestErrorIsRemembered(t *testing.T) {
	var watch clock
	var server script
	dead := errors.New("connection refused")
	server.says(resolver.Reply{Group: "azure", Errors: []resolver.Error{{Code: 23, Text: "192.0.2.53"}}}, dead)
	group := cache.New(cache.Config{Now: watch.now}).Group("azure", &server)
	q := question("www.example.com", dns.TypeA)

	for range 3 {
		reply, err := exchange(context.Background(), group, q)
		if !errors.Is(err, dead) || len(reply.Errors) != 1 || reply.Group != "azure" {
			t.Fatalf("got %v and error %v", reply, err)
		}
	}
	if n := server.asked.Load(); n != 1 {
		t.Errorf("the upstream was asked %d times within a second of its failure", n)
	}
	watch.advance(time.Second)
	server.says(said(t, dns.RcodeSuccess, "www.example.com. 20 IN A 192.0.2.1", ""), nil)
	ask(t, group, q)
}

// A remembered SERVFAIL says so, and what the upstream said about it
// (RFC 8914 section 4.14).
func TestCachedError(t *testing.T) {
	var server script
	server.says(resolver.Reply{Rcode: dns.RcodeServerFailure, Errors: []resolver.Error{{Code: 9, Text: "no key"}}}, nil)
	group := cache.New(cache.Config{}).Group("azure", &server)
	q := question("www.example.com", dns.TypeA)
	if got := codes(ask(t, group, q)); !slices.Equal(got, []uint16{9}) {
		t.Errorf("first told %v", got)
	}
	if got := codes(ask(t, group, q)); !slices.Equal(got, []uint16{9, 13}) {
		t.Errorf("then told %v", got)
	}
}

// Groups, types, DO and CD are told apart (RFC 3225, RFC 4035 section 3.2.2).
func TestKeptApart(t *testing.T) {
	c := cache.New(cache.Config{})
	base := question("www.example.com", dns.TypeA)
	questions := []resolver.Question{base, base, base, base}
	questions[1].Type = dns.TypeTXT
	questions[2].DNSSEC = true
	questions[3].CheckingDisabled = true
	for _, group := range []string{"azure", "corp"} {
		for _, q := range questions {
			var server script
			server.says(said(t, dns.RcodeSuccess, "www.example.com. 20 IN A 192.0.2.1\nwww.example.com. 20 IN TXT x", ""), nil)
			view := c.Group(group, &server)
			if first, second := ask(t, view, q), ask(t, view, q); first.Source != resolver.FromUpstream || second.Source != resolver.FromCache {
				t.Errorf("%s %+v: first from %v, then from %v", group, q, first.Source, second.Source)
			}
		}
	}
	if c.Len() != 8 {
		t.Errorf("%d entries, want 8", c.Len())
	}
}
