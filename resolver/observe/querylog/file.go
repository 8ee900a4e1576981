package querylog

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// fileMode lets the user write and its group read: who asks for what is nobody
	// else's business.
	fileMode = 0o640
	// lookInterval is how often a file is looked at.
	lookInterval = time.Second
	// openPatience is how long the first opening of the file may take.
	openPatience = 5 * time.Second
)

// file is a sink that appends to a file, and follows its path where it is renamed or
// removed, as programs that rotate logs do; or it rotates by itself. Only Close may be
// called beside the other methods.
type file struct {
	batch
	path   string
	rotate Rotation
	now    func() time.Time
	stays  func(error) // told why no new file is opened
	looked time.Time   // when it was last seen to be at its path
	torn   bool        // the last line is not whole
	size   int64       // octets in it, as far as was written here
	first  time.Time   // when its first line is from; zero for one that is empty
	tried  time.Time   // when it could not be rotated
	shelf  shelf       // those before

	mu     sync.Mutex
	opened *os.File // nil if it could not be opened
	closed bool
}

// open opens the file. What is no regular file is refused: a FIFO that nobody
// reads would hold up whoever opens it.
func (f *file) open() error { return f.take(openFile(f.path)) }

// openWithin is open, for who must not wait: a share may be away.
func (f *file) openWithin(patience time.Duration) error {
	type result struct {
		file *os.File
		err  error
	}
	done := make(chan result)
	late := make(chan struct{})
	go func() {
		opened, err := openFile(f.path)
		select {
		case done <- result{opened, err}:
		case <-late:
			if err == nil {
				opened.Close()
			}
		}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case r := <-done:
		return f.take(r.file, r.err)
	case <-timer.C:
		close(late)
		return fmt.Errorf("open the query log: %s does not answer, as on a share that is away: name another file", f.path)
	}
}

func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, fileMode)
}

// take makes an open file the one that is written to.
func (f *file) take(opened *os.File, err error) error {
	if err != nil {
		return fmt.Errorf("open the query log: %w: let this user write there, or name another file", err)
	}
	info, err := opened.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("open the query log: %s is no regular file: name one, or write \"stdout\" or \"stderr\"", f.path)
	}
	if err != nil {
		opened.Close()
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		opened.Close()
		return os.ErrClosed
	}
	if f.opened != nil {
		f.opened.Close()
	}
	f.opened, f.looked, f.size = opened, time.Now(), info.Size()
	f.first, f.torn = time.Time{}, false
	if f.size > 0 {
		f.first, f.torn = look(f.path, info)
	}
	return nil
}

// look tells when the first line of a file is from, as it says itself, else when it was
// last written; and whether its last line is not whole, as after a loss of power. What
// may not be read is taken to be in order.
func look(path string, info os.FileInfo) (first time.Time, torn bool) {
	opened, err := os.Open(path)
	if err != nil {
		return info.ModTime(), false
	}
	defer opened.Close()
	var head [64]byte
	n, _ := opened.ReadAt(head[:], 0)
	text, is := bytes.CutPrefix(head[:n], []byte(`{"time":"`))
	text, _, ends := bytes.Cut(text, []byte{'"'})
	if first, err = time.Parse(time.RFC3339, string(text)); !is || !ends || err != nil {
		first = info.ModTime()
	}
	n, _ = opened.ReadAt(head[:1], info.Size()-1)
	return first, n == 1 && head[0] != '\n'
}

// Stale makes the next Flush look at the path.
func (f *file) Stale() { f.looked = time.Time{} }

// Flush implements [sink].
func (f *file) Flush() (int, error) { return f.flush(f.write) }

func (f *file) write(lines []byte) error {
	if now := time.Now(); now.Sub(f.looked) >= lookInterval {
		f.looked = now
		if !f.inPlace() {
			if err := f.open(); err != nil {
				f.stays(err) // the old one is better than none
			}
		}
	}
	f.turn(int64(len(lines)))
	to := f.current()
	if to == nil {
		return os.ErrClosed
	}
	if f.torn {
		if _, err := to.Write([]byte{'\n'}); err != nil {
			return err
		}
		f.torn = false
		f.size++
	}
	if f.first.IsZero() {
		f.first = f.now()
	}
	written, err := to.Write(lines)
	f.size += int64(max(written, 0))
	f.torn = err != nil && written > 0 && lines[written-1] != '\n'
	return err
}

// inPlace tells whether the open file is the one at the path.
func (f *file) inPlace() bool {
	opened := f.current()
	if opened == nil {
		return false
	}
	mine, err := opened.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(f.path)
	return err == nil && os.SameFile(mine, there)
}

func (f *file) current() *os.File {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

// Close closes the file. A Flush that is under way fails.
func (f *file) Close() error {
	f.shelf.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.opened == nil {
		return nil
	}
	err := f.opened.Close()
	f.opened = nil
	return err
}
