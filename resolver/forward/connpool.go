package forward

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// maxConns is how many connections to one server take questions.
	maxConns = 4
	// busyConn is how many questions on each connection are a reason for one more.
	busyConn = 32
	// maxRetiring is how many connections more may be open that take none any more,
	// and wait for the last answers.
	maxRetiring = 4
	// dialTime is how long a connection may take to be opened, TLS included.
	dialTime = 2500 * time.Millisecond
)

// errFull says that there is no room for a question on any connection.
var errFull = errors.New("too many questions are under way on the connections to the server")

// connPool asks one server over connections (RFC 7766, RFC 7858, RFC 9250, RFC 9114): a
// few, on each of which many questions are under way at once, in any order. What a
// connection takes, and what a question on it does, says its link: over TCP and TLS no
// goroutine for each question, over QUIC one. Methods may be called by many goroutines at
// once.
//
// A connection that brings what was never asked on it is closed at once. A question
// whose connection ends, after it had shown that it works or because of that, is
// asked once more over another one.
type connPool struct {
	dial     func(context.Context) (link, error)
	panicked func(fault any, stack []byte) // is told of a panic of what a reply was told to
	idle     time.Duration                 // how long a connection is kept on which nothing is asked
	running  count                         // dials, readers and writers

	mu      sync.Mutex
	conns   []*stream      // that have not ended
	queue   []*streamQuery // that wait for a connection
	dialing bool
	kept    bool // connections are kept when nobody waits for anything on them
}

func newConnPool(dial func(context.Context) (link, error), panicked func(fault any, stack []byte)) *connPool {
	return &connPool{dial: dial, panicked: panicked, idle: idleTime}
}

// start asks, and tells done the reply as it came, with the id of packet; or why
// there is none. Done is called once, by another goroutine, maybe before start has
// returned; it must not wait for anything, and may call start and cancel. An error
// of start says that the question cannot be asked; then done is not called.
//
// The packet is copied. There is no deadline: who does not want the answer any more
// calls cancel on the streamQuery. Done is never called under a lock of the pool.
func (p *connPool) start(packet []byte, done func(packet []byte, err error)) (*streamQuery, error) {
	q := &streamQuery{pool: p, packet: slices.Clone(packet), id: [2]byte(packet), done: done}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.place(q, time.Now()); err != nil {
		return nil, err
	}
	return q, nil
}

// cancel gives the question up: true if nobody will be told anything; false if that
// has happened already or is just happening.
func (q *streamQuery) cancel() bool {
	p := q.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.take() == nil {
		return false
	}
	if q.stream != nil {
		q.stream.link.drop(q)
		q.stream.left()
	}
	return true
}

// canceler is a query that can be given up.
type canceler interface{ cancel() bool }

// place puts a question on the connection with the fewest, or lets it wait for one
// that is dialled. The pool is locked.
func (p *connPool) place(q *streamQuery, now time.Time) error {
	best, usable := p.best(now)
	if (best == nil || best.load() >= busyConn) && usable < maxConns && !p.dialing {
		p.dialing = true
		p.running.add()
		go p.open() // close waits for it
	}
	switch {
	case best != nil:
		best.put(q, now)
	case p.dialing:
		return p.enqueue(q)
	default:
		return errFull
	}
	return nil
}

// enqueue lets a question wait for the connection that is being dialled. The pool is
// locked.
func (p *connPool) enqueue(q *streamQuery) error {
	if len(p.queue) >= maxPipelined {
		p.queue = slices.DeleteFunc(p.queue, func(q *streamQuery) bool { return q.done == nil })
	}
	if len(p.queue) >= maxPipelined {
		return errFull
	}
	q.stream = nil
	p.queue = append(p.queue, q)
	return nil
}

// best is the connection with the fewest questions, nil if none has room, and how
// many take any. If too many that take none wait for their last answers, the oldest
// waits no longer.
func (p *connPool) best(now time.Time) (best *stream, usable int) {
	for _, s := range p.conns {
		if s.retire(now) {
			continue
		}
		usable++
		if len(s.waiting) < s.most && (best == nil || s.load() < best.load()) {
			best = s
		}
	}
	for _, s := range p.conns {
		if s.retired && !s.closed && (s.live == 0 || len(p.conns)-usable > maxRetiring) {
			s.link.close()
			s.closed = true
			break // one for each question is enough
		}
	}
	return best, usable
}

// open dials, and puts the questions that wait for a connection on it.
func (p *connPool) open() {
	defer p.running.done()
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	opened, err := p.dial(ctx)
	cancel()
	p.mu.Lock()
	p.dialing = false
	queue := p.queue
	p.queue = nil
	if err == nil {
		p.take(opened, queue, time.Now())
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	for _, q := range queue {
		p.again(q, err, true)
	}
}

// take makes a new connection serve, first the questions that wait for it. The pool
// is locked.
func (p *connPool) take(opened link, queue []*streamQuery, now time.Time) {
	s := &stream{pool: p, link: opened, waiting: make(map[uint16]*streamQuery)}
	s.most = opened.serve(s)
	p.conns = append(p.conns, s)
	for _, q := range queue {
		if q.done != nil {
			s.put(q, now)
		}
	}
	if s.live == 0 { // all who waited have given up
		s.live++
		s.left()
	}
}

// ended forgets a connection that has ended, and asks its questions again where that makes
// sense. Nothing is put on it any more.
func (p *connPool) ended(s *stream, err error) {
	p.mu.Lock()
	p.conns = slices.DeleteFunc(p.conns, func(other *stream) bool { return other == s })
	waiting := s.waiting
	s.waiting = nil
	p.mu.Unlock()
	sound := s.proven || errors.Is(err, errNeverAsked)
	for _, q := range waiting {
		p.again(q, broken(err), !sound || q.attempts > 1)
	}
}

// again asks a question again whose connection ended, or tells that it failed.
func (p *connPool) again(q *streamQuery, err error, final bool) {
	p.mu.Lock()
	if !final && q.done != nil && p.place(q, time.Now()) == nil {
		p.mu.Unlock()
		return
	}
	done := q.take()
	p.mu.Unlock()
	if done != nil {
		tell(done, nil, err, p.panicked)
	}
}

// keep begins to keep connections on which nobody waits for anything.
func (p *connPool) keep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = true
}

// close stops keeping connections, and returns when all are closed: those in use
// when their last question has ended.
func (p *connPool) close() {
	p.mu.Lock()
	p.kept = false
	for _, s := range p.conns {
		if s.live == 0 {
			s.link.rest(longAgo)
		}
	}
	p.mu.Unlock()
	p.running.wait()
}
