package secondary

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"pldns/zones/content"
)

const (
	// A copy is written at most this often, and so seldom that no more than a twentieth of the time
	// goes into that: a large zone may change every second.
	savePace  = 30 * time.Second
	saveShare = 20
	// A disk that is full is tried again after this.
	saveAgain = 2 * time.Minute
	// What still waits when the program ends has this long: whoever stops it does not wait for ever.
	lastTime = 10 * time.Second
)

// saving is what is known of a copy on disk. Server.mu guards it.
type saving struct {
	queued bool          // it is to be written, or is being written
	stored *content.Zone // what is on disk; nil if that is not known
	head   head          // its first line
	after  time.Time     // not before this
	fault  string        // why it could not be written
	wait   *time.Timer
}

// toSave has a copy written to disk, soon. Server.mu is held.
func (s *Server) toSave(h *held) {
	if s.options.Dir == "" || h.saving.queued || s.ctx == nil {
		return
	}
	h.saving.queued = true
	wait := time.Until(h.saving.after)
	if wait <= 0 {
		s.enqueue(h)
		return
	}
	h.saving.wait = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.enqueue(h)
	})
}

func (s *Server) enqueue(h *held) {
	s.dirty = append(s.dirty, h)
	select {
	case s.unsaved <- struct{}{}:
	default: // there is a token already
	}
}

// mostSaving is how many copies are written at once: with thousands of small ones, waiting for the disk
// is what takes long.
const mostSaving = 4

// save writes copies to disk until the context ends, and then those that still wait. No other goroutine
// waits for it.
func (s *Server) save(ctx context.Context) {
	s.sweep()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.unsaved:
			s.mu.Lock()
			all := s.dirty
			s.dirty = nil
			s.mu.Unlock()
			s.saveAll(ctx, all)
		}
	}
	s.mu.Lock()
	var rest []*held
	for _, h := range s.held {
		if h.saving.queued {
			rest = append(rest, h)
		}
		if h.saving.wait != nil {
			h.saving.wait.Stop()
		}
	}
	s.dirty = nil
	s.mu.Unlock()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	if left := s.saveAll(limited, rest); left > 0 {
		s.log.Error("the disk is too slow: the last copies are not written, and begin with older ones, or none, after a restart",
			"zones", left)
	}
}

// saveAll writes copies until the context ends, and says how many are left then.
func (s *Server) saveAll(ctx context.Context, all []*held) (left int) {
	var writers errgroup.Group
	writers.SetLimit(mostSaving)
	for i, h := range all {
		if ctx.Err() != nil {
			left = len(all) - i
			break
		}
		writers.Go(func() error {
			s.saveOne(h)
			return nil
		})
	}
	_ = writers.Wait() // none of them fails
	return left
}

// saveOne writes a copy, or only when it was confirmed.
func (s *Server) saveOne(h *held) {
	s.mu.Lock()
	source, zone, confirmed, before, stored := h.source, h.zone, h.confirmed, h.saving.head, h.saving.stored
	now := source.head()
	now.confirmed, now.digest = confirmed, before.digest
	skip := h.gone || zone == nil
	s.mu.Unlock()
	if skip {
		return
	}
	began := time.Now()
	path := s.path(source)
	var err error
	if stored != zone || !before.isSame(now) || !confirm(path, before, now) {
		now, err = s.replace(path, now, zone)
	}
	took := time.Since(began)

	s.observer.Saved(err == nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	h.saving.queued = false
	if err != nil {
		h.saving.after = time.Now().Add(saveAgain)
		if fault := text(err); h.saving.fault != fault {
			h.saving.fault = fault
			s.log.Error("the copy of the zone cannot be written to disk; it is served, and would be missing after a restart",
				"zone", source.Zone, "file", path, "error", fault)
		}
		s.toSave(h)
		return
	}
	now.confirmed = now.confirmed.UTC().Truncate(time.Second) // as it is read
	h.saving.stored, h.saving.head, h.saving.fault = zone, now, ""
	h.saving.after = time.Now().Add(max(savePace, saveShare*took))
	if h.zone != zone || !h.confirmed.Equal(confirmed) { // meanwhile
		s.toSave(h)
	}
}

func (s *Server) replace(path string, h head, zone *content.Zone) (head, error) {
	if err := os.MkdirAll(s.options.Dir, 0o700); err != nil {
		return h, err
	}
	err := s.options.Replace(path, 0o600, func(file *os.File) (err error) {
		h, err = write(file, h, zone)
		return err
	})
	return h, err
}

// sweep removes what a process left that was killed while it wrote.
func (s *Server) sweep() {
	if s.options.Dir == "" {
		return
	}
	left, err := filepath.Glob(filepath.Join(s.options.Dir, ".*"+extension+".*.tmp"))
	if err != nil {
		return // the folder's name has a bracket: the files stay
	}
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(path)
		}
	}
}
