package observe_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/observe"
	"pldns/resolver/resolvertest"
)

// The list is off, on for ten minutes, and off again with nothing kept.
func TestRecent(t *testing.T) {
	now, switched := time.Unix(1_800_000_000, 0), 0
	recent := observe.NewRecent(func() { switched++ }, func() time.Time { return now })
	saw := func(n int) {
		for i := range n {
			recent.Exchanged(exchange(fmt.Sprintf("n%d.contoso.com", i), resolver.Answer{Network: "hub", Rcode: dns.RcodeNameError}))
		}
	}
	saw(3)
	if recent.On() || len(recent.List()) != 0 || switched != 0 || recent.Wants() != (listen.Wants{}) {
		t.Error("off, it sees")
	}
	recent.Switch(true)
	if switched != 1 || recent.Wants() != (listen.Wants{Anew: 1}) {
		t.Error("on, it does not want to see all that is asked")
	}
	saw(1200)
	list := recent.List()
	if len(list) != 500 || list[0].Query.Name.String() != "n1199.contoso.com" || list[499].Query.Name.String() != "n700.contoso.com" ||
		list[0].Answer.Rcode != dns.RcodeNameError || list[0].Answer.Network != "hub" {
		t.Errorf("%d decisions, from %v to %v", len(list), list[0], list[len(list)-1])
	}
	now = now.Add(10 * time.Minute)
	if saw(1); recent.On() || len(recent.List()) != 0 || switched != 2 || recent.Wants() != (listen.Wants{}) {
		t.Error("it is on after ten minutes")
	}
	recent.Switch(true)
	if len(recent.List()) != 0 {
		t.Error("what was seen before is shown again")
	}
	saw(2)
	recent.Switch(false)
	saw(1)
	if recent.On() || len(recent.List()) != 0 {
		t.Error("switched off, it shows something")
	}
}

// The live list is on for ten minutes, whatever is done to the clock of the wall.
func TestLiveListAndTheWallClock(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		begun := time.Now()
		now := begun
		recent := observe.NewRecent(nil, func() time.Time { return now })
		recent.Switch(true)
		if now = resolvertest.SetWall(t, begun.Add(9*time.Minute), by); !recent.On() {
			t.Errorf("after nine minutes and with the clock set by %s it is off", by)
		}
		if now = resolvertest.SetWall(t, begun.Add(11*time.Minute), by); recent.On() {
			t.Errorf("after eleven minutes and with the clock set by %s it is on", by)
		}
	}
}

// What serves several taps is the larger of the samples that they want.
func TestWants(t *testing.T) {
	for _, row := range []struct{ one, other, both listen.Wants }{
		{},
		{listen.Wants{Anew: 8}, listen.Wants{}, listen.Wants{Anew: 8}},
		{listen.Wants{Anew: 8, Remembered: 1}, listen.Wants{Anew: 100}, listen.Wants{Anew: 8, Remembered: 1}},
		{listen.Wants{Remembered: 100}, listen.Wants{Anew: 1, Remembered: 8}, listen.Wants{Anew: 1, Remembered: 8}},
	} {
		if got := (observe.Taps{wanting(row.one), wanting(row.other)}).Wants(); got != row.both {
			t.Errorf("%+v and %+v: %+v", row.one, row.other, got)
		}
	}
}

// wanting is a tap that wants something and does nothing.
type wanting listen.Wants

func (w wanting) Wants() listen.Wants { return listen.Wants(w) }

func (wanting) Exchanged(*listen.Exchange) {}
