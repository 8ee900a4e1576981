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

	"github.com/quic-go/quic-go"

	"pldns/resolver/listen/replycache"
	"pldns/resolver/wire"
	"pldns/zones"
)

const (
	tcp = "tcp"
	// linger is how long a connection that was cut short by the end of Run is read
	// and ignored after its last answer: closed with unread octets in it, it would
	// be reset, and some systems then throw away an answer not yet read.
	linger = 500 * time.Millisecond
)

// conn is one TCP connection. One goroutine reads it and sends the replies that are
// there at once. Those that have to be waited for are sent by another that lives as long
// as there are any, in the order in which they are ready (RFC 7766 section 6.2.1.1).
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
	stream  net.Conn   // what is read and written: Conn, or TLS over it
	secured *tls.Conn  // nil without TLS
	quic    *quic.Conn // nil over TCP; Conn then only closes it
	frames  frames
	pipeline
	queries sync.WaitGroup
	// requests are those over HTTPS and QUIC; they begin under the lock of connections.
	requests sync.WaitGroup
	webbing  atomic.Bool // an HTTP server or QUIC reads
	// alternate says that HTTP/3 is spoken at the same port.
	alternate bool

	// Of the goroutine that reads.
	begun bool     // the connections know that it has messages to work on
	query *query   // for the next message; nil when it must be got
	x     *scratch // nil while nothing is worked on
	// prompt are the replies that were there at once, each after its length. They are sent
	// in one piece when nothing more has been read to be answered.
	prompt []byte
	late   late

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

// acceptTCP takes connections in until ctx ends. A panic costs at most the
// connection that caused it.
func (s *Server) acceptTCP(ctx context.Context, listener streamListener) {
	for s.acceptConnections(ctx, listener) {
	}
}

// acceptConnections takes connections in until ctx ends; it is true if a panic
// ended it.
func (s *Server) acceptConnections(ctx context.Context, listener streamListener) (again bool) {
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
			s.takeIn(opened, listener)
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
func (s *Server) takeIn(opened *net.TCPConn, listener streamListener) {
	transport := listener.transport
	peer, local := opened.RemoteAddr().(*net.TCPAddr).AddrPort(), opened.LocalAddr().(*net.TCPAddr).AddrPort()
	client := zones.NewClient(peer.Addr(), local)
	c := &conn{
		Conn: opened, stream: opened, server: s, transport: transport,
		peer: peer, from: client.Addr, shared: s.proxy(peer), client: client,
		pipeline: newPipeline(s.config.Pipeline), alternate: listener.alternate,
	}
	evicted, admitted := s.conns.admit(c)
	s.giveWay(evicted)
	if !admitted {
		s.refused(transport, Crowded, peer)
		opened.Close()
		return
	}
	s.work.Add(1)
	go c.serve()
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
func (c *conn) serve() {
	defer c.server.work.Done()
	defer func() {
		if fault := recover(); fault != nil {
			c.server.panicked(c.transport, fault)
		}
	}()
	defer c.finish()
	if !c.open() {
		return
	}
	if c.transport == doh {
		c.webbing.Store(true)
		c.serveWeb()
		return
	}
	for {
		if !c.frames.ready() {
			c.rest()
		}
		message, err := c.next()
		if errors.Is(err, errRoom) {
			continue
		}
		if err != nil {
			c.serveHeld(err)
			c.note(err)
			return
		}
		if !c.receive(message) {
			return
		}
	}
}

// errIdle is a connection that has been without a query for too long.
var errIdle = errors.New("the connection is idle")

// read reads the next message. Waiting for its first octet is idle time; from
// then on all of it has to arrive within Config.Receive, however it is cut up.
func (c *conn) read() ([]byte, error) {
	if c.frames.ready() {
		return c.frames.next()
	}
	for {
		if c.hopes() {
			return nil, errRoom
		}
		now := time.Now()
		c.readUntilAbout(c.server.conns.patience(c, now), now)
		err := c.frames.wait()
		woken := len(c.held) > 0 && c.settles()
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		if woken && !c.server.conns.draining.Load() {
			return nil, errRoom
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
	c.setReadDeadline(deadline)
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
func (c *conn) receive(message []byte) bool {
	s := c.server
	if c.begun = c.begun || s.conns.begin(c); !c.begun {
		return false // it has given way
	}
	c.work()
	q := c.query
	out := c.ask(q, message)
	if out.taken {
		c.query = nil
	}
	switch {
	case out.later && c.hold(message):
		return true
	case out.later:
		c.rest()
		c.awaitRoom()
		return c.receive(message)
	case out.waits: // the slot and what has begun are that query's now
		c.waits()
		c.begun = len(c.prompt) > 0 && s.conns.begin(c)
		return true
	case out.reply == nil:
		return false // it does not speak DNS, or not as a client
	}
	if c.prompt = wire.AppendFrame(c.prompt, out.reply); len(c.prompt) >= repliesSize {
		c.flush()
	}
	return true
}

// ask has a message served. If it is pending, c ends after its reply.
func (c *conn) ask(q *query, message []byte) (out outcome) {
	q.origin, q.client, q.began = c.origin(), c.client, time.Now()
	q.atOnce = !c.room()
	c.x.memory.open(c.server, q.began)
	c.queries.Add(1)
	defer func() {
		if !out.waits {
			c.queries.Done()
		}
	}()
	return c.server.serve(q, c.x, message)
}

// origin is that of a message of c.
func (c *conn) origin() origin {
	kind := replycache.TCP
	if c.secured != nil {
		kind = replycache.TLS
	}
	return origin{
		transport: c.transport, kind: kind, stream: true, encrypted: c.secured != nil, idle: c.server.conns,
		peer: c.peer, cookieFor: c.client.Addr, to: c,
	}
}

// finish sends what is ready, waits for the answers that are under way and closes c.
func (c *conn) finish() {
	s := c.server
	c.rest()
	cutShort := s.conns.draining.Load() && s.conns.busy(c)
	c.queries.Wait()
	c.sayGoodbye()
	if cutShort {
		c.linger()
	}
	c.Close()
	if c.siblings != nil {
		c.siblings.leave(c)
	}
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
