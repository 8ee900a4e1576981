package listen

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pldns/resolver/memo"
	"pldns/zones"
)

const (
	tcp = "tcp"
	// largestMessage is what the two octets of length allow.
	largestMessage = 65535
	// linger is how long a connection that was cut short by the end of Run is read
	// and ignored after its last answer: closed with unread octets in it, it would
	// be reset, and some systems then throw away an answer not yet read.
	linger = 500 * time.Millisecond
)

// conn is one TCP connection. One goroutine reads it; every query is answered
// by a goroutine of its own, in the order in which answers are ready (RFC 7766
// section 6.2.1.1).
type conn struct {
	net.Conn  // as it was accepted
	server    *Server
	transport string
	peer      netip.AddrPort
	from      netip.Addr // of peer, as it is counted
	shared    bool       // by the clients of a proxy
	counted   netip.Prefix
	// Set by open, before anything else uses them.
	client  zones.Client
	stream  net.Conn  // what is read and written: Conn, or TLS over it
	secured *tls.Conn // nil without TLS
	frames  frames
	slots   chan struct{} // one for each query under way
	queries sync.WaitGroup
	// requests are those over HTTPS; they begin under the lock of connections.
	requests sync.WaitGroup
	webbing  atomic.Bool // an HTTP server reads

	spare  *segment // for the next query; nil when it must be got
	recall recalled // replies from memory that are to be sent

	readBy  time.Time // the deadline of reading
	sending sync.Mutex
	broken  bool      // under sending: a write has failed
	writeBy time.Time // under sending: the deadline of writing

	// Under the lock of connections.
	pending   int           // messages being worked on
	asked     bool          // there was one
	place     *list.Element // among the idle
	idleSince time.Time
}

// segment is one query over TCP.
type segment struct {
	exchange
	client zones.Client
	began  time.Time
	memory memory
	sample sample
}

// acceptTCP takes connections in until ctx ends. A panic costs at most the
// connection that caused it.
func (s *Server) acceptTCP(ctx, answering context.Context, listener streamListener) {
	for s.acceptConnections(ctx, answering, listener) {
	}
}

// acceptConnections takes connections in until ctx ends; it is true if a panic
// ended it.
func (s *Server) acceptConnections(ctx, answering context.Context, listener streamListener) (again bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(listener.transport, fault)
			again = true
		}
	}()
	for {
		opened, err := listener.AcceptTCP()
		switch {
		case err == nil:
			s.takeIn(answering, opened, listener.transport)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return false
		default:
			// Most likely the process is out of file descriptors. The one of a connection
			// that has given way is free at once; only if there is none, it takes time.
			at := listener.Addr().(*net.TCPAddr).AddrPort()
			if evicted := s.conns.evict(); evicted != nil {
				s.giveWay(evicted)
				s.trouble("cannot accept a connection", at, err)
				continue
			}
			s.troubled(ctx, "cannot accept a connection", at, err)
		}
	}
}

// takeIn serves a connection, or closes it if there are too many.
func (s *Server) takeIn(answering context.Context, opened *net.TCPConn, transport string) {
	peer, local := opened.RemoteAddr().(*net.TCPAddr).AddrPort(), opened.LocalAddr().(*net.TCPAddr).AddrPort()
	client := zones.NewClient(peer.Addr(), local)
	c := &conn{
		Conn: opened, stream: opened, server: s, transport: transport,
		peer: peer, from: client.Addr, shared: s.proxy(peer), client: client,
		slots: make(chan struct{}, s.config.Pipeline),
	}
	evicted, admitted := s.conns.admit(c)
	s.giveWay(evicted)
	if !admitted {
		s.refused(transport, Crowded, peer)
		opened.Close()
		return
	}
	s.work.Add(1)
	go c.serve(answering)
	s.config.Observer.Connections(transport, 1)
}

// giveWay closes a connection that has been removed to make room.
func (s *Server) giveWay(c *conn) {
	if c == nil {
		return
	}
	c.Close() // its goroutine notices
	s.config.Observer.Connections(c.transport, -1)
	s.refused(c.transport, Evicted, c.peer)
}

// serve reads c until it ends, then waits for its answers and closes it.
func (c *conn) serve(ctx context.Context) {
	defer c.server.work.Done()
	defer func() {
		if fault := recover(); fault != nil {
			c.server.panicked(c.transport, fault)
		}
	}()
	defer c.finish()
	if !c.open(ctx) {
		return
	}
	if c.transport == doh {
		c.webbing.Store(true)
		c.serveWeb(ctx)
		return
	}
	for {
		if !c.frames.ready() {
			c.sendRecalled()
		}
		message, err := c.next()
		if err != nil {
			c.note(err)
			return
		}
		if !c.receive(ctx, message) {
			c.sendRecalled()
			return
		}
	}
}

// errIdle is a connection that has been without a query for too long.
var errIdle = errors.New("the connection is idle")

// next reads the next message. Waiting for its first octet is idle time; from
// then on all of it has to arrive within Config.Receive, however it is cut up.
func (c *conn) next() ([]byte, error) {
	if c.frames.ready() {
		return c.frames.next()
	}
	for {
		now := time.Now()
		c.readUntilAbout(c.server.conns.patience(c, now), now)
		err := c.frames.wait()
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		// An answer may have gone out meanwhile, which makes the idle time begin anew.
		now = time.Now()
		if c.server.conns.draining.Load() || !now.Before(c.server.conns.patience(c, now)) {
			return nil, errIdle
		}
	}
	if !c.frames.ready() { // as a rule it came in one piece
		c.readUntil(time.Now().Add(c.server.config.Receive))
	}
	return c.frames.next()
}

// slack is the part of a wait by which its end may be off, where it is no matter:
// a deadline that stays as it is costs nothing, one that is set costs a timer.
const slack = 8

// readUntilAbout sets the deadline of reading, unless it is only a little earlier
// already. Who waits finds out then that there is more time.
func (c *conn) readUntilAbout(deadline, now time.Time) {
	early := deadline.Sub(c.readBy)
	if early < 0 || early > deadline.Sub(now)/slack || c.server.conns.draining.Load() {
		c.readUntil(deadline)
	}
}

// readUntil sets the deadline of reading, unless reading has been stopped for good.
func (c *conn) readUntil(deadline time.Time) {
	c.readBy = deadline
	_ = c.SetReadDeadline(deadline)
	if c.server.conns.draining.Load() {
		c.stopReading()
	}
}

// stopReading makes reads fail, at once if c has asked before. What has been read
// is still worked on. An HTTP server would take that for the end of its client, so
// it is told otherwise.
func (c *conn) stopReading() {
	if !c.webbing.Load() {
		_ = c.SetReadDeadline(c.server.conns.last(c))
	}
}

// note counts the ends of a connection that are the fault of its client.
func (c *conn) note(err error) {
	switch {
	case errors.Is(err, errEmpty):
		c.server.refused(c.transport, Short, c.peer)
	case errors.Is(err, errForged):
		c.server.refused(c.transport, Impostor, c.peer)
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.server.conns.draining.Load():
		c.server.refused(c.transport, Stalled, c.peer)
	}
}

// receive deals with one message, and tells whether to go on reading.
func (c *conn) receive(ctx context.Context, message []byte) bool {
	s, began := c.server, time.Now()
	client, q := c.client, c.segment()
	q.memory.afresh = q.sample.begin(s.tap.Load(), message, c.peer, client)
	r, why := glance(message)
	if why == Accepted && !s.subnetOf(c.transport, &r, &client) {
		why = Malformed
	}
	if why == Accepted {
		if c.recallReply(&r, began) {
			return true
		}
		why = r.readName()
	}
	if why.silent() {
		s.refused(c.transport, why, c.peer)
		return false // it does not speak DNS, or not as a client
	}
	if !s.conns.begin(c) {
		return false
	}
	if why == Accepted {
		c.slots <- struct{}{} // while the pipeline is full, nothing is read
		if s.tcpRoom.enter() {
			c.spare = nil
			q.began, q.client = began, client
			q.hold(r)
			c.queries.Add(1)
			go c.answer(ctx, q)
			return true
		}
		<-c.slots
		why = Shed
	}
	var x exchange
	frame := x.refusal(&r, why, largestMessage)
	c.send(frame, began)
	s.conns.end(c)
	s.refused(c.transport, why, c.peer)
	q.sample.refused(c.transport, client, began, &r, why, frame[lengthSize:])
	return true
}

// answer answers one query.
func (c *conn) answer(ctx context.Context, q *segment) {
	s := c.server
	defer c.queries.Done()
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(c.transport, fault)
		}
	}()
	served, frame := c.reply(ctx, q)
	if served.why == Accepted {
		s.config.Observer.Served(c.transport, served.query, served.answer, time.Since(q.began))
	} else {
		s.refused(c.transport, served.why, c.peer, served.details...)
	}
	q.sample.end(c.transport, q.began, &served, frame[lengthSize:])
	q.tidy()
	q.memory.close()
	s.segments.Put(q)
}

// reply resolves one query, sends the reply, and gives its places back.
func (c *conn) reply(ctx context.Context, q *segment) (served, []byte) {
	s := c.server
	defer s.conns.end(c)
	defer func() { <-c.slots }()
	defer s.tcpRoom.leave()
	encrypted := c.secured != nil
	out := s.answer(ctx, &q.exchange, q.client, fitting{
		limit: largestMessage - q.request.cookieRoom(), stream: true, encrypted: encrypted, conns: s.conns,
	})
	q.memory.remember(&out, func() memo.Tally {
		return s.config.Observer.Tally(c.transport, out.answer.Network, out.answer.Rcode, out.answer.Source)
	})
	s.addCookie(&out, &q.exchange, c.client.Addr)
	frame := q.complete(&out, encrypted)
	c.send(frame, time.Now())
	return out, frame
}

// send writes one frame in one piece (RFC 7766 section 8). A client that has
// not taken it within Config.Send (or a little later) after it was ready loses its connection,
// because whatever comes after it would have to be kept for as long.
func (c *conn) send(frame []byte, ready time.Time) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.broken {
		return
	}
	if by, patience := ready.Add(c.server.config.Send), c.server.config.Send/slack; c.writeBy.Before(by) || c.writeBy.After(by.Add(patience)) {
		c.writeBy = by.Add(patience)
		_ = c.SetWriteDeadline(c.writeBy)
	}
	if _, err := c.stream.Write(frame); err != nil {
		c.broken = true
		c.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.server.refused(c.transport, Stalled, c.peer)
		}
	}
}

// finish waits for the answers that are under way and closes c.
func (c *conn) finish() {
	s := c.server
	cutShort := s.conns.draining.Load() && s.conns.busy(c)
	c.queries.Wait()
	c.sayGoodbye()
	if cutShort {
		c.linger()
	}
	c.Close()
	if s.conns.remove(c) {
		s.config.Observer.Connections(c.transport, -1)
	}
	c.requests.Wait()
}

// sayGoodbye ends TLS in order, so that the client knows that nothing was cut off.
func (c *conn) sayGoodbye() {
	if c.secured != nil {
		_ = c.SetWriteDeadline(time.Now().Add(linger))
		_ = c.secured.CloseWrite()
	}
}

// linger says that no more answers follow, and reads for a moment what the
// client is still sending.
func (c *conn) linger() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(linger))
	_, _ = io.Copy(io.Discard, c.Conn)
}
