package daemon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"pldns/config"
	"pldns/resolver/traffic"
)

const (
	// saveInterval is how much of the history of traffic is lost at most when the program
	// does not come to its end.
	saveInterval = 10 * time.Minute
	// largestTraffic bounds the file: all that is kept takes 100 MiB there.
	largestTraffic = 256 << 20
)

// past is what was answered, and the file in which it outlives the program.
type past struct {
	*traffic.Traffic
	log     *slog.Logger
	file    func() string // empty for none
	keepOff string        // a file that is not to be written
	failed  atomic.Bool   // whether it could not be written the last time
}

// newPast begins with what the file has. One that cannot be used is set aside.
func (s *Server) newPast(state string) *past {
	p := &past{
		Traffic: traffic.New(traffic.Config{Changed: s.tap}), log: s.log,
		file: func() string { return s.now().traffic.State },
	}
	err := p.restore(state)
	if err == nil {
		return p
	}
	aside := state + ".unused"
	if failed := os.Rename(state, aside); failed != nil {
		p.keepOff = state
		s.log.Warn("the history of traffic cannot be used, and is not kept: remove the file, or name another one in traffic.state",
			"file", state, "error", errors.Join(err, failed))
		return p
	}
	s.log.Warn("the history of traffic cannot be used, and begins anew", "file", state, "error", err, "set_aside_as", aside)
	return p
}

func (p *past) restore(state string) error {
	if state == "" {
		return nil
	}
	file, _, err := config.OpenFile(state, largestTraffic)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return p.Restore(io.LimitReader(file, largestTraffic))
}

// Run counts until ctx ends, and writes down what was counted: at the beginning, now and
// then, and at the end.
func (p *past) Run(ctx context.Context) error {
	counting := make(chan struct{})
	go func() {
		defer close(counting)
		_ = p.Traffic.Run(ctx) // it ends with ctx, and has no error
	}()
	p.save() // so that what keeps it from being written is known at once
	ticker := time.NewTicker(saveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-counting:
			p.save()
			return nil
		case <-ticker.C:
			p.save()
		}
	}
}

// save writes the file of the configuration that is served.
func (p *past) save() {
	state := p.file()
	if state == "" || state == p.keepOff {
		return
	}
	err := config.ReplaceFile(state, 0o600, func(file *os.File) error { return p.Save(file) })
	if p.failed.Store(err != nil); err != nil {
		p.log.Warn("the history of traffic was not written: a restart loses it", "file", state, "error", err)
	}
}

// saved tells whether what was counted is on disk, but for the last minutes.
func (p *past) saved() bool { return !p.failed.Load() && p.file() != p.keepOff }
