package querylog

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"
)

// sink is where lines go: some are added, and then written together. One goroutine calls
// all of it but Close.
type sink interface {
	// Add adds a line to those that are written together, and tells whether there are
	// enough of them now.
	Add(l *line) (full bool)
	// Flush writes what was added, and gives how many lines of it were written; the error
	// says why not all were. It may wait: while nobody takes them.
	Flush() (written int, err error)
	// Reset drops what was added.
	Reset()
	// Stale says that what was opened may have been replaced.
	Stale()
	// Close ends a Flush that waits, and all that is open. It is called once.
	Close() error
}

// batchBytes is about how much is written at once: what a pipe takes in one piece, so that
// lines do not mix with those of others who write there.
const batchBytes = 4096

// batch is lines of JSON that are written together.
type batch struct {
	bytes.Buffer
	encoder *json.Encoder
	lines   int
}

// Add implements [sink].
func (b *batch) Add(l *line) (full bool) {
	if b.encoder == nil {
		b.encoder = json.NewEncoder(&b.Buffer)
		b.encoder.SetEscapeHTML(false)
	}
	before := b.Len()
	_ = b.encoder.Encode(l) // strings and numbers that are finite: this cannot fail
	b.lines++
	return b.Len()+(b.Len()-before) > batchBytes
}

// Reset implements [sink].
func (b *batch) Reset() {
	b.Buffer.Reset()
	b.lines = 0
}

// flush has the lines written by somebody.
func (b *batch) flush(write func([]byte) error) (written int, err error) {
	defer b.Reset()
	if err := write(b.Bytes()); err != nil {
		return 0, err
	}
	return b.lines, nil
}

// stream is a sink that somebody else has opened, and closes.
type stream struct {
	batch
	to io.Writer
}

// Flush implements [sink].
func (s *stream) Flush() (int, error) {
	return s.flush(func(lines []byte) error {
		_, err := s.to.Write(lines)
		return err
	})
}

// Stale implements [sink].
func (*stream) Stale() {}

// Close implements [sink].
func (*stream) Close() error { return nil }

// restFirst is how long somebody far away is left alone who takes nothing; that doubles up
// to restMost.
const (
	restFirst = 100 * time.Millisecond
	restMost  = 5 * time.Second
)

// rest waits before the next attempt, and says how long before the one after that; false
// if there is none, because ctx has ended.
func rest(ctx context.Context, pause *time.Duration) bool {
	timer := time.NewTimer(*pause)
	defer timer.Stop()
	*pause = min(2**pause, restMost)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
