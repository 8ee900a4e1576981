package resolvertest

import (
	"testing"
	"time"
	"unsafe"
)

// SetWall gives a moment as the program sees it when somebody has set the clock of
// the wall by so much: what is measured between two moments is as before. Whole
// seconds count.
func SetWall(tb testing.TB, moment time.Time, by time.Duration) time.Time {
	tb.Helper()
	const secondsAt = 30 // the bits below hold the nanoseconds of a second
	set := moment
	wall := (*uint64)(unsafe.Pointer(&set)) // the first field, if the moment was read from the clock
	*wall += uint64(int64(by/time.Second)) << secondsAt
	if got := set.Round(0).Sub(moment.Round(0)); got != by.Truncate(time.Second) || set.Sub(moment) != 0 {
		tb.Fatalf("the wall clock was set by %s and not by %s, the other one by %s: package time has changed", got, by, set.Sub(moment))
	}
	return set
}
