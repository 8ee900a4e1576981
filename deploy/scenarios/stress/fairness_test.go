//go:build linux

package stress

import (
	"context"
	"testing"
	"time"
)

// attacker is the client that everything here comes from.
const attacker = "127.0.1.5"

// leastForwarded is how much of what bystanders ask outside has to be answered.
// Private names are always answered.
const leastForwarded = 0.99

// TestBystanders: whatever one client does with names that nobody answers, with
// names that do not exist, with all that an upstream may be asked, or over many
// connections, the clients of its network and of another are answered as before.
func TestBystanders(t *testing.T) {
	s := chosen(t)
	for _, test := range []struct {
		name, group string
		attack      attack
	}{
		{"silent domain at 500 a second", "", attack{Domain: "silent", Rate: 500}},
		{"silent domain at 1000 a second", "", attack{Domain: "silent", Rate: 1000}},
		{"silent domain at 3000 a second", "", attack{Domain: "silent", Rate: 3000}},
		{"random names at 3000 a second", "", attack{Domain: "absent", Rate: 3000}},
		{"random names at four times max_qps", "max_qps = 900", attack{Domain: "absent", Rate: 3600}},
		{"200 connections full of silent names", "", attack{Domain: "silent", Connections: 200, Depth: 127}},
	} {
		t.Run(test.name, func(t *testing.T) {
			outside := startOutside(t, nil)
			to := serve(t, s, outside.forwarding(test.group))
			test.attack.To = to.dns
			beside(t, s, to, test.attack)
		})
	}
}

// beside has bystanders ask before an attack and during it, and fails the test unless they
// are answered.
func beside(t *testing.T, s setting, to *server, a attack) {
	t.Helper()
	observeAll(t, to.dns, s.load/8) // everything is there once
	quiet := observeAll(t, to.dns, s.load/2)

	ctx, cancel := context.WithCancel(context.Background())
	a.From = attacker
	wait := a.start(ctx, t)
	begins := time.NewTimer(time.Second) // until the load has built up
	<-begins.C
	under := observeAll(t, to.dns, s.load)
	cancel()
	wait()

	for i, b := range under {
		t.Logf("%s: %.1f %% of %d answered; p50 %v after %v, p99 %v after %v; %v", b, 100*b.share(), b.asked,
			b.quantile(0.5).Round(time.Microsecond), quiet[i].quantile(0.5).Round(time.Microsecond),
			b.quantile(0.99).Round(time.Microsecond), quiet[i].quantile(0.99).Round(time.Microsecond), b.wrong)
		least := leastForwarded
		if b.kind == "" {
			least = 1
		}
		if b.share() < least {
			t.Errorf("%s: %.1f %% answered, want %.0f %%: %v", b, 100*b.share(), 100*least, b.wrong)
		}
	}
	t.Logf("resident %d MiB, at most %d MiB", to.resident()>>20, to.peak()>>20)
}
