package forward

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"time"

	"pldns/resolver/wire"
)

const (
	// idleTime is how long a connection is kept on which nothing is asked (RFC 7766
	// section 6.2.3): shorter than what servers allow, so that few questions meet a
	// connection that is just being closed.
	idleTime = 8 * time.Second
	// deafTime is how long a connection may be silent after a question before no
	// other question is put on it: its other end may be gone.
	deafTime = 500 * time.Millisecond
	// writeTime is how long the other end may leave unread what is sent to it.
	writeTime = 2 * time.Second
	// maxPipelined is how many questions may be under way on one connection, those
	// included that nobody waits for any more.
	maxPipelined = 4096
	// maxAbandoned is how many questions that nobody waits for any more are a reason
	// to put no others on a connection, so that their ids become free.
	maxAbandoned = 2048
)

// errBroken says that a connection ended before it gave the reply. Another one
// may do better.
var errBroken = errors.New("the connection ended before the reply")

// errNeverAsked says that something came over a connection that is no reply to
// what was asked on it. So its framing is lost, or the other end takes it for
// another one: nothing that comes later can be trusted.
var errNeverAsked = errors.New("what came is no reply to anything that was asked on it")

// streamQuery is a query over a connection. It is guarded by its pool.
type streamQuery struct {
	pool     *connPool
	packet   []byte                         // with the id that it has on the connection
	id       [2]byte                        // the id that it was given by who asks
	done     func(packet []byte, err error) // nil when it was told, or nobody waits any more
	stream   *stream                        // nil as long as it waits for a connection
	attempts int                            // connections that it was put on
}

// stream is a connection on which any number of questions are under way, and are
// answered in any order (RFC 7766 sections 6.2.1.1 and 7). All but conn is guarded
// by its pool.
type stream struct {
	pool *connPool
	conn net.Conn
	wake chan struct{} // holds a token when there is something to write

	waiting map[uint16]*streamQuery // by the id on the connection
	live    int                     // those of them that somebody waits for
	out     []byte                  // framed messages that are to be written
	unheard time.Time               // when the first question was asked since the last message came; zero if none was
	proven  bool                    // a reply came over it
	retired bool                    // no more questions are put on it
	closed  bool                    // its reader is about to end it
}

func newStream(pool *connPool, conn net.Conn) *stream {
	return &stream{pool: pool, conn: conn, wake: make(chan struct{}, 1), waiting: make(map[uint16]*streamQuery)}
}

// The following are called with the pool locked.

// retire tells whether no more questions are put on the connection, however few
// there are.
func (s *stream) retire(now time.Time) bool {
	s.retired = s.retired || !s.unheard.IsZero() && now.Sub(s.unheard) > deafTime
	return s.retired
}

// put puts a question on the connection, under an id that no other one there has.
func (s *stream) put(q *streamQuery, now time.Time) {
	id := binary.BigEndian.Uint16(q.packet)
	for s.waiting[id] != nil {
		id++
	}
	binary.BigEndian.PutUint16(q.packet, id)
	s.waiting[id] = q
	q.stream = s
	q.attempts++
	if s.live++; s.live == 1 {
		_ = s.conn.SetReadDeadline(time.Time{}) // it is not idle
	}
	if s.unheard.IsZero() {
		s.unheard = now
	}
	s.out = wire.AppendFrame(s.out, q.packet)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// left takes note that one question less is waited for.
func (s *stream) left() {
	s.live--
	if len(s.waiting)-s.live > maxAbandoned {
		s.retired = true
	}
	if s.live > 0 {
		return
	}
	if s.retired = s.retired || !s.pool.kept; s.retired {
		_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // the reader ends it
	} else {
		_ = s.conn.SetReadDeadline(time.Now().Add(s.pool.idle))
	}
}

// The following are called without the lock.

// write sends what there is to be sent, many questions at a time.
func (s *stream) write() {
	defer s.pool.running.done()
	var sending []byte
	for range s.wake {
		s.pool.mu.Lock()
		sending, s.out = s.out, sending[:0]
		s.pool.mu.Unlock()
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := s.conn.Write(sending); err != nil {
			_ = s.conn.Close() // the reader finds out, and ends it
		}
	}
}

// read takes messages to those who wait for them, until the connection ends.
func (s *stream) read() {
	defer s.pool.running.done()
	in := bufio.NewReader(s.conn)
	for {
		packet, err := wire.ReadFrame(in)
		if err == nil {
			err = s.deliver(packet)
		}
		if err != nil {
			s.pool.ended(s, err)
			return
		}
	}
}

// deliver gives a message to the question that it is the reply to.
func (s *stream) deliver(packet []byte) error {
	if len(packet) < wire.HeaderSize {
		return errNeverAsked
	}
	s.pool.mu.Lock()
	id := binary.BigEndian.Uint16(packet)
	q := s.waiting[id]
	if q == nil || q.verdict(packet) == foreign {
		s.pool.mu.Unlock()
		return errNeverAsked
	}
	delete(s.waiting, id)
	s.unheard, s.proven = time.Time{}, true
	done := q.take()
	if done != nil {
		s.left()
	}
	s.pool.mu.Unlock()
	if done != nil {
		copy(packet, q.id[:])
		tell(done, packet, nil, s.pool.panicked)
	}
	return nil
}

// verdict is what a packet is to the question.
func (q *streamQuery) verdict(packet []byte) verdict {
	asked := query{packet: q.packet, question: uint16(questionEnd(q.packet))}
	return asked.match(packet)
}

// take gives what is to be told of the question, once, with the pool locked.
func (q *streamQuery) take() (done func([]byte, error)) {
	done, q.done = q.done, nil
	return done
}

// tell tells whoever asked. A panic there ends neither the connection nor anybody
// else's question.
func tell(done func([]byte, error), packet []byte, err error, panicked func(fault any, stack []byte)) {
	defer func() {
		if fault := recover(); fault != nil {
			panicked(fault, debug.Stack())
		}
	}()
	done(packet, err)
}

// questionEnd is where the question section of one of our own queries ends.
func questionEnd(packet []byte) int {
	r := wire.Reader{Message: packet, At: wire.HeaderSize}
	_, _ = r.Question()
	return r.At
}

// broken is what is said of a question whose connection ended.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return errBroken
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}
