package main

import "testing"

// The heap grows to the floor, or to twice of what is held, whichever is more.
func TestCollectPercent(t *testing.T) {
	for live, want := range map[uint64]int{
		0:                   mostPercent,
		1 << 20:             mostPercent,
		32 << 20:            300,
		heapFloor / 2:       100,
		heapFloor:           100,
		1 << 40:             100,
		heapFloor * 10 / 30: 200,
	} {
		if got := collectPercent(live); got != want {
			t.Errorf("%d bytes are held: %d percent, want %d", live, got, want)
		}
	}
}
