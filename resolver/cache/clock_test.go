package cache_test

import (
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
)

// setting is a system clock that is set, as an administrator or NTP does it: the
// time of day jumps, and the monotonic reading goes on as before.
type setting struct {
	passed time.Duration // since the clock was made, by both
	set    time.Duration // that the time of day was moved by
	base   time.Time
}

func (s *setting) now() time.Time {
	now := s.base.Add(s.passed)
	// There is no way to say this without the form that a time.Time has in memory:
	// the seconds of the time of day are above 30 bits of nanoseconds, with one bit
	// in front that says that ext is a monotonic reading.
	form := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&now))
	form.wall += uint64(int64(s.set/time.Second)) << 30
	return now
}

// Nothing lasts longer because the time of day goes back, and nothing expires
// because it goes forward, while it is waited for as little as when it is held.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, time.Hour, -24 * 365 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			watch := &setting{base: time.Now()}
			var server script
			server.says(said(t, dns.RcodeSuccess, "www.example.com. 60 IN A 192.0.2.1", ""), nil)
			group := cache.New(cache.Config{Now: watch.now}).Group("azure", &server)
			q := question("www.example.com", dns.TypeA)
			ask(t, group, q)

			watch.set = by
			if moved := watch.now().Round(0).Sub(watch.base.Round(0)); moved != by {
				t.Fatalf("the time of day was moved by %v, want %v", moved, by)
			}
			watch.passed = 59 * time.Second
			if reply := ask(t, group, q); reply.Source != resolver.FromCache || reply.Answer[0].Header().Ttl != 1 {
				t.Errorf("after 59 s told %v from %v", reply.Answer, reply.Source)
			}
			watch.passed = 60 * time.Second
			if reply := ask(t, group, q); reply.Source != resolver.FromUpstream {
				t.Errorf("after 60 s told from %v", reply.Source)
			}
			server.says(resolver.Reply{Rcode: dns.RcodeServerFailure}, nil)
			watch.passed = 200 * time.Second
			ask(t, group, q)
			asked := server.asked.Load()
			watch.set = -by
			watch.passed += 999 * time.Millisecond
			if ask(t, group, q); server.asked.Load() != asked {
				t.Error("a failure is remembered for less than a second")
			}
			watch.passed += time.Millisecond
			if ask(t, group, q); server.asked.Load() != asked+1 {
				t.Error("a failure is remembered for more than a second")
			}
		})
	}
}
