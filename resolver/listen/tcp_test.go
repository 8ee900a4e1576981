package listen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/zones"
)

// gate is a Handler that holds back the names that begin with "slow" until it
// is opened.
type gate struct {
	entered chan string
	opened  chan struct{}
}

func newGate() *gate { return &gate{make(chan string, 1000), make(chan struct{})} }

func (g *gate) Resolve(ctx context.Context, q resolver.Query) resolver.Answer {
	if strings.HasPrefix(q.Name.String(), "slow") {
		g.entered <- q.Name.String()
		select {
		case <-g.opened:
		case <-ctx.Done():
			return resolver.Answer{Rcode: dns.RcodeServerFailure}
		}
	}
	return known(ctx, q)
}

// names reads replies and gives the names they answer, in order.
func names(tb testing.TB, conn net.Conn, n int) (list []string) {
	tb.Helper()
	for range n {
		list = append(list, unpack(tb, read(tb, conn)).Question[0].Name)
	}
	return list
}

// TestOutOfOrder: RFC 7766 section 6.2.1.1: answers leave when they are ready.
func TestOutOfOrder(t *testing.T) {
	gate := newGate()
	s := start(t, listen.Config{Handler: handler(gate.Resolve)})
	conn := dial(t, "tcp", s.addr)
	write(t, conn, pack(t, query("slow.example")), pack(t, query("b.example")))
	if got := names(t, conn, 1)[0]; got != "b.example." {
		t.Errorf("first came %s", got)
	}
	write(t, conn, pack(t, query("c.example")))
	if got := names(t, conn, 1)[0]; got != "c.example." {
		t.Errorf("second came %s", got)
	}
	close(gate.opened)
	if got := names(t, conn, 1)[0]; got != "slow.example." {
		t.Errorf("last came %s", got)
	}
}

// TestPipeline: RFC 7766 section 6.2.1.1: a thousand queries in one go on one
// connection get a thousand replies. More than Config.Pipeline at a time are left
// unread, not refused.
func TestPipeline(t *testing.T) {
	const total, pipeline = 1000, 4
	var mu sync.Mutex
	var now, most int
	s := start(t, listen.Config{Pipeline: pipeline, Handler: handler(func(ctx context.Context, q resolver.Query) resolver.Answer {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		defer func() { mu.Lock(); now--; mu.Unlock() }()
		return known(ctx, q)
	})})
	conn := dial(t, "tcp", s.addr)
	var all bytes.Buffer
	for i := range total {
		all.Write(frame(pack(t, query(fmt.Sprintf("n%d.example", i)))))
	}
	go conn.Write(all.Bytes())
	seen := make(map[string]bool)
	for _, name := range names(t, conn, total) {
		seen[name] = true
	}
	if len(seen) != total || most > pipeline {
		t.Errorf("%d names answered, %d at a time", len(seen), most)
	}
}

// TestPipelineFull: a connection whose pipeline is full is not read, and goes on
// when there is room.
func TestPipelineFull(t *testing.T) {
	gate := newGate()
	s := start(t, listen.Config{Pipeline: 2, Handler: handler(gate.Resolve)})
	conn := dial(t, "tcp", s.addr)
	write(t, conn, pack(t, query("slow1.example")), pack(t, query("slow2.example")), pack(t, query("slow3.example")))
	first, second := <-gate.entered, <-gate.entered
	if reply := exchange(t, "tcp", s.addr, query("b.example")); reply.Rcode != dns.RcodeSuccess {
		t.Errorf("another connection: %v", reply)
	}
	select {
	case third := <-gate.entered:
		t.Errorf("%s is worked on beside %s and %s", third, first, second)
	default:
	}
	close(gate.opened)
	names(t, conn, 3)
}

// TestSplit: RFC 7766 section 8: messages come cut into any pieces, and several
// in one piece.
func TestSplit(t *testing.T) {
	s := start(t, listen.Config{})
	conn := dial(t, "tcp", s.addr)
	for _, octet := range frame(pack(t, query("bytewise.example"))) {
		if _, err := conn.Write([]byte{octet}); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, conn, 1)[0]; got != "bytewise.example." {
		t.Error(got)
	}
	long := frame(withOPT(opt(1232, 0, strings.Repeat(option(65001, ""), 12000))))
	for piece := long; len(piece) > 0; {
		n := min(len(piece), 1460)
		if _, err := conn.Write(piece[:n]); err != nil {
			t.Fatal(err)
		}
		piece = piece[n:]
	}
	if got := names(t, conn, 1)[0]; got != "a.example." {
		t.Error(got)
	}
}

// TestHalfClosed: a client that has finished sending still gets its answers.
func TestHalfClosed(t *testing.T) {
	gate := newGate()
	s := start(t, listen.Config{Handler: handler(gate.Resolve)})
	conn := dial(t, "tcp", s.addr)
	write(t, conn, pack(t, query("slow.example")))
	<-gate.entered
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	close(gate.opened)
	if got := names(t, conn, 1)[0]; got != "slow.example." {
		t.Error(got)
	}
	ended(t, conn)
}

// TestEndings: what ends a connection, and what is counted.
func TestEndings(t *testing.T) {
	const quick, slow = 30 * time.Millisecond, time.Hour
	good := frame(header(rd, [4]uint16{1}, ask))
	for _, row := range []struct {
		name   string
		config listen.Config
		send   []byte
		reply  bool
		why    listen.Refusal // Accepted if nothing is counted
	}{
		{"a message of no octets", listen.Config{}, []byte{0, 0}, false, listen.Short},
		{"a message of no octets after a query", listen.Config{}, append(good[:len(good):len(good)], 0, 0), true, listen.Short},
		{"no first octet", listen.Config{FirstByte: quick, Idle: slow, Receive: slow}, nil, false, listen.Accepted},
		{"RFC 7766: idle after an answer", listen.Config{FirstByte: slow, Idle: quick, Receive: slow}, good, true, listen.Accepted},
		{"half a length", listen.Config{Receive: quick, Idle: slow, FirstByte: slow}, good[:1], false, listen.Stalled},
		{"half a message", listen.Config{Receive: quick, Idle: slow, FirstByte: slow}, good[:9], false, listen.Stalled},
		{"half a long message", listen.Config{Receive: quick, Idle: slow, FirstByte: slow}, append([]byte{0xFF, 0xFF}, make([]byte, 9000)...), false, listen.Stalled},
	} {
		t.Run(row.name, func(t *testing.T) {
			watch := newRecorder()
			row.config.Observer = watch
			s := start(t, row.config)
			conn := dial(t, "tcp", s.addr)
			if _, err := conn.Write(row.send); err != nil {
				t.Fatal(err)
			}
			if row.reply {
				read(t, conn)
			}
			ended(t, conn)
			if row.why != listen.Accepted {
				if got := watch.refused(t); got != row.why {
					t.Errorf("counted as %s, want %s", got, row.why)
				}
			}
			watch.changed(t, -1)
		})
	}
}

// TestBusyIsNotIdle: a connection whose query is under way is not idle, however
// long that takes, and its idle time begins with the answer.
func TestBusyIsNotIdle(t *testing.T) {
	gate, watch := newGate(), newRecorder()
	s := start(t, listen.Config{Handler: handler(gate.Resolve), Observer: watch, Idle: 20 * time.Millisecond})
	conn := dial(t, "tcp", s.addr)
	write(t, conn, pack(t, query("slow.example")))
	<-gate.entered
	// Connections opened after it, and idle, end before it.
	for range 3 {
		idle := dial(t, "tcp", s.addr)
		write(t, idle, pack(t, query("b.example")))
		read(t, idle)
		ended(t, idle)
	}
	close(gate.opened)
	if got := names(t, conn, 1)[0]; got != "slow.example." {
		t.Error(got)
	}
	ended(t, conn)
}

// TestSlowReader: a client that asks and does not read is cut off, and others
// are answered meanwhile.
func TestSlowReader(t *testing.T) {
	t.Parallel() // it takes its time
	watch, large := newRecorder(), chain(0, 3900)
	s := start(t, listen.Config{Observer: watch, Send: time.Second, Handler: handler(func(ctx context.Context, q resolver.Query) resolver.Answer {
		if q.Name == zones.MustName("large.example") {
			return large
		}
		return known(ctx, q)
	})})
	conn := dial(t, "tcp", s.addr)
	go func() { // until the server closes it
		for wire := frame(pack(t, query("large.example"))); ; {
			if _, err := conn.Write(wire); err != nil {
				return
			}
		}
	}()
	stalled := watch.await(t, func(e event) bool { return e.why != listen.Accepted })
	if stalled.why != listen.Stalled {
		t.Errorf("counted as %s", stalled.why)
	}
	watch.changed(t, -1)
	if reply := exchange(t, "tcp", s.addr, query("b.example")); reply.Rcode != dns.RcodeSuccess {
		t.Error(reply)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

// TestReset: a client that goes away in the middle disturbs nobody.
func TestReset(t *testing.T) {
	gate, watch := newGate(), newRecorder()
	s := start(t, listen.Config{Handler: handler(gate.Resolve), Observer: watch})
	conn := dial(t, "tcp", s.addr)
	write(t, conn, pack(t, query("slow.example")))
	<-gate.entered
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	close(gate.opened)
	watch.changed(t, -1)
	exchange(t, "tcp", s.addr, query("b.example"))
}
