package forward

import (
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
// answered in any order (RFC 7766 sections 6.2.1.1 and 7). It is guarded by its pool.
type stream struct {
	pool *connPool
	link link
	most int // how many questions may be under way

	waiting map[uint16]*streamQuery // by the id on the connection
	live    int                     // those of them that somebody waits for
	unheard time.Time               // when the first question was asked since the last message came; zero if none was
	proven  bool                    // a reply came over it
	retired bool                    // no more questions are put on it
	closed  bool                    // it is about to end
}

// link is what the questions of a stream go over. Its methods do not wait for anything, and
// are called with the pool locked.
type link interface {
	// serve begins to bring to s what comes, until the connection ends; then it calls
	// ended of the pool. Its goroutines count as running there. It says how many questions
	// may be under way.
	serve(s *stream) (most int)
	// send sends a question that waits on the stream, under the id in its packet.
	send(q *streamQuery)
	// drop is told that nobody waits for a question any more.
	drop(q *streamQuery)
	// rest ends the connection at a time, if that is not put off before; zero for never.
	rest(at time.Time)
	// held tells whether questions have to wait before they are sent.
	held() bool
	// close ends the connection soon.
	close()
}

// longAgo is the time for what is to happen at once.
var longAgo = time.Unix(1, 0)

// The following are called with the pool locked.

// load is how much there is to do before one question more. What cannot be sent yet comes
// after all that can.
func (s *stream) load() int {
	if s.link.held() {
		return s.live + s.most
	}
	return s.live
}

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
		s.link.rest(time.Time{})
	}
	if s.unheard.IsZero() {
		s.unheard = now
	}
	s.link.send(q)
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
		s.link.rest(longAgo)
	} else {
		s.link.rest(time.Now().Add(s.pool.idle))
	}
}

// answered takes a question off the connection whose reply came, and gives whom to tell;
// nil if nobody waits any more.
func (s *stream) answered(q *streamQuery) (done func([]byte, error)) {
	delete(s.waiting, binary.BigEndian.Uint16(q.packet))
	s.unheard, s.proven = time.Time{}, true
	if done = q.take(); done != nil {
		s.left()
	}
	return done
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
