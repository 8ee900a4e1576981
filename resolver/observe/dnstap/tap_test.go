package dnstap_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	wire "github.com/dnstap/golang-dnstap"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/observe/dnstap"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counts is an Observer.
type counts struct {
	mu   sync.Mutex
	kind map[dnstap.Result]int
}

func (c *counts) Tapped(result dnstap.Result, messages int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kind == nil {
		c.kind = make(map[dnstap.Result]int)
	}
	c.kind[result] += messages
}

func (c *counts) of(result dnstap.Result) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kind[result]
}

// receiver takes dnstap at a socket with the reader of the dnstap library.
type receiver struct {
	tb       testing.TB
	listener net.Listener
	messages chan []byte
	work     sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func listenAt(tb testing.TB, network, address string) *receiver {
	tb.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	r := &receiver{tb: tb, listener: listener, messages: make(chan []byte, 1<<16)}
	r.work.Go(r.accept)
	return r
}

func (r *receiver) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns = append(r.conns, conn)
		r.mu.Unlock()
		r.work.Go(func() {
			defer conn.Close()
			if input, err := wire.NewFrameStreamInputTimeout(conn, true, 30*time.Second); err == nil {
				input.ReadInto(r.messages) // which ends with the stream
			}
		})
	}
}

// leave closes the socket and every connection.
func (r *receiver) leave() {
	r.listener.Close()
	r.mu.Lock()
	for _, conn := range r.conns {
		conn.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}

// next is the next message.
func (r *receiver) next() *wire.Dnstap {
	r.tb.Helper()
	select {
	case octets := <-r.messages:
		message := new(wire.Dnstap)
		if err := proto.Unmarshal(octets, message); err != nil {
			r.tb.Fatal(err)
		}
		return message
	case <-time.After(time.Minute):
		r.tb.Fatal("no message comes")
		return nil
	}
}

// run runs a tap, and gives what ends it.
func run(tb testing.TB, config dnstap.Config) (*dnstap.Tap, func()) {
	tb.Helper()
	tap := dnstap.New(config)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- tap.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-result; err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(stop)
	return tap, stop
}

// asked is a query with a number in its messages.
func asked(number int) *listen.Exchange {
	octets := []byte{byte(number >> 8), byte(number)}
	return &listen.Exchange{
		Transport: "tls", From: netip.MustParseAddrPort("10.0.1.7:4711"), Began: time.Unix(1_800_000_000, 5), Took: time.Millisecond,
		Query:   resolver.Query{Client: zones.NewClient(netip.MustParseAddr("10.0.1.7"), netip.MustParseAddrPort("10.0.0.4:853"))},
		Answer:  resolver.Answer{Network: "europe"},
		Request: append(bytes.Clone(octets), 'q'), Reply: append(bytes.Clone(octets), 'r'),
	}
}

func number(message []byte) int { return int(message[0])<<8 | int(message[1]) }

// Both messages say all that is known, and arrive at a socket of either kind; at
// the end the stream ends in order.
func TestMessages(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "tap")
		}
		r := listenAt(t, network, address)
		seen := new(counts)
		tap, stop := run(t, dnstap.Config{
			Network: network, Address: r.listener.Addr().String(), Sample: 1, Identity: "hub-1", Version: "pldns 1", Observer: seen,
		})
		tap.Exchanged(asked(7))
		query, response := r.next(), r.next()
		for _, m := range []*wire.Dnstap{query, response} {
			if string(m.GetIdentity()) != "hub-1" || string(m.GetVersion()) != "pldns 1" || string(m.GetExtra()) != "europe" {
				t.Errorf("%s: %v", network, m)
			}
			if b := m.GetMessage(); b.GetSocketFamily() != wire.SocketFamily_INET || b.GetSocketProtocol() != wire.SocketProtocol_DOT ||
				!bytes.Equal(b.GetQueryAddress(), []byte{10, 0, 1, 7}) || b.GetQueryPort() != 4711 ||
				!bytes.Equal(b.GetResponseAddress(), []byte{10, 0, 0, 4}) || b.GetResponsePort() != 853 ||
				b.GetQueryTimeSec() != 1_800_000_000 || b.GetQueryTimeNsec() != 5 {
				t.Errorf("%s: %v", network, b)
			}
		}
		if q := query.GetMessage(); q.GetType() != wire.Message_CLIENT_QUERY || string(q.GetQueryMessage()) != "\x00\x07q" || q.ResponseMessage != nil {
			t.Errorf("%s: %v", network, q)
		}
		if q := response.GetMessage(); q.GetType() != wire.Message_CLIENT_RESPONSE || string(q.GetResponseMessage()) != "\x00\x07r" || q.GetResponseTimeNsec() != 1_000_005 {
			t.Errorf("%s: %v", network, q)
		}
		tap.Exchanged(asked(8)) // what is in the queue at the end is sent
		stop()
		if m := r.next().GetMessage(); number(m.GetQueryMessage()) != 8 {
			t.Errorf("%s: %v", network, m)
		}
		if seen.of(dnstap.Sent) != 4 || seen.of(dnstap.Dropped) != 0 || tap.Connected() {
			t.Errorf("%s: %+v", network, seen.kind)
		}
		r.leave()
	}
}

// A receiver that goes away is found out, and when one is back it is sent what has
// waited.
func TestReceiverGoneAndBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tap")
	seen := new(counts)
	tap, _ := run(t, dnstap.Config{Network: "unix", Address: path, Sample: 1, Pause: time.Millisecond, PauseMax: time.Millisecond, Observer: seen})
	tap.Exchanged(asked(1)) // before anybody is there
	for round := range 3 {
		r := listenAt(t, "unix", path)
		if got := number(r.next().GetMessage().GetQueryMessage()); got != 2*round+1 {
			t.Fatalf("round %d: the first message is %d", round, got)
		}
		r.next()
		resolvertest.Until(t, "it is connected", tap.Connected)
		tap.Exchanged(asked(2*round + 2))
		if got := number(r.next().GetMessage().GetQueryMessage()); got != 2*round+2 {
			t.Fatalf("round %d: the next message is %d", round, got)
		}
		r.next()
		r.leave()
		resolvertest.Until(t, "it is gone", func() bool { return !tap.Connected() })
		tap.Exchanged(asked(2*round + 3))
	}
}

// A receiver that reads nothing holds up nobody: messages are dropped and counted,
// and the end does not wait for it.
func TestSlowReceiver(t *testing.T) {
	const total = 3000
	path := filepath.Join(t.TempDir(), "tap")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	seen := new(counts)
	tap, stop := run(t, dnstap.Config{Network: "unix", Address: path, Sample: 1, Queue: 100, Observer: seen})
	conn, err := listener.Accept() // and that is all: it makes no handshake even
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range total {
		tap.Exchanged(asked(i))
	}
	stop()
	if got := seen.of(dnstap.Dropped); got != 2*total {
		t.Errorf("%d dropped", got)
	}
}

// One that stops reading in the middle is given up, and what it had not taken goes
// to the next; nothing is broken in between.
func TestStalledReceiver(t *testing.T) {
	const total = 20_000
	path := filepath.Join(t.TempDir(), "tap")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	seen := new(counts)
	tap, _ := run(t, dnstap.Config{
		Network: "unix", Address: path, Sample: 1, Patience: 50 * time.Millisecond, Pause: time.Millisecond,
		PauseMax: time.Millisecond, Queue: 2 * total, Observer: seen,
	})
	stuck, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	if _, err := wire.NewReader(stuck, &wire.ReaderOptions{Bidirectional: true}); err != nil {
		t.Fatal(err)
	}
	resolvertest.Until(t, "it is connected", tap.Connected)
	for i := range total {
		tap.Exchanged(asked(i))
	}
	resolvertest.Until(t, "it is given up", func() bool { return !tap.Connected() })
	listener.Close()
	r := listenAt(t, "unix", path)
	defer r.leave()
	// What the stuck one had taken is gone with it.
	for {
		m := r.next().GetMessage()
		if m.GetType() == wire.Message_CLIENT_RESPONSE && number(m.GetResponseMessage()) == total-1 {
			break
		}
	}
	if seen.of(dnstap.Dropped) != 0 {
		t.Errorf("%d dropped", seen.of(dnstap.Dropped))
	}
}

// BenchmarkExchanged is what a query costs that is sent.
func BenchmarkExchanged(b *testing.B) {
	r := listenAt(b, "unix", filepath.Join(b.TempDir(), "tap"))
	defer r.leave()
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-r.messages:
			case <-done:
				return
			}
		}
	}()
	defer close(done)
	tap, stop := run(b, dnstap.Config{Network: "unix", Address: r.listener.Addr().String(), Sample: 1})
	defer stop()
	e := asked(1)
	e.Request, e.Reply = make([]byte, 60), make([]byte, 150)
	b.ReportAllocs()
	for b.Loop() {
		tap.Exchanged(e)
	}
}

// Large messages fill the queue by their octets, not only by their number: a few
// thousand of the largest would else take half a gigabyte.
func TestLargeMessages(t *testing.T) {
	seen := new(counts)
	tap := dnstap.New(dnstap.Config{Network: "unix", Address: filepath.Join(t.TempDir(), "nobody"), Sample: 1, Observer: seen})
	const total = 1000 // in a queue of 4096
	for i := range total {
		e := asked(i)
		e.Reply = make([]byte, 65_000)
		tap.Exchanged(e)
	}
	if waiting := total - seen.of(dnstap.Dropped)/2; waiting < 100 || waiting > 300 {
		t.Errorf("%d queries wait, with replies of 65,000 octets each", waiting)
	}
}
