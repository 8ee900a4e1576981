//go:build !race

package metrics_test

// million is how many queries there are, and warmUp after how many of them every
// series is there that they make.
const (
	million = 1_000_000
	warmUp  = 100_000
)
