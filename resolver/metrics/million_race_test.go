//go:build race

package metrics_test

// Under the race detector everything takes ten times as long.
const (
	million = 200_000
	warmUp  = 100_000
)
