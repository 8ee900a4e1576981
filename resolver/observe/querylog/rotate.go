package querylog

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Rotation says when a file is put aside for a new one, and what becomes of those put
// aside: they are called as the file with the time behind it, in UTC. The zero value never
// does: then another program may.
type Rotation struct {
	Size     int64         // octets that a file has at most; 0 for any number
	Age      time.Duration // how old its first line may become; 0 for any age
	Keep     int           // how many that were put aside are kept
	Compress bool          // those are compressed with gzip
}

const (
	// stamp is the time in the name of a file that was put aside. Names sort by it.
	stamp = "20060102T150405.000Z"
	// retryPause is how long a file goes on that cannot be put aside.
	retryPause = time.Minute
)

// The ends of names of files that were put aside.
const (
	compressed = ".gz"
	unfinished = ".part"
)

// turn puts the file aside if it is time, or if more would be in it than may. What cannot
// be put aside is written to as before.
func (f *file) turn(more int64) {
	now := f.now()
	full := f.rotate.Size > 0 && f.size > 0 && f.size+more > f.rotate.Size
	old := f.rotate.Age > 0 && !f.first.IsZero() && now.Sub(f.first) >= f.rotate.Age
	if !full && !old || !f.tried.IsZero() && now.Sub(f.tried) < retryPause {
		return
	}
	if err := f.aside(now); err != nil {
		f.tried = now
		f.stays(err)
		return
	}
	f.tried = time.Time{}
	f.shelf.tidy(f.path, f.rotate, f.stays)
}

// aside renames the file and opens a new one. What was written to it is on the disk then.
func (f *file) aside(now time.Time) error {
	to, err := freeName(f.path, now)
	if err != nil {
		return err
	}
	if err := os.Rename(f.path, to); err != nil {
		return fmt.Errorf("rotate the query log: %w: let this user rename files there", err)
	}
	if err := f.open(); err != nil {
		return errors.Join(err, os.Rename(to, f.path)) // as before
	}
	return nil
}

// freeName is a name for a file that is put aside.
func freeName(path string, now time.Time) (string, error) {
	for range 1000 {
		name := path + "." + now.UTC().Format(stamp)
		_, err := os.Lstat(name)
		_, errCompressed := os.Lstat(name + compressed)
		if errors.Is(err, os.ErrNotExist) && errors.Is(errCompressed, os.ErrNotExist) {
			return name, nil
		}
		now = now.Add(time.Millisecond)
	}
	return "", fmt.Errorf("rotate the query log: files of this time stand beside %s already: remove them", path)
}

// shelf is the files that were put aside. One goroutine at a time puts them in order, and
// nobody who writes waits for it.
type shelf struct {
	mu     sync.Mutex
	stop   context.CancelFunc // of that goroutine; nil before the first
	ctx    context.Context
	wanted bool // something was put aside since it began
	busy   bool
	closed bool
	done   chan struct{} // closed when it ends
}

// tidy has the files put in order.
func (s *shelf) tidy(path string, r Rotation, complain func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = true
	if s.busy || s.closed {
		return
	}
	if s.ctx == nil {
		s.ctx, s.stop = context.WithCancel(context.Background())
	}
	s.busy, s.done = true, make(chan struct{})
	go s.work(path, r, complain)
}

func (s *shelf) work(path string, r Rotation, complain func(error)) {
	defer close(s.done)
	for {
		s.mu.Lock()
		if !s.wanted || s.closed {
			s.busy = false
			s.mu.Unlock()
			return
		}
		s.wanted = false
		s.mu.Unlock()
		if err := tidy(s.ctx, path, r); err != nil && s.ctx.Err() == nil {
			complain(err)
		}
	}
}

// close ends the goroutine, unless the disk holds it: then it ends when it can.
func (s *shelf) close() {
	s.mu.Lock()
	s.closed = true
	done, busy := s.done, s.busy
	if s.stop != nil {
		s.stop()
	}
	s.mu.Unlock()
	if busy {
		within(done, farewell)
	}
}

// tidy removes the oldest files that were put aside beside a path, and compresses the
// others. Whatever ended it the last time, it goes on from there.
func tidy(ctx context.Context, path string, r Rotation) error {
	all, err := aside(path)
	if err != nil {
		return fmt.Errorf("rotate the query log: %w", err)
	}
	var faults []error
	for i, name := range all {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case strings.HasSuffix(name, unfinished), i >= r.Keep:
			err = os.Remove(name)
		case r.Compress && !strings.HasSuffix(name, compressed):
			err = compress(ctx, name)
		default:
			err = nil
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("rotate the query log: %w", err))
		}
	}
	return errors.Join(faults...)
}

// aside are the files that were put aside beside a path, the newest first, and behind all
// those that are unfinished.
func aside(path string) (all []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var left []string
	for _, e := range entries {
		when, is := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
		when, part := strings.CutSuffix(when, unfinished)
		when, _ = strings.CutSuffix(when, compressed)
		if _, err := time.Parse(stamp, when); !is || err != nil || !e.Type().IsRegular() {
			continue
		}
		name := filepath.Join(filepath.Dir(path), e.Name())
		if part {
			left = append(left, name)
		} else {
			all = append(all, name)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(b, a) })
	return append(all, left...), nil
}

// compress puts a compressed file into the place of one. It is on the disk before the
// other goes.
func compress(ctx context.Context, name string) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	part := name + compressed + unfinished
	to, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(to)
	_, err = io.Copy(packed, interruptible{ctx, from})
	err = errors.Join(err, packed.Close())
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err == nil {
		err = os.Rename(part, name+compressed)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("compress %s: %w", name, err), os.Remove(part))
	}
	return os.Remove(name)
}

// interruptible is a reader that ends with ctx.
type interruptible struct {
	ctx  context.Context
	from io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
