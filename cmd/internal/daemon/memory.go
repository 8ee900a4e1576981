package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"pldns/config"
)

// memoryBounds are what the process may take.
type memoryBounds struct {
	group int64 // octets that the control group allows; 0 where there is no limit
	limit int64 // the limit of the Go runtime; math.MaxInt64 where there is none
}

// groupMemory is how much memory the control group of the process allows (memory.max,
// or memory.limit_in_bytes, of it and those it is in); 0 where there is no limit.
func groupMemory() (int64, error) {
	limit, err := memlimit.FromCgroup()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup),
		errors.Is(err, memlimit.ErrCgroupsNotSupported), errors.Is(err, os.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	case limit > math.MaxInt64/16:
		return 0, nil
	}
	return int64(limit), nil
}

// limitMemory sets the limit of the Go runtime to five sixths of what the control
// group allows: as it is approached, garbage is collected more often, where without it
// the process would be killed. The rest is for what the runtime does not see, such as
// the buffers of sockets and the program itself. Whoever sets GOMEMLIMIT knows better.
func limitMemory(log *slog.Logger, allowed func() (int64, error)) memoryBounds {
	group, err := allowed()
	if err != nil {
		log.Warn("the memory limit of the control group cannot be read: GOMEMLIMIT sets one", "error", err)
	}
	switch {
	case os.Getenv("GOMEMLIMIT") != "":
		log.Info("memory", "limit", size(debug.SetMemoryLimit(-1)), "from", "GOMEMLIMIT")
	case group > 0:
		debug.SetMemoryLimit(group / 6 * 5)
		log.Info("memory", "limit", size(group/6*5), "from", "the control group, which allows "+size(group))
	}
	return memoryBounds{group, debug.SetMemoryLimit(-1)}
}

// CacheWarning says that the cache may grow beyond what the control group of this
// process has room for; empty if it does not, or if there is no control group.
func CacheWarning(c config.Cache) string {
	group, err := groupMemory()
	if err != nil {
		return ""
	}
	return cacheWarning(c, group)
}

// cacheWarning says that the cache may grow beyond what there is room for; empty if
// it does not. Half of the room is for all else, and for what is garbage.
func cacheWarning(c config.Cache, group int64) string {
	if group == 0 || c.Entries == 0 || c.Bytes <= group/2 {
		return ""
	}
	return fmt.Sprintf("cache.bytes is %s, and the control group allows %s for all of the process: write at most %s, or allow more",
		size(c.Bytes), size(group), size(group/2))
}

// size is a number of octets for people.
func size(octets int64) string { return fmt.Sprintf("%.4g MiB", float64(octets)/(1<<20)) }
