package secondary_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/secondary"
	"pldns/zones"
	"pldns/zones/content"
)

// world is a net of pipes, in the time of a bubble.
type world struct {
	mu    sync.Mutex
	hosts map[netip.AddrPort]*primary
	dead  map[netip.AddrPort]bool // there is no connection, and no answer either
	dials map[netip.AddrPort]int
	most  int // connections at once
	now   int
}

func newWorld() *world {
	return &world{hosts: make(map[netip.AddrPort]*primary), dead: make(map[netip.AddrPort]bool), dials: make(map[netip.AddrPort]int)}
}

// primary is one that is reached by pipes.
func (w *world) primary(t testing.TB, address string, versions ...*content.Zone) *primary {
	p := &primary{t: t, addr: netip.MustParseAddrPort(address), versions: versions, asked: make(map[uint16]int)}
	w.hosts[p.addr] = p
	return p
}

func (w *world) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dials[addr]++
	host, dead := w.hosts[addr], w.dead[addr]
	w.now++
	w.most = max(w.most, w.now)
	w.mu.Unlock()
	over := func() { w.mu.Lock(); w.now--; w.mu.Unlock() }
	if host == nil || dead {
		<-ctx.Done()
		over()
		return nil, ctx.Err()
	}
	here, there := net.Pipe()
	go func() { defer over(); host.serve(there) }()
	return here, nil
}

func (w *world) set(addr netip.AddrPort, dead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead[addr] = dead
}

func (w *world) dialed(addr netip.AddrPort) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials[addr]
}

func (w *world) mostAtOnce() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.most
}

// bubble runs a test in made-up time: a sleep moves it on.
func bubble(t *testing.T, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Hour) }) // until scripts that wait have gone, too
		test(t, newWorld())
	})
}

// later lets time pass, and waits until all that follows is done.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A zone is asked for when its SOA record says so, a little earlier; sooner after a failure; and
// when no primary confirms it for the time to expire, it is not served any more, until one does.
func TestRefreshRetryExpire(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.primary(t, "10.0.0.1:53", zone(t, 1)) // refresh 3600, retry 600, expire 86400
		k := keep(t, secondary.Options{Dial: w.dial}, from(at(p)))
		later(0)
		k.until(1)
		for range 5 {
			before, pause := p.count(dns.TypeSOA), time.Until(k.state().Next)
			if pause < 45*time.Minute || pause > time.Hour {
				t.Errorf("asked again after %v, though refresh is an hour", pause)
			}
			later(pause - time.Second)
			if p.count(dns.TypeSOA) != before {
				t.Error("asked before it is time")
			}
			later(time.Second)
			if p.count(dns.TypeSOA) != before+1 {
				t.Error("not asked when it is time")
			}
		}
		w.set(p.addr, true)
		confirmed := k.state().Refreshed
		later(time.Hour + connectTime)
		if s := k.state(); s.Fault != "10.0.0.1:53: no connection within 5s" || s.Since.IsZero() || s.Expired {
			t.Errorf("%+v", s)
		}
		before := w.dialed(p.addr)
		later(time.Hour)
		if n := w.dialed(p.addr) - before; n < 6 || n > 8 {
			t.Errorf("tried %d times in an hour, though retry is ten minutes", n)
		}
		calls := k.changes()
		later(time.Until(confirmed.Add(24*time.Hour - time.Second)))
		if k.copy().Expired {
			t.Error("expired before its time")
		}
		later(2 * time.Second)
		if !k.copy().Expired || k.copy().Zone == nil || !k.state().Expired || k.changes() != calls+1 {
			t.Errorf("not expired: %+v, %d calls", k.state(), k.changes()-calls)
		}
		w.set(p.addr, false)
		later(11 * time.Minute)
		if k.copy().Expired || k.state().Fault != "" || k.changes() != calls+2 || p.count(dns.TypeAXFR) != 1 {
			t.Errorf("not good again: %+v, %d calls", k.state(), k.changes()-calls)
		}
		for _, line := range []string{"the primary cannot be reached", "the primary can be reached again", "has expired", "confirmed again"} {
			if n := strings.Count(k.log.String(), line); n != 1 {
				t.Errorf("the log says %d times: %s", n, line)
			}
		}
	})
}

const connectTime = 5 * time.Second

// Times that no sane primary gives are kept in bounds.
func TestHostileTimes(t *testing.T) {
	soa := func(refresh, retry, expire uint32) *content.Zone {
		z, err := content.New(zones.MustName(apex), func(yield func(dns.RR) bool) {
			_ = yield(rr(t, fmt.Sprintf("%s 60 IN SOA a. b. 1 %d %d %d 60", apex, refresh, retry, expire))) && yield(rr(t, apex+" 60 IN NS a."))
		})
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	for _, test := range []struct {
		refresh, retry, expire uint32
		least, most            time.Duration // between two queries
		expires                time.Duration
	}{
		{0, 0, 0, 3 * time.Second, 5 * time.Second, 10 * time.Second},
		{1<<32 - 1, 1<<32 - 1, 1<<32 - 1, 18 * time.Hour, 24 * time.Hour, 24 * 7 * 24 * time.Hour},
		{60, 30, 10, 45 * time.Second, time.Minute, 90 * time.Second},
	} {
		bubble(t, func(t *testing.T, w *world) {
			p := w.primary(t, "10.0.0.1:53", soa(test.refresh, test.retry, test.expire))
			k := keep(t, secondary.Options{Dial: w.dial}, from(at(p)))
			later(0)
			k.until(1)
			for range 20 {
				if pause := time.Until(k.state().Next); pause < test.least || pause > test.most {
					t.Errorf("asked again after %v", pause)
				}
				if expires := time.Until(k.state().Expires); expires > test.expires || expires < test.expires-time.Second {
					t.Errorf("expires after %v", expires)
				}
				later(time.Until(k.state().Next))
			}
		})
	}
}

// A zone that never came is asked for less and less often.
func TestNeverThere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.primary(t, "10.0.0.1:53", zone(t, 1))
		p.script = func(c *call) bool { c.rcode(dns.RcodeRefused); return true }
		k := keep(t, secondary.Options{Dial: w.dial}, from(at(p)))
		later(time.Minute)
		if n := w.dialed(p.addr); n < 4 || n > 5 {
			t.Errorf("asked %d times in the first minute", n)
		}
		later(time.Hour)
		before := w.dialed(p.addr)
		later(time.Hour)
		if n := w.dialed(p.addr) - before; n < 12 || n > 16 {
			t.Errorf("asked %d times in an hour", n)
		}
		if c := k.copy(); c.Zone != nil || c.Expired || k.state().Loaded || k.changes() != 0 {
			t.Errorf("%+v", k.state())
		}
		if n := strings.Count(k.log.String(), "REFUSED"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// A primary that never answers, stops in the middle, or goes on for ever, is left within the time that
// it has; the next one is asked then.
func TestSlowPrimaries(t *testing.T) {
	old, good := zone(t, 1), zone(t, 2, hosts(0, 150)...)
	all := whole(good)
	silent := func(*call) bool { return true }
	for _, test := range []struct {
		name   string
		script func(*call) bool
		took   time.Duration // at most
		fault  string
	}{
		{"no answer at all", silent, 11 * time.Second, "no answer within 10s"},
		{"no answer to the transfer", func(c *call) bool { return c.kind() != dns.TypeSOA }, 11 * time.Second, "no answer within 10s"},
		{"half a message", func(c *call) bool { _, _ = c.conn.Write([]byte{1, 0, 7}); return true }, 11 * time.Second, "no answer within 10s"},
		{"it stops in the middle", func(c *call) bool {
			if c.kind() != dns.TypeSOA {
				c.send(all[:70]...)
			}
			return c.kind() != dns.TypeSOA
		}, 65 * time.Second, "too slow, or stopped in the middle"},
		{"a record every ten seconds", func(c *call) bool {
			if c.kind() == dns.TypeSOA {
				return false
			}
			c.send(all[0])
			m := new(dns.Msg).SetReply(c.query)
			m.Answer = all[1:2]
			packed, _ := m.Pack()
			for c.raw(packed) {
				time.Sleep(10 * time.Second)
			}
			return true
		}, 150 * time.Second, "too slow, or stopped in the middle"},
		{"just fast enough, without end", func(c *call) bool {
			if c.kind() == dns.TypeSOA {
				return false
			}
			c.send(all[0])
			m := new(dns.Msg).SetReply(c.query)
			m.Answer = []dns.RR{rr(t, "big.corp.example. 60 IN TXT"+strings.Repeat(" "+strings.Repeat("x", 200), 20))}
			packed, _ := m.Pack()
			for c.raw(packed) {
				time.Sleep(10 * time.Second)
			}
			return true
		}, 61 * time.Minute, "too slow, or stopped in the middle"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				p, next := w.primary(t, "10.0.0.1:53", old), w.primary(t, "10.0.0.2:53", old)
				k := keep(t, secondary.Options{Dial: w.dial}, from(at(p), at(next)))
				later(0)
				k.until(1)
				p.serves(test.script, old, good)
				next.serves(nil, old, good)
				later(time.Until(k.state().Next))
				later(test.took)
				equal(t, k.until(2), good)
				if s := k.state(); s.Primary != next.addr.String() {
					t.Errorf("%+v", s)
				}
				if !strings.Contains(k.log.String(), test.fault) {
					t.Error("the log does not say: ", test.fault)
				}
				k.stop()
			})
		})
	}
}

// Primaries are asked in their order; whoever said that the zone has changed is asked first, once.
func TestOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.primary(t, "10.0.0.1:53", zone(t, 1)), w.primary(t, "10.0.0.2:53", zone(t, 1))
		k := keep(t, secondary.Options{Dial: w.dial}, from(at(a), at(b)))
		later(0)
		k.until(1)
		later(2 * time.Second)
		k.Notify(zones.MustName(apex), b.addr.Addr(), zones.Name{})
		later(0)
		if a.count(dns.TypeSOA) != 0 || b.count(dns.TypeSOA) != 1 || k.state().Primary != b.addr.String() {
			t.Errorf("%v %v", a.asked, b.asked)
		}
		later(time.Hour)
		if a.count(dns.TypeSOA) != 1 || b.count(dns.TypeSOA) != 1 {
			t.Errorf("%v %v", a.asked, b.asked)
		}
		w.set(a.addr, true)
		later(time.Until(k.state().Next) + connectTime)
		if b.count(dns.TypeSOA) != 2 || k.state().Fault != "" {
			t.Errorf("%v %v %+v", a.asked, b.asked, k.state())
		}
	})
}

// A flood of NOTIFYs makes one query a second. Those that come while the primary is asked count.
func TestFloodOfNotifies(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.primary(t, "10.0.0.1:53", zone(t, 1))
		k := keep(t, secondary.Options{Dial: w.dial}, from(at(p)))
		later(2 * time.Second)
		const duration = 20
		for i := range duration * 100 {
			k.Notify(zones.MustName(apex), p.addr.Addr(), zones.Name{})
			if i == duration*50 {
				p.serves(nil, zone(t, 1), zone(t, 2))
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := p.count(dns.TypeSOA); n < duration-1 || n > duration+1 {
			t.Errorf("%d queries in %d s", n, duration)
		}
		if k.state().Serial != 2 {
			t.Errorf("%+v", k.state())
		}
		p.serves(func(c *call) bool { time.Sleep(3 * time.Second); return false }, zone(t, 2))
		k.Notify(zones.MustName(apex), p.addr.Addr(), zones.Name{})
		later(2 * time.Second)
		before := p.count(dns.TypeSOA)
		k.Notify(zones.MustName(apex), p.addr.Addr(), zones.Name{})
		later(2 * time.Second)
		if p.count(dns.TypeSOA) != before+1 {
			t.Error("a NOTIFY that came while the primary was asked is forgotten")
		}
	})
}

// A zone that changes all the time changes what is served once a second.
func TestBusyZone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var sources []secondary.Source
		var all []*primary
		for i := range 5 {
			p := w.primary(t, fmt.Sprintf("10.0.0.%d:53", i+1), zone(t, 1))
			source := from(at(p))
			source.ID = fmt.Sprint(i)
			sources, all = append(sources, source), append(all, p)
		}
		k := keep(t, secondary.Options{Dial: w.dial}, sources...)
		later(5 * time.Second)
		before := k.changes()
		const duration = 10
		for i := range uint32(duration * 10) {
			for _, p := range all {
				p.serves(nil, zone(t, i+1), zone(t, i+2, hosts(int(i), 1)...))
				k.Notify(zones.MustName(apex), p.addr.Addr(), zones.Name{})
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := k.changes() - before; n < duration-2 || n > duration+1 {
			t.Errorf("told %d times in %d s", n, duration)
		}
		if n := strings.Count(k.log.String(), "level=INFO"); n > 5*2 {
			t.Errorf("the log has %d lines", n)
		}
		later(3 * time.Second)
		for _, s := range k.States() {
			if s.Serial != duration*10+1 {
				t.Errorf("%+v", s)
			}
		}
	})
}
