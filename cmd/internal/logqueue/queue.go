// Package logqueue stands between a log and where it is written to, so that a
// writer that is stuck (a pipe that nobody reads, a log driver that blocks) holds up
// nobody who logs: lines wait in a queue of bounded length, one goroutine writes
// them, and what does not fit is dropped, counted and reported.
package logqueue

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxLines and maxBytes bound what waits. A line with the stack of a panic has
	// some kilobytes.
	maxLines = 1024
	maxBytes = 1 << 20
)

// Queue is an [io.Writer] that never blocks: each Write is one line, which is
// copied and written later, or dropped. It may be used by any number of goroutines.
type Queue struct {
	to     io.Writer
	format format

	wake    chan struct{} // holds one value while there may be lines
	closing chan struct{}
	written chan struct{} // closed by the end of the goroutine that writes
	once    sync.Once

	mu      sync.Mutex
	lines   [][]byte
	size    int // octets of lines
	dropped int // since that was reported
	total   atomic.Int64
}

// New makes a queue in front of a writer, and starts the goroutine that writes.
// [Queue.Close] ends it.
func New(to io.Writer) *Queue {
	q := &Queue{
		to: to, wake: make(chan struct{}, 1), closing: make(chan struct{}), written: make(chan struct{}),
	}
	go q.write()
	return q
}

// Write takes a line. It never fails: who logs could do nothing about it.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	if len(q.lines) >= maxLines || q.size+len(line) > maxBytes {
		q.dropped++
		q.total.Add(1)
	} else {
		q.lines = append(q.lines, append([]byte(nil), line...))
		q.size += len(line)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return len(line), nil
}

// Dropped is how many lines have been dropped.
func (q *Queue) Dropped() int64 { return q.total.Load() }

// Close writes what waits, for at most the given time, and tells whether all was
// written. What is logged later is dropped.
func (q *Queue) Close(patience time.Duration) bool {
	q.format.settle()
	q.once.Do(func() { close(q.closing) })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-q.written:
		return true
	case <-timer.C:
		return false // the goroutine ends when its write does, or with the process
	}
}

// write writes until the queue is closed and empty.
func (q *Queue) write() {
	defer close(q.written)
	for {
		select {
		case <-q.wake:
			q.writeWaiting()
		case <-q.closing:
			q.writeWaiting()
			return
		}
	}
}

// writeWaiting writes what waits, a line at a time, and then how many lines could not wait.
func (q *Queue) writeWaiting() {
	for {
		line, dropped := q.take()
		switch {
		case line != nil:
			_, _ = q.to.Write(line) // the log is where it would be reported
		case dropped > 0:
			q.reportDropped(dropped)
		default:
			return
		}
	}
}

// take gives the oldest line, or else how many were dropped since the last report.
func (q *Queue) take() (line []byte, dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) > 0 {
		line = q.lines[0]
		q.lines[0] = nil
		q.lines = q.lines[1:]
		q.size -= len(line)
		return line, 0
	}
	q.lines = nil // not the array that the last burst needed
	dropped, q.dropped = q.dropped, 0
	return nil, dropped
}
