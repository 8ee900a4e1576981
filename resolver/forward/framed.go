package forward

import (
	"bufio"
	"context"
	"encoding/binary"
	"net"
	"time"

	"pldns/resolver/wire"
)

// framed is a link over TCP or TLS, where each message follows its length. One goroutine
// reads and one writes.
type framed struct {
	conn   net.Conn
	stream *stream
	wake   chan struct{} // holds a token when there is something to write
	out    []byte        // framed messages that are to be written
}

// overFrames makes links of connections.
func overFrames(dial func(context.Context) (net.Conn, error)) func(context.Context) (link, error) {
	return func(ctx context.Context) (link, error) {
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return &framed{conn: conn, wake: make(chan struct{}, 1)}, nil
	}
}

// The following are the methods of a link.

func (f *framed) serve(s *stream) (most int) {
	f.stream = s
	s.pool.running.add()
	s.pool.running.add()
	go f.read() // close of the pool waits for both
	go f.write()
	return maxPipelined
}

func (f *framed) send(q *streamQuery) {
	f.out = wire.AppendFrame(f.out, q.packet)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *framed) drop(*streamQuery) {} // the reply may still come, and must be known for what it is

func (f *framed) rest(at time.Time) { _ = f.conn.SetReadDeadline(at) } // the reader ends it

func (f *framed) held() bool { return false }

func (f *framed) close() { _ = f.conn.Close() }

// The following are called without the lock.

// write sends what there is to be sent, many questions at a time.
func (f *framed) write() {
	pool := f.stream.pool
	defer pool.running.done()
	var sending []byte
	for range f.wake {
		pool.mu.Lock()
		sending, f.out = f.out, sending[:0]
		pool.mu.Unlock()
		_ = f.conn.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := f.conn.Write(sending); err != nil {
			_ = f.conn.Close() // the reader finds out, and ends it
		}
	}
}

// read takes messages to those who wait for them, until the connection ends.
func (f *framed) read() {
	pool := f.stream.pool
	defer pool.running.done()
	in := bufio.NewReader(f.conn)
	for {
		packet, err := wire.ReadFrame(in)
		if err == nil {
			err = f.deliver(packet)
		}
		if err != nil {
			_ = f.conn.Close()
			pool.ended(f.stream, err)
			close(f.wake)
			return
		}
	}
}

// deliver gives a message to the question that it is the reply to.
func (f *framed) deliver(packet []byte) error {
	if len(packet) < wire.HeaderSize {
		return errNeverAsked
	}
	pool := f.stream.pool
	pool.mu.Lock()
	q := f.stream.waiting[binary.BigEndian.Uint16(packet)]
	if q == nil || q.verdict(packet) == foreign {
		pool.mu.Unlock()
		return errNeverAsked
	}
	done := f.stream.answered(q)
	pool.mu.Unlock()
	if done != nil {
		copy(packet, q.id[:])
		tell(done, packet, nil, pool.panicked)
	}
	return nil
}
