package secondary_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"pldns/config"
	"pldns/resolver/resolvertest"
	"pldns/resolver/secondary"
	"pldns/zones"
	"pldns/zones/content"
)

// server is a server of one zone, or several, with what it says.
type server struct {
	*secondary.Server
	t       testing.TB
	log     *logged
	sources []secondary.Source

	mu    sync.Mutex
	calls [][]string // of Changed
	stop  func()
}

// logged keeps what a log is told.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// keep holds zones until the test ends or stop is called.
func keep(t testing.TB, options secondary.Options, sources ...secondary.Source) *server {
	t.Helper()
	k := &server{t: t, log: new(logged), sources: sources}
	options.Logger = slog.New(slog.NewTextHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if options.Replace == nil {
		options.Replace = config.ReplaceFile
	}
	told := options.Changed
	options.Changed = func(ids []string) {
		k.mu.Lock()
		k.calls = append(k.calls, ids)
		k.mu.Unlock()
		if told != nil {
			told(ids)
		}
	}
	k.Server = secondary.New(options)
	k.Hold(sources)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	k.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		k.stop()
		if t.Failed() {
			t.Log(k.log)
		}
	})
	return k
}

// from is a source of the zone of this test.
func from(primaries ...secondary.Primary) secondary.Source {
	return secondary.Source{ID: "corp", Zone: zones.MustName(apex), Primaries: primaries}
}

// at is a primary without a key.
func at(p *primary) secondary.Primary { return secondary.Primary{Addr: p.addr} }

// ask begins a new round at once.
func (k *server) ask() {
	for i := range k.sources {
		k.sources[i].MaxRecords = max(k.sources[i].MaxRecords, 1000) + 1 // others are asked for
	}
	k.Hold(k.sources)
}

func (k *server) state() secondary.State { return k.States()[0] }
func (k *server) copy() content.Copy     { return k.Copies()["corp"] }

// until waits until the copy has a serial and nothing is wrong.
func (k *server) until(serial uint32) *content.Zone {
	k.t.Helper()
	resolvertest.Until(k.t, "the copy has the serial", func() bool {
		s := k.state()
		return s.Loaded && s.Serial == serial && s.Fault == "" && !s.Expired
	})
	return k.copy().Zone
}

// untilFault waits until the last round failed, for some reason.
func (k *server) untilFault(reason string) {
	k.t.Helper()
	resolvertest.Until(k.t, "a fault with "+reason, func() bool { return strings.Contains(k.state().Fault, reason) })
}

// text is a zone as its file has it.
func text(t testing.TB, z *content.Zone) string {
	t.Helper()
	if z == nil {
		return "no zone"
	}
	var b strings.Builder
	if _, err := z.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// equal compares zones.
func equal(t testing.TB, got, want *content.Zone) {
	t.Helper()
	if text(t, got) != text(t, want) {
		t.Errorf("the copy is\n%s\nnot\n%s", text(t, got), text(t, want))
	}
}

// changes is how often Changed was called.
func (k *server) changes() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.calls)
}
