package upstream

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// idleTime is how long a connection is kept on which nothing is asked (RFC 7766
	// section 6.2.3): shorter than what servers allow, so that few questions meet a
	// connection that is just being closed.
	idleTime = 8 * time.Second
	// deafTime is how long a connection may be silent after a question before no
	// other question is put on it: its other end may be gone.
	deafTime = 500 * time.Millisecond
	// idDraws is how many ids are drawn for a question before the connection is
	// taken to be full.
	idDraws = 16
)

// errBroken says that a connection ended before it gave the reply. Another one
// may do better.
var errBroken = errors.New("the connection ended before the reply")

// errFull says that a connection has no id to spare.
var errFull = errors.New("too many questions on one connection")

// stream is a connection on which any number of questions are under way, and are
// answered in any order (RFC 7766 sections 6.2.1.1 and 7).
type stream struct {
	conn    net.Conn
	born    time.Time
	writing chan struct{} // holds one token, for whoever writes
	ended   chan struct{} // closed when the reader is gone

	users int // of the keeper, and guarded by it

	mu      sync.Mutex
	waiting map[uint16]*waiter
	heard   time.Time // when the last message came
	broken  error     // why it ended; nil while it lives
}

// waiter is a question under way.
type waiter struct {
	query  *query
	packet chan []byte // the reply; closed without one when the stream ends
}

// newStream makes a stream of a connection. Its read method must be run.
func newStream(conn net.Conn) *stream {
	return &stream{
		conn: conn, born: time.Now(), writing: make(chan struct{}, 1), ended: make(chan struct{}),
		waiting: make(map[uint16]*waiter),
	}
}

// ask puts a question on the stream and waits for its reply. If nothing at all is
// heard for a while, deaf is called, and waiting goes on.
func (s *stream) ask(ctx context.Context, asked *query, deaf func()) ([]byte, error) {
	w, err := s.register(asked)
	if err != nil {
		return nil, err
	}
	defer s.unregister(w)
	sent := time.Now()
	if err := s.write(ctx, asked.packet); err != nil {
		return nil, err
	}
	timer := time.NewTimer(deafTime)
	defer timer.Stop()
	for {
		select {
		case packet, ok := <-w.packet:
			if !ok {
				return nil, s.why()
			}
			return packet, nil
		case <-timer.C:
			if s.silentSince(sent) {
				deaf()
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// register gives the question an id that no other question on the stream has.
func (s *stream) register(asked *query) (*waiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, s.broken
	}
	for range idDraws {
		id := binary.BigEndian.Uint16(asked.packet)
		if s.waiting[id] == nil {
			w := &waiter{query: asked, packet: make(chan []byte, 1)}
			s.waiting[id] = w
			_ = s.conn.SetReadDeadline(time.Time{}) // it is not idle
			return w, nil
		}
		_, _ = rand.Read(asked.packet[:2]) // never fails, by its documentation
	}
	return nil, errFull
}

// unregister forgets a question. A reply that comes later is dropped.
func (s *stream) unregister(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := binary.BigEndian.Uint16(w.query.packet)
	if s.waiting[id] == w {
		delete(s.waiting, id)
	}
	if len(s.waiting) == 0 {
		_ = s.conn.SetReadDeadline(time.Now().Add(idleTime))
	}
}

// write sends one message. A message that was sent in part ends the stream.
func (s *stream) write(ctx context.Context, packet []byte) error {
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return s.why()
	}
	defer func() { <-s.writing }()
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Unix(1, 0)) })
	_, err := s.conn.Write(frame(packet))
	if stop() && err == nil {
		return nil
	}
	// The deadline for writing is over, or will be: nobody else can write.
	s.end(err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.why()
}

// read takes messages to those who wait for them, until the connection ends.
func (s *stream) read() {
	defer close(s.ended)
	in := bufio.NewReader(s.conn)
	for {
		packet, err := readFrame(in)
		if err != nil {
			s.end(err)
			return
		}
		s.deliver(packet)
	}
}

// deliver gives a message to the question it is the reply to. What is no reply is
// dropped: it may be one to a question that was given up.
func (s *stream) deliver(packet []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	if len(packet) < headerSize {
		return
	}
	id := binary.BigEndian.Uint16(packet)
	w := s.waiting[id]
	if w == nil || w.query.match(packet) == foreign {
		return
	}
	delete(s.waiting, id)
	w.packet <- packet
}

// end ends the stream, and every wait on it.
func (s *stream) end(err error) {
	_ = s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return
	}
	s.broken = errBroken
	if err != nil && !errors.Is(err, io.EOF) {
		s.broken = fmt.Errorf("%w: %w", errBroken, err)
	}
	for id, w := range s.waiting {
		delete(s.waiting, id)
		close(w.packet)
	}
}

// why is why the stream ended.
func (s *stream) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// silentSince tells whether nothing came since a time.
func (s *stream) silentSince(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard.Before(t)
}

// load is how many questions are under way; alive is false when it ended.
func (s *stream) load() (questions int, alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting), s.broken == nil
}

// readFrame reads one message with its length in front.
func readFrame(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, packet)
	return packet, err
}

// frame puts the length in front of a message, so that both leave in one segment
// (RFC 7766 section 8).
func frame(packet []byte) []byte {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(packet)), uint16(len(packet)))
	return append(framed, packet...)
}
