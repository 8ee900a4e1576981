package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapFloor is how large the heap may grow before garbage is collected, in
	// bytes. A small server under a flood of new names would else collect all the
	// time, which takes a sixth of what it does; a large one, which holds more than
	// half of this, collects when the heap has doubled, as every Go program does.
	heapFloor = 128 << 20
	// paceEvery is how often what is held is looked at.
	paceEvery = time.Second
	// usualPercent is the default of the runtime, and mostPercent a bound for the
	// smallest of servers.
	usualPercent, mostPercent = 100, 1000
)

// paceCollector lets the heap grow to heapFloor between two collections, until ctx
// ends. Whoever sets GOGC knows better.
func paceCollector(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := usualPercent
	defer func() { debug.SetGCPercent(usualPercent) }()
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		metrics.Read(live)
		// To set it stops the world for a moment: not for little.
		if want := collectPercent(live[0].Value.Uint64()); want < set*9/10 || want > set*11/10 {
			set = want
			debug.SetGCPercent(set)
		}
	}
}

// collectPercent is by how much more than what is held the heap may grow.
func collectPercent(live uint64) int {
	percent := mostPercent
	if live > 0 {
		percent = int(min(heapFloor*100/live, mostPercent+100)) - 100
	}
	return max(percent, usualPercent)
}
