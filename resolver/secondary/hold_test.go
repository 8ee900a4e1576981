package secondary_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"pldns/resolver/secondary"
	"pldns/resolver/tsig"
	"pldns/zones"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A reload that changes nothing of a zone asks nobody; one that changes its primaries asks them at once,
// and one that drops it ends what is under way. What comes again later begins with the copy on disk.
func TestReload(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.primary(t, "10.0.0.1:53", zone(t, 1)), w.primary(t, "10.0.0.2:53", zone(t, 2))
		k := keep(t, secondary.Options{Dial: w.dial, Dir: t.TempDir()}, from(at(a)))
		later(time.Minute)
		k.until(1)
		before := k.copy().Zone
		k.Hold([]secondary.Source{from(at(a))})
		later(time.Minute)
		if k.copy().Zone != before || w.dialed(a.addr) != 1 {
			t.Errorf("the same zone is asked for: %v", a.asked)
		}
		k.Hold([]secondary.Source{from(at(a), at(b))})
		later(time.Minute)
		if k.copy().Zone != before || w.dialed(a.addr) != 2 || w.dialed(b.addr) != 0 {
			t.Errorf("asked %v %v", a.asked, b.asked)
		}
		k.Hold([]secondary.Source{from(at(b))})
		later(0)
		k.until(2)

		key := &tsig.Key{Name: zones.MustName("transfer.corp"), Algorithm: "hmac-sha256", Secret: []byte("secret")}
		b.ring = tsig.Ring{key.Name: key}
		b.serves(func(c *call) bool { time.Sleep(4 * time.Second); return false }, zone(t, 3))
		k.Hold([]secondary.Source{from(secondary.Primary{Addr: b.addr, Key: key})})
		later(time.Second) // it is asked
		k.Hold(nil)
		if len(k.Copies()) != 0 || len(k.States()) != 0 || k.Notify(zones.MustName(apex), b.addr.Addr(), zones.Name{}) {
			t.Error("a zone that is dropped is still there")
		}
		later(time.Minute)
		calls := k.changes()
		k.Hold([]secondary.Source{from(at(b))})
		if c := k.copy(); c.Zone == nil || c.Zone.Serial() != 2 {
			t.Error("a zone that comes again does not begin with its copy on disk")
		}
		later(20 * time.Second)
		k.until(3)
		if k.changes() != calls+1 {
			t.Errorf("told %d times", k.changes()-calls)
		}
	})
}

// Primaries of which the copy is not cannot be compared with it by serial: the zone is taken anew,
// after a restart, too, and the copy goes on being served until then.
func TestOtherPrimaries(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		a, b := w.primary(t, "10.0.0.1:53", zone(t, 2_000_000_000)), w.primary(t, "10.0.0.2:53", zone(t, 5, hosts(0, 3)...))
		k := keep(t, secondary.Options{Dial: w.dial, Dir: dir}, from(at(a)))
		later(time.Minute)
		w.set(b.addr, true)
		k.Hold([]secondary.Source{from(at(b))})
		later(time.Minute)
		if k.copy().Zone.Serial() != 2_000_000_000 || k.copy().Expired {
			t.Error("the copy is not served until the other primary gives one")
		}
		k.stop()
		k = keep(t, secondary.Options{Dial: w.dial, Dir: dir}, from(at(b)))
		w.set(b.addr, false)
		later(11 * time.Minute)
		equal(t, k.until(5), zone(t, 5, hosts(0, 3)...))
		// From then on, serials count.
		b.serves(nil, zone(t, 4))
		later(2 * time.Hour)
		if k.copy().Zone.Serial() != 5 {
			t.Errorf("%+v", k.state())
		}
	})
}

// Ids tell sources with other primaries or keys apart. An edit of a file does not leave a zone without
// an answer, with every primary dead, and after a restart neither; and no network is given what another
// sees with its key.
func TestSuccession(t *testing.T) {
	key := func(name string) *tsig.Key {
		return &tsig.Key{Name: zones.MustName(name), Algorithm: "hmac-sha256", Secret: []byte("secret")}
	}
	source := func(id string, key *tsig.Key, all ...*primary) secondary.Source {
		s := secondary.Source{ID: id, Zone: zones.MustName(apex)}
		for _, p := range all {
			s.Primaries = append(s.Primaries, secondary.Primary{Addr: p.addr, Key: key})
		}
		return s
	}
	bubble(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		red, blue, green := key("red"), key("blue"), key("green")
		views := map[string]uint32{"red.": 10, "blue.": 20, "green.": 5}
		p, q := w.primary(t, "10.0.0.1:53"), w.primary(t, "10.0.0.2:53")
		p.ring = tsig.Ring{red.Name: red, blue.Name: blue, green.Name: green}
		p.script = func(c *call) bool {
			view := zone(t, views[c.query.Extra[0].Header().Name])
			if c.kind() == dns.TypeAXFR {
				c.stream(whole(view))
			} else {
				c.send(view.SOA())
			}
			return true
		}
		w.set(q.addr, true)
		options := secondary.Options{Dial: w.dial, Dir: dir}
		k := keep(t, options, source("a", red, p), source("b", blue, p))
		later(time.Minute)
		serial := func(id string, want uint32) {
			t.Helper()
			got := uint32(0)
			if z := k.Copies()[id].Zone; z != nil {
				got = z.Serial()
			}
			if got != want {
				t.Errorf("%s has serial %d, not %d", id, got, want)
			}
		}
		serial("a", 10)
		serial("b", 20)
		w.set(p.addr, true)

		k.Hold([]secondary.Source{source("a", red, p), source("b with another", blue, q, p)})
		serial("b with another", 20)
		k.Hold([]secondary.Source{source("a", red, p), source("b with another", blue, q, p), source("c", red, p, q)})
		serial("c", 10)
		// Another key, beside those that stay: whose view it shows is not known.
		k.Hold([]secondary.Source{source("a", red, p), source("b with another", blue, q, p), source("d", green, p)})
		serial("d", 0)
		// Another primary alone.
		k.Hold([]secondary.Source{source("a", red, p), source("b with another", blue, q, p), source("e", red, q)})
		serial("e", 0)
		// Another key, for the same.
		before, after := source("f", red, p), source("g", green, p)
		before.For, after.For = "the red network", "the red network"
		k.Hold([]secondary.Source{source("a", red, p), before})
		k.Hold([]secondary.Source{source("a", red, p), after})
		serial("g", 10)
		// Other primaries alone, for the same.
		moved := source("moved", green, q)
		moved.For = "the red network"
		k.Hold([]secondary.Source{source("a", red, p), moved})
		serial("moved", 10)
		k.Hold([]secondary.Source{source("a", red, p), after})
		w.set(p.addr, false)
		later(11 * time.Minute)
		serial("g", 5)
		k.stop()

		w.set(p.addr, true)
		k = keep(t, options, source("h", red, q, p), source("i", blue, p), source("j", key("white"), p), moved)
		serial("moved", 5)
		serial("h", 10)
		serial("i", 20)
		serial("j", 0)
	})
}

// Serials go round (RFC 1982).
func TestSerialsGoRound(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		serials := []uint32{1<<32 - 2, 1<<32 - 1, 3, 1<<31 + 2, 0}
		p := w.primary(t, "10.0.0.1:53", zone(t, serials[0]))
		k := keep(t, secondary.Options{Dial: w.dial}, from(at(p)))
		later(0)
		for i, serial := range serials[1:] {
			p.serves(nil, zone(t, serials[i]), zone(t, serial))
			later(time.Hour)
			k.until(serial)
		}
		if p.count(dns.TypeAXFR) != 1 {
			t.Error(p.asked)
		}
	})
}

// Thousands of zones are asked for in bounded pieces, and primaries that are dead, silent or slow take
// nothing from those that are not.
func TestManyZones(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const each = 600
		good := w.primary(t, "10.0.0.1:53")
		good.script = func(c *call) bool {
			time.Sleep(5 * time.Millisecond) // the way there
			z := zoneOf(t, c.query.Question[0].Name, 1, 3600)
			if c.kind() == dns.TypeAXFR {
				c.stream(whole(z))
			} else {
				c.send(z.SOA())
			}
			return true
		}
		silent := w.primary(t, "10.0.0.2:53")
		silent.script = func(*call) bool { return true }
		dead := w.primary(t, "10.0.0.3:53")
		w.set(dead.addr, true)
		var sources []secondary.Source
		for i := range each {
			for j, p := range []*primary{dead, silent, good} {
				id := fmt.Sprint(i, j)
				source := secondary.Source{ID: id, Zone: zones.MustName(fmt.Sprintf("z%d.example", i)), Primaries: []secondary.Primary{at(p)}}
				sources = append(sources, source)
			}
		}
		k := keep(t, secondary.Options{Dial: w.dial}, sources...)
		later(10 * time.Second)
		loaded := 0
		for _, c := range k.Copies() {
			if c.Zone != nil {
				loaded++
			}
		}
		if loaded != each {
			t.Errorf("%d of %d zones are there after 10 s", loaded, each)
		}
		if most := w.mostAtOnce(); most > 12 {
			t.Errorf("%d connections at once", most)
		}
		later(time.Hour)
		if n := w.dialed(dead.addr); n > 90 {
			t.Errorf("a server that is dead is tried %d times in an hour", n)
		}
		for _, s := range k.States() {
			if !s.Loaded && s.Fault == "" && s.Primaries[0] == dead.addr.String() {
				t.Fatalf("nobody says why it is missing: %+v", s)
			}
		}
		if n := strings.Count(k.log.String(), "cannot be reached"); n != 2 {
			t.Errorf("the log says %d times that a server cannot be reached", n)
		}
		if n := strings.Count(k.log.String(), "level=WARN"); n > 10 {
			t.Errorf("the log has %d warnings", n)
		}
		if n := w.dialed(silent.addr); n > 90 {
			t.Errorf("a server that does not answer is tried %d times in an hour", n)
		}
		asked := good.count(dns.TypeSOA)
		w.set(dead.addr, false)
		dead.serves(good.script)
		later(20 * time.Minute)
		loaded = 0
		for _, c := range k.Copies() {
			if c.Zone != nil {
				loaded++
			}
		}
		if loaded != 2*each || good.count(dns.TypeSOA) > asked+each {
			t.Errorf("%d of %d zones are there after the server is back; the other was asked %d times", loaded, 2*each, good.count(dns.TypeSOA)-asked)
		}
	})
}

// Whoever is told of a change may say at once what is to be held from then on, as a catalog zone does.
func TestHoldWhileTold(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, q := w.primary(t, "10.0.0.1:53", zone(t, 1)), w.primary(t, "10.0.0.2:53", zoneOf(t, "member.example.", 1, 3600))
		member := secondary.Source{ID: "member", Zone: zones.MustName("member.example"), Primaries: []secondary.Primary{at(q)}}
		known := make(chan *server, 1)
		k := keep(t, secondary.Options{Dial: w.dial, Changed: func([]string) {
			k := <-known
			k.Hold([]secondary.Source{from(at(p)), member})
			known <- k
		}}, from(at(p)))
		known <- k
		later(5 * time.Second)
		if c := k.Copies(); len(c) != 2 || c["member"].Zone == nil {
			t.Errorf("%+v", k.States())
		}
	})
}

// A fault of this program in one transfer costs that attempt, and is counted.
func TestPanic(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.primary(t, "10.0.0.1:53", zone(t, 1))
		counts := new(counter)
		k := keep(t, secondary.Options{Dial: w.dial, Observer: counts}, from(secondary.Primary{Addr: p.addr, Key: &tsig.Key{}}))
		later(time.Second)
		if s := k.state(); !strings.Contains(s.Fault, "a fault of its own") || counts.panics.Load() != 1 {
			t.Errorf("%+v", s)
		}
		k.Hold([]secondary.Source{from(at(p))})
		later(time.Second)
		k.until(1)
	})
}
