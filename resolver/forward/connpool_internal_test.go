package forward

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/resolvertest"
	"pldns/resolver/wire"
	"pldns/zones"
)

// streamServer accepts connections and does with each message what it was told.
type streamServer struct {
	net.Listener
	conns atomic.Int64 // accepted so far
	open  atomic.Int64
}

// serveStreams serves until the test ends. What handle sends goes out framed.
func serveStreams(t *testing.T, handle func(conn int64, packet []byte, send func([]byte))) *streamServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &streamServer{Listener: ln}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			number := s.conns.Add(1)
			s.open.Add(1)
			serving.Go(func() {
				defer s.open.Add(-1)
				defer func() { _ = conn.Close() }()
				var mu sync.Mutex
				in := bufio.NewReader(conn)
				for {
					packet, err := wire.ReadFrame(in)
					if err != nil {
						return
					}
					handle(number, packet, func(reply []byte) {
						mu.Lock()
						defer mu.Unlock()
						_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
					})
				}
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); serving.Wait() })
	return s
}

// answeredPacket is the shortest reply to a query.
func answeredPacket(packet []byte) []byte {
	reply := append([]byte(nil), packet[:questionEnd(packet)]...)
	reply[2] |= byte(wire.QR >> 8)
	reply[10], reply[11] = 0, 0
	return reply
}

// connsTo makes a pool that keeps connections, until the test ends.
func connsTo(t *testing.T, s *streamServer, panicked func(any, []byte)) *connPool {
	t.Helper()
	p := newConnPool(overFrames(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Addr().String())
	}), panicked)
	p.keep()
	t.Cleanup(p.close)
	return p
}

// queryFor is a query for a name.
func queryFor(t *testing.T, name string) []byte {
	t.Helper()
	q, err := writeQuery(resolver.Question{Name: zones.MustName(name), Type: dns.TypeA}, queryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return q.packet
}

// ask asks over a connection and waits for the answer.
func ask(t *testing.T, p *connPool, packet []byte) error {
	t.Helper()
	told := make(chan error, 1)
	if _, err := p.start(packet, func(_ []byte, err error) { told <- err }); err != nil {
		return err
	}
	return <-told
}

// However many questions are under way, they take few connections and no goroutine
// each; a reply has the id that was asked with, even where that had to be changed.
func TestQuestionsOnConnectionsTakeNoGoroutine(t *testing.T) {
	const questions = 3000
	release := make(chan struct{})
	s := serveStreams(t, func(_ int64, packet []byte, send func([]byte)) {
		reply := answeredPacket(packet)
		go func() { <-release; send(reply) }()
	})
	p := connsTo(t, s, nil)
	packet := queryFor(t, "www.contoso.com") // all with one id
	var answered atomic.Int64
	for range questions {
		_, err := p.start(packet, func(reply []byte, err error) {
			if err == nil && [2]byte(reply) == [2]byte(packet) {
				answered.Add(1)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// A connection that is silent for long takes no more questions, on a busy machine.
	const most = maxConns + maxRetiring
	if running := p.running.n.Load(); running > 1+2*most {
		t.Errorf("%d questions take %d goroutines", questions, running)
	}
	close(release)
	resolvertest.Until(t, "all answers", func() bool { return answered.Load() == questions })
	if n := s.conns.Load(); n > most {
		t.Errorf("%d connections were opened", n)
	}
}

// A question that is given up is not told of, and its late reply does not end the
// connection.
func TestACanceledQuestion(t *testing.T) {
	replies := make(chan func(), 1)
	var first sync.Once
	s := serveStreams(t, func(_ int64, packet []byte, send func([]byte)) {
		reply := answeredPacket(packet)
		late := false
		first.Do(func() {
			late = true
			replies <- func() { send(reply) }
		})
		if !late {
			send(reply)
		}
	})
	p := connsTo(t, s, nil)
	q, err := p.start(queryFor(t, "slow.contoso.com"), func([]byte, error) { t.Error("told of a question that was given up") })
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(t, p, queryFor(t, "www.contoso.com")); err != nil {
		t.Fatal(err)
	}
	if !q.cancel() || q.cancel() {
		t.Error("a question can be given up once")
	}
	(<-replies)()
	for range 3 {
		if err := ask(t, p, queryFor(t, "www.contoso.com")); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections were opened", n)
	}
}

// A panic of whoever is told of a reply is reported, and harms nobody else.
func TestAPanicAtAReply(t *testing.T) {
	s := serveStreams(t, func(_ int64, packet []byte, send func([]byte)) { send(answeredPacket(packet)) })
	faults := make(chan any, 1)
	p := connsTo(t, s, func(fault any, _ []byte) { faults <- fault })
	if _, err := p.start(queryFor(t, "www.contoso.com"), func([]byte, error) { panic("no") }); err != nil {
		t.Fatal(err)
	}
	if got := <-faults; got != "no" {
		t.Errorf("reported %v", got)
	}
	if err := ask(t, p, queryFor(t, "www.contoso.com")); err != nil || s.conns.Load() != 1 {
		t.Errorf("after it: %v, over connection %d", err, s.conns.Load())
	}
}

// A server that is silent under load takes a bounded number of connections, and all
// are given back once nobody waits any more.
func TestASilentServerTakesFewConnections(t *testing.T) {
	s := serveStreams(t, func(int64, []byte, func([]byte)) {})
	p := connsTo(t, s, nil)
	var asked []*streamQuery
	full := false
	for range 3 * maxPipelined * maxConns {
		q, err := p.start(queryFor(t, "www.silent.example"), func([]byte, error) {})
		if full = errors.Is(err, errFull); full {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		asked = append(asked, q)
	}
	p.mu.Lock()
	open := len(p.conns)
	p.mu.Unlock()
	if open > maxConns+maxRetiring+1 {
		t.Errorf("%d connections are open", open)
	}
	for _, q := range asked {
		q.cancel()
	}
	resolvertest.Until(t, "the end of the connections", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.conns) == 0 && !p.dialing || s.open.Load() <= 1 // one that was little used may be kept
	})
}

// A connection on which nothing is asked for a while is closed, and another one is
// opened when it is needed.
func TestAnIdleConnectionIsGivenBack(t *testing.T) {
	s := serveStreams(t, func(_ int64, packet []byte, send func([]byte)) { send(answeredPacket(packet)) })
	p := connsTo(t, s, nil)
	p.idle = time.Millisecond
	for i := range 3 {
		if err := ask(t, p, queryFor(t, "www.contoso.com")); err != nil {
			t.Fatal(err)
		}
		resolvertest.Until(t, "the end of the idle connection", func() bool { return s.open.Load() == 0 })
		if n := s.conns.Load(); n != int64(i+1) {
			t.Errorf("%d connections for %d questions", n, i+1)
		}
	}
}

// A server that hangs up before any answer is not asked for ever.
func TestAServerThatHangsUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int64
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = ln.Close(); serving.Wait() })
	p := connsTo(t, &streamServer{Listener: ln}, nil)
	for range 5 {
		if err := ask(t, p, queryFor(t, "www.contoso.com")); !errors.Is(err, errBroken) {
			t.Errorf("got %v", err)
		}
	}
	if n := accepted.Load(); n != 5 {
		t.Errorf("5 questions opened %d connections", n)
	}
}
