package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	// maxStreams is how many questions may be under way on one connection over QUIC. Each
	// takes a goroutine, because quic-go has no other way to wait for a stream.
	maxStreams = 512
	// deafRTTs is how many round trips a connection is silent before it is taken for dead,
	// where deafTime is shorter.
	deafRTTs = 3
	// heldTime is how long questions wait for a stream before others go elsewhere.
	heldTime = 20 * time.Millisecond
)

// errDeaf says that the other end of a connection gives no sign of life: it is gone, or
// what is between, such as a NAT, has forgotten the connection.
var errDeaf = errors.New("nothing came over the connection any more, not even acknowledgements")

// errNoStream says that a server lets nothing be asked on a connection.
var errNoStream = errors.New("the server allows no streams on the connection")

// protocolError is what a server did that its protocol does not allow. It ends the
// connection, and is surely the server's own reply.
type protocolError struct{ text string }

func (e *protocolError) Error() string { return e.text }

// resetError is that a server has reset the stream of a question, by an error code.
type resetError struct {
	code    string
	unasked bool // it says that the question was not looked at
}

func (e *resetError) Error() string { return "the server reset the stream: " + e.code }

// application is what is spoken on the streams of a connection over QUIC.
type application interface {
	// ask asks one question, whose id is 0, on a stream of its own and waits. It calls
	// opened once it has the stream, and gives the stream up when ctx ends.
	ask(ctx context.Context, packet []byte, opened func()) ([]byte, error)
	// code is the error code by which a connection is closed, in order or because the
	// server broke the protocol.
	code(broken bool) quic.ApplicationErrorCode
	// word is what an error code is called.
	word(code uint64) string
	// refuses tells whether a server that resets a stream by a code has not looked at the
	// question.
	refuses(code uint64) bool
}

// quicLink is a link over QUIC. Each question is asked on a stream of its own by a
// goroutine of its own, once the server allows one more stream; one more goroutine looks
// after the connection.
//
// There is no 0-RTT: it would save a round trip where a connection is opened again after a
// pause, and what is sent so can be replayed and shows who asks (RFC 9250 section 7.1). A
// session is resumed.
type quicLink struct {
	application
	conn   *quic.Conn
	free   func() // closes the socket
	stream *stream
	timer  *time.Timer
	ending chan struct{} // closed when the connection is to end
	end    sync.Once

	// The following are guarded by the pool.
	stops   map[uint16]context.CancelFunc // of the questions under way, by their ids on the connection
	opening int                           // questions that wait for a stream
	open    int                           // streams in use
	waits   time.Time                     // when they began to wait, or a stream was opened or ended since; zero if none waits
	rests   time.Time                     // when the connection ends; zero for never
	fires   time.Time                     // when the timer does; zero if it is not set
	quiet   time.Time                     // when the first question was sent since the last packet came; zero if none was
	heard   uint64                        // packets that had come then
	why     error                         // it is to end, as far as a question showed that
}

// The following are the methods of a link.

func (l *quicLink) serve(s *stream) (most int) {
	l.stream, l.stops, l.ending = s, make(map[uint16]context.CancelFunc), make(chan struct{})
	l.timer = time.NewTimer(time.Hour)
	l.timer.Stop()
	s.pool.running.add()
	go l.watch() // close of the pool waits for it
	return maxStreams
}

func (l *quicLink) send(q *streamQuery) {
	now := time.Now()
	if heard := l.packets(); l.quiet.IsZero() || heard != l.heard {
		l.quiet, l.heard = now, heard
	}
	if l.opening++; l.opening == 1 {
		l.waits = now
	}
	l.arm(l.patience())
	ctx, stop := context.WithCancel(context.Background())
	id := binary.BigEndian.Uint16(q.packet)
	l.stops[id] = stop
	packet := slices.Clone(q.packet) // which may be asked over another connection meanwhile
	packet[0], packet[1] = 0, 0
	l.stream.pool.running.add()
	go l.askFor(ctx, q, id, packet) // close of the pool waits for it
}

func (l *quicLink) drop(q *streamQuery) {
	id := binary.BigEndian.Uint16(q.packet)
	if l.stream.waiting[id] == q {
		l.remove(id)
	}
}

func (l *quicLink) rest(at time.Time) {
	if l.rests = at; !at.IsZero() {
		l.arm(time.Until(at))
	}
}

func (l *quicLink) held() bool { return !l.waits.IsZero() && time.Since(l.waits) > heldTime }

func (l *quicLink) close() { l.end.Do(func() { close(l.ending) }) }

// The following are called with the pool locked.

// remove ends the work for a question that is not under way any more.
func (l *quicLink) remove(id uint16) {
	delete(l.stream.waiting, id)
	l.stops[id]()
	delete(l.stops, id)
}

// moved takes note that a stream was opened or ended, so that another may be opened.
func (l *quicLink) moved() {
	if l.waits = time.Now(); l.opening == 0 {
		l.waits = time.Time{}
	} else if l.open == 0 {
		l.arm(l.patience())
	}
}

// arm lets the timer fire after some time, or before.
func (l *quicLink) arm(after time.Duration) {
	if at := time.Now().Add(after); l.fires.IsZero() || at.Before(l.fires) {
		l.fires = at
		l.timer.Reset(after)
	}
}

// packets is how many packets have come.
func (l *quicLink) packets() uint64 { return l.conn.ConnectionStats().PacketsReceived }

// patience is for how long a sign of life is waited for, or the first stream.
func (l *quicLink) patience() time.Duration {
	return max(deafTime, deafRTTs*l.conn.ConnectionStats().SmoothedRTT)
}

// The following are called without the lock.

// watch looks after the connection until it ends.
func (l *quicLink) watch() {
	pool := l.stream.pool
	defer pool.running.done()
	var err error
	for err == nil {
		select {
		case <-l.conn.Context().Done():
			err = context.Cause(l.conn.Context())
		case <-l.ending:
			err = net.ErrClosed
		case <-l.timer.C:
			err = l.look(time.Now())
		}
	}
	pool.mu.Lock()
	if l.why != nil {
		err = l.why
	}
	pool.mu.Unlock()
	broken := errors.As(err, new(*protocolError))
	_ = l.conn.CloseWithError(l.code(broken), "")
	l.free()
	if broken {
		err = errNeverAsked // so that the other questions are asked again
	}
	pool.ended(l.stream, l.told(err))
}

// look looks at the connection when the timer fires, and says why it is to end, if it is.
func (l *quicLink) look(now time.Time) error {
	s := l.stream
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	l.fires = time.Time{}
	if !l.quiet.IsZero() && l.packets() != l.heard {
		l.quiet = time.Time{}
	}
	var err error
	switch {
	case !l.rests.IsZero() && !now.Before(l.rests):
		err = net.ErrClosed
	case !l.quiet.IsZero() && now.Sub(l.quiet) >= l.patience():
		err = errDeaf
	case l.open == 0 && !l.waits.IsZero() && now.Sub(l.waits) >= l.patience():
		err = errNoStream
	}
	for _, next := range []time.Time{l.rests, l.quiet.Add(l.patience()), l.waits.Add(l.patience())} {
		if err == nil && next.After(now) {
			l.arm(next.Sub(now))
		}
	}
	s.retired = s.retired || err != nil
	return err
}

// told says why a connection ended of itself.
func (l *quicLink) told(err error) error {
	if closed := (*quic.ApplicationError)(nil); errors.As(err, &closed) && closed.Remote {
		return errors.New("the server closed the connection: " + l.word(uint64(closed.ErrorCode)))
	}
	return plainly(err)
}

// askFor asks one question and brings what comes of it. Where the connection ends, that is
// left to the pool, which asks again over another one.
func (l *quicLink) askFor(ctx context.Context, q *streamQuery, id uint16, packet []byte) {
	pool := l.stream.pool
	defer pool.running.done()
	opened, ended := false, false
	reply, err := l.ask(ctx, packet, func() { // which may be called often, and late
		pool.mu.Lock()
		defer pool.mu.Unlock()
		if opened || ended {
			return
		}
		opened = true
		l.opening, l.open = l.opening-1, l.open+1
		l.moved()
	})
	pool.mu.Lock()
	if ended = true; opened {
		l.open--
		l.moved()
	} else if l.opening--; l.opening == 0 {
		l.waits = time.Time{}
	}
	if l.stream.waiting[id] != q { // it is given up, or is asked elsewhere
		pool.mu.Unlock()
		return
	}
	if err == nil {
		l.remove(id)
		done := l.stream.answered(q)
		pool.mu.Unlock()
		copy(reply, q.id[:])
		tell(done, reply, nil, pool.panicked)
		return
	}
	l.failed(q, id, l.verdict(err), opened)
}

// verdict is what an error says of a question, and of its connection.
func (l *quicLink) verdict(err error) error {
	if reset := (*quic.StreamError)(nil); errors.As(err, &reset) && reset.Remote {
		code := uint64(reset.ErrorCode)
		return &resetError{l.word(code), l.refuses(code)}
	}
	return err
}

// failed takes a question off the connection that was not answered. The pool is locked,
// and is unlocked.
func (l *quicLink) failed(q *streamQuery, id uint16, err error, opened bool) {
	pool := l.stream.pool
	again := false
	switch reset := (*resetError)(nil); {
	case !opened && l.conn.Context().Err() == nil: // it is taking leave
		again = true
	case opened && errors.As(err, &reset):
		again = reset.unasked
	case opened && errors.As(err, new(*protocolError)):
		l.why = err
		l.close()
	case opened && errors.As(err, new(*httpError)):
	default:
		if l.why == nil {
			l.why = err
		}
		l.close()
		pool.mu.Unlock()
		return
	}
	l.remove(id)
	q.stream = nil
	l.stream.retired = l.stream.retired || again || l.why != nil
	l.stream.left()
	pool.mu.Unlock()
	pool.again(q, err, !again || q.attempts > 1)
}
