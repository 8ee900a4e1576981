//go:build unix

package daemon

import (
	"math"

	"golang.org/x/sys/unix"
)

// fileLimit is how many file descriptors the process may have; 0 for any number. The
// Go runtime has raised it as far as it may.
func fileLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) > math.MaxInt32 {
		return 0
	}
	return int(limit.Cur)
}
