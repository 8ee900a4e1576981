package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"

	"pldns/config"
	"pldns/resolver/resolvertest"
)

// The heap grows to the floor, or to twice of what is held, whichever is more.
func TestCollectPercent(t *testing.T) {
	for live, want := range map[int]int{
		0:                   mostPercent,
		1 << 20:             mostPercent,
		32 << 20:            300,
		heapFloor / 2:       100,
		heapFloor:           100,
		1 << 40:             100,
		heapFloor * 10 / 30: 200,
	} {
		if got := collectPercent(live, heapFloor); got != want {
			t.Errorf("%d bytes are held: %d percent, want %d", live, got, want)
		}
	}
}

// While work in bulk is under way, the heap grows by little between two collections, and
// afterwards as before.
func TestCollectInBulk(t *testing.T) {
	t.Setenv("GOGC", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer debug.SetGCPercent(debug.SetGCPercent(usualPercent))
	p, ended := newPacer(), make(chan error)
	go func() { ended <- p.run(ctx, math.MaxInt64) }()
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	until := func(what string, is func(percent uint64) bool) {
		t.Helper()
		var got uint64
		resolvertest.Until(t, what+" the heap may grow by another part", func() bool {
			metrics.Read(percent)
			got = percent[0].Value.Uint64()
			return is(got)
		}, &got)
	}
	tight := func(percent uint64) bool { return percent == bulkPercent }
	done, another := p.bulk(), p.bulk()
	until("in bulk", tight)
	done()
	until("in bulk still", tight)
	another()
	until("afterwards", func(percent uint64) bool { return percent >= usualPercent })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The limit of the runtime leaves room below that of the control group, is said in
// the log, and is not set where there is none, or where it cannot be read.
func TestLimitMemory(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	for _, test := range []struct {
		name  string
		group int64
		err   error
		limit int64
		says  string
	}{
		{"none", 0, nil, math.MaxInt64, ""},
		{"512 MiB", 512 << 20, nil, (512 << 20) / 6 * 5, `limit="426.7 MiB" from="the control group, which allows 512 MiB"`},
		{"unreadable", 0, errors.New("permission denied"), math.MaxInt64, "cannot be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
			var text bytes.Buffer
			got := limitMemory(slog.New(slog.NewTextHandler(&text, nil)), func() (int64, error) { return test.group, test.err })
			if got.limit != test.limit || got.group != test.group || debug.SetMemoryLimit(-1) != test.limit {
				t.Errorf("%+v, and the runtime has %d; want %d", got, debug.SetMemoryLimit(-1), test.limit)
			}
			if !strings.Contains(text.String(), test.says) || test.says == "" && text.Len() > 0 {
				t.Errorf("the log says %q, want %q", text.String(), test.says)
			}
		})
	}
	if _, err := groupMemory(); err != nil {
		t.Errorf("the control group of this test: %v", err)
	}
}

// A cache that may take more than there is room for is warned of.
func TestCacheWarning(t *testing.T) {
	for _, test := range []struct {
		cache config.Cache
		group int64
		want  bool
	}{
		{config.Cache{Entries: 1000, Bytes: 128 << 20}, 0, false},
		{config.Cache{Entries: 1000, Bytes: 128 << 20}, 256 << 20, false},
		{config.Cache{Entries: 1000, Bytes: 128 << 20}, 128 << 20, true},
		{config.Cache{Entries: 0, Bytes: 128 << 20}, 128 << 20, false},
	} {
		if got := cacheWarning(test.cache, test.group); (got != "") != test.want {
			t.Errorf("%+v with %d: %q", test.cache, test.group, got)
		}
	}
}
