package traffic_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
	"pldns/resolver/traffic"
)

// A day of traffic, with a restart in its middle, comes to what the counters have: by
// minutes, by hours, and in all.
func TestDayWithARestart(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	want := make(map[string]uint64)
	kinds := []listen.Kind{
		local("hub"), {Transport: "udp", Network: "hub", Source: resolver.FromLocal, Remembered: true},
		{Transport: "tls", Network: "hub", Rcode: dns.RcodeNameError, Source: resolver.FromUpstream},
		{Transport: "tcp", Network: "spoke", Rcode: dns.RcodeServerFailure, Source: resolver.FromNowhere},
		{Transport: "https", Network: "spoke", Source: resolver.FromStale}, {Transport: "udp", Rcode: dns.RcodeRefused},
	}
	for second := range 24*60*60 - 600 {
		if second == 12*60*60+17 {
			for _, network := range []string{"hub", "spoke", ""} {
				want[network] += p.counted(t, network)
			}
			p = p.restart(t, c, 10*time.Minute)
		}
		for i, kind := range kinds {
			if second%(i+1) == 0 {
				p.observer.Tally(kind).Add(1+second%3, time.Duration(i+1)*time.Millisecond)
			}
		}
		c.now = c.now.Add(time.Second)
		p.Look()
	}
	var all uint64
	for _, network := range []string{"hub", "spoke", ""} {
		want[network] += p.counted(t, network)
		all += want[network]
		for _, name := range []string{"day", "90days"} {
			s := p.Of(network, span(t, name)).Sum()
			if s.Total() != want[network] {
				t.Errorf("%s of %q comes to %d, the counters to %d", name, network, s.Total(), want[network])
			}
		}
	}
	day := p.All(span(t, "day"))
	s := day.Sum()
	if s.Total() != all || s.Total() == 0 {
		t.Errorf("the day comes to %d, the counters to %d", s.Total(), all)
	}
	for _, group := range traffic.Groups() {
		var sum uint64
		for _, column := range group.Columns {
			sum += s.Counts[column]
		}
		if sum != all {
			t.Errorf("%s come to %d, not %d", group.Name, sum, all)
		}
	}
	if s.P50 < 2*time.Millisecond || s.P50 > 3*time.Millisecond || s.P99 < 6*time.Millisecond || s.P99 > 9*time.Millisecond {
		t.Errorf("half take %s, 99 of 100 %s", s.P50, s.P99)
	}
	parts := day.Parts(24)
	if first, last := parts[0], parts[23]; first.Total() == 0 || last.Total() == 0 || !last.At.Add(last.Length).Equal(day.Until) || len(parts) != 24 {
		t.Errorf("the hours of the day are %v", parts)
	}
}

// What is older than a span goes, and what is in it stays.
func TestSpans(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	counting := p.observer.Tally(local("hub"))
	for range 100 * 24 {
		counting.Add(7, time.Millisecond)
		c.now = c.now.Add(time.Hour)
		p.Look()
	}
	for name, want := range map[string]int{"minute": 0, "hour": 0, "day": 23, "90days": 90 * 24} {
		if got := p.Of("hub", span(t, name)).Sum(); int(got.Total()) < 7*want || int(got.Total()) > 7*(want+1) {
			t.Errorf("%s has %d queries, want those of %d hours", name, got.Total(), want)
		}
	}
	counting.Add(5, time.Millisecond)
	c.now = c.now.Add(time.Second)
	p.Look()
	if got := p.Networks(); got[0].Network != "hub" || got[0].Total() != 5 {
		t.Errorf("in the last minute there is %v", got)
	}
}

// Whatever is done to the clock of the wall, nothing is lost, nothing comes twice, and
// what was just now was just now.
func TestWallClock(t *testing.T) {
	for _, by := range []time.Duration{-400 * 24 * time.Hour, -time.Hour, time.Hour, 400 * 24 * time.Hour} {
		begun := time.Now()
		c := &clock{begun}
		p := start(c)
		counting := p.observer.Tally(local("hub"))
		for minute := range 60 {
			counting.Add(3, time.Millisecond)
			c.now = begun.Add(time.Duration(minute+1) * time.Minute)
			if minute >= 30 {
				c.now = resolvertest.SetWall(t, c.now, by)
			}
			p.Look()
		}
		h := p.Of("hub", span(t, "day"))
		if s := h.Sum(); s.Total() != 180 || len(h.Points) != 60 {
			t.Errorf("the clock set by %s: %d queries in %d minutes", by, s.Total(), len(h.Points))
		}
		if wall := c.now.Round(0); wall.Sub(h.Until) > time.Minute || h.Until.After(wall) {
			t.Errorf("the clock set by %s: history ends at %s, now is %s", by, h.Until, wall)
		}
		// A restart with a clock that has gone back loses nothing either.
		if by < 0 {
			c.now = begun.Add(61 * time.Minute).Round(0)
			p.Look()
		}
		next := p.restart(t, c, min(0, by))
		if s := next.Of("hub", span(t, "day")).Sum(); s.Total() != 180 {
			t.Errorf("the clock set by %s: after a restart %d queries", by, s.Total())
		}
	}
}

// A reload keeps what was counted, of what it takes away, too, and counts what is given
// from before it.
func TestServe(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	p.Serve([]string{"hub", "gone"})
	old := p.observer.Tally(local("gone"))
	old.Add(5, time.Millisecond)
	p.Exchanged(exchange(question(t, "a.contoso.com"), "10.0.0.7", "gone", 0, 0))
	p.Serve([]string{"hub"})
	old.Add(2, time.Millisecond) // a reply that was under way
	c.now = c.now.Add(time.Minute)
	p.Look()
	if s := p.Of("gone", span(t, "day")).Sum(); s.Total() != 7 {
		t.Errorf("%d of 7 queries are left", s.Total())
	}
	if top, _ := p.Top("gone", traffic.TopClients, 20); len(top) != 0 {
		t.Errorf("it is still known who asked: %v", top)
	}
	if got := fmt.Sprint(p.Names()); got != "[ gone hub]" {
		t.Errorf("the networks are %s", got)
	}
	c.now = c.now.Add(100 * 24 * time.Hour)
	p.Look()
	if got := fmt.Sprint(p.Names()); got != "[ hub]" {
		t.Errorf("after 100 days the networks are %s", got)
	}
}

// A network that comes late is counted from then on, at the right time.
func TestLateNetwork(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	for range 100 {
		c.now = c.now.Add(time.Hour)
		p.Look()
	}
	p.observer.Tally(local("late")).Add(9, time.Millisecond)
	c.now = c.now.Add(time.Second)
	p.Look()
	for _, span := range traffic.Spans() {
		h := p.Of("late", span)
		if s := h.Sum(); s.Total() != 9 || len(h.Points) != 1 || c.now.Sub(h.Points[0].At) > span.Step {
			t.Errorf("%s has %d queries in %v", span.Name, s.Total(), h.Points)
		}
	}
}

// Refused queries count, with their network and code, and without a time.
func TestRefused(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	e := exchange(nil, "10.0.0.7", "hub", dns.RcodeNotImplemented, time.Second)
	e.Why = listen.NotImplemented
	p.Exchanged(e)
	c.now = c.now.Add(time.Second)
	p.Look()
	s := p.Of("hub", span(t, "minute")).Sum()
	if s.Total() != 1 || s.Counts[traffic.FromRefusal] != 1 || s.Counts[traffic.OtherRcode] != 1 || s.P99 != 0 {
		t.Errorf("counted was %+v", s)
	}
}

// Memory is bounded for however many networks, and what is forgotten first is the oldest.
func TestRoom(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	const room = 1 << 20
	p := program{Traffic: traffic.New(traffic.Config{Now: c.read, Room: room})}
	p.observer = p.Observe(start(c).counters)
	const networks = 100
	for step := range 3 * 60 {
		for n := range networks {
			for _, rcode := range []int{0, 2, 3, 5} {
				kind := local(fmt.Sprint("net", n))
				kind.Rcode = rcode
				p.observer.Tally(kind).Add(1+step, time.Duration(n)*time.Millisecond)
			}
		}
		c.now = c.now.Add(time.Minute)
		p.Look()
		if octets := p.Octets(); octets > room+room/8 {
			t.Fatalf("%d octets after %d minutes", octets, step)
		}
	}
	points := p.Of("net7", span(t, "day")).Points
	if len(points) == 0 || c.now.Sub(points[len(points)-1].At) > 2*time.Minute {
		t.Errorf("the newest of %d points is gone", len(points))
	}
	if s := p.All(span(t, "day")).Sum(); s.Total() != 4*networks*(180*181/2) {
		t.Errorf("of all there are %d queries", s.Total())
	}
}

// What is no history, or not as it was written, changes nothing and says so.
func TestRestoreRefuses(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	for range 200 {
		p.observer.Tally(local("hub")).Add(3, time.Millisecond)
		c.now = c.now.Add(time.Minute)
		p.Look()
	}
	var state strings.Builder
	if err := p.Save(&state); err != nil {
		t.Fatal(err)
	}
	text := state.String()
	for _, row := range []struct{ name, text, says string }{
		{"empty", "", "no history"},
		{"something else", "{\"pldns_state\":1}\n", "no history"},
		{"another version", strings.Replace(text, `"pldns_traffic":1`, `"pldns_traffic":2`, 1), "another version"},
		{"cut off", text[:len(text)/2], "cannot be read"},
		{"without its end", text[:strings.LastIndex(text[:len(text)-1], "\n")+1], "cannot be read"},
		{"changed", strings.Replace(text, `"hub"`, `"hab"`, 1), "cannot be read"},
		{"too old", strings.Replace(text, `"at":"2027-`, `"at":"2026-`, 1), "too old"},
	} {
		next := start(c)
		if err := next.Restore(strings.NewReader(row.text)); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", row.name, err)
		}
		if len(next.Names()) != 0 || next.All(span(t, "day")).Points != nil {
			t.Errorf("%s: something was taken over", row.name)
		}
	}
}

func FuzzRestore(f *testing.F) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	p.observer.Tally(local("hub")).Add(3, time.Millisecond)
	c.now = c.now.Add(2 * time.Hour)
	p.Look()
	var state strings.Builder
	if err := p.Save(&state); err != nil {
		f.Fatal(err)
	}
	f.Add(state.String())
	f.Add(strings.Replace(state.String(), `"now":`, `"now":1`, 1))
	f.Fuzz(func(t *testing.T, text string) {
		next := start(c)
		_ = next.Restore(strings.NewReader(text))
		next.Look()
		for _, name := range next.Names() {
			for _, span := range traffic.Spans() {
				next.Of(name, span).Parts(60)
			}
		}
	})
}
