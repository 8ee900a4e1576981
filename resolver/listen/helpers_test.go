package listen_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/listen/replycache"
	"pldns/resolver/resolvertest"
	"pldns/zones/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come. It is never measured.
const patience = time.Minute

// handler is a function that answers.
type handler = resolvertest.Handler

// known answers every question with one record.
func known(_ context.Context, q resolver.Query) resolver.Answer {
	return resolver.Answer{Records: []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: q.Name.FQDN(), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 10},
		A:   net.IPv4(10, 0, 1, 4),
	}}}
}

// event is one call of an Observer.
type event struct {
	transport string
	why       listen.Refusal // Accepted for what is served, and for Connections
	served    bool
	change    int
	limited   string // network and word, of Limited
}

// recorder is an Observer that passes on what it is told.
type recorder struct {
	events  chan event
	ignored chan string // client subnets, by transport
	mu      sync.Mutex
	open    int
	most    int
}

func newRecorder() *recorder {
	return &recorder{events: make(chan event, 1<<16), ignored: make(chan string, 1<<10)}
}

func (r *recorder) Tally(kind listen.Kind) replycache.Tally {
	return &tally{r, kind.Transport}
}

// Confined counts nothing.
func (r *recorder) Confined(string) replycache.Tally { return ignored{} }

// Policed counts nothing.
func (r *recorder) Policed(string, string, policy.Action) replycache.Tally { return ignored{} }

// ignored is a tally of nobody.
type ignored struct{}

func (ignored) Add(int, time.Duration) {}

// tally passes on each query that is counted.
type tally struct {
	to        *recorder
	transport string
}

func (t *tally) Add(queries int, took time.Duration) {
	if took <= 0 {
		panic("a query took no time")
	}
	for range queries {
		t.to.events <- event{transport: t.transport, served: true}
	}
}

func (r *recorder) SubnetIgnored(transport string) { r.ignored <- transport }

func (r *recorder) Limited(network string, limit listen.Limit, why listen.Refusal) {
	r.events <- event{transport: "udp", limited: network + " " + limit.String() + " " + why.String()}
}

func (r *recorder) Refused(transport string, why listen.Refusal) {
	r.events <- event{transport: transport, why: why}
}

func (r *recorder) Connections(transport string, change int) {
	r.mu.Lock()
	r.open += change
	r.most = max(r.most, r.open)
	r.mu.Unlock()
	r.events <- event{transport: transport, change: change}
}

// mostOpen is how many connections were open at one time.
func (r *recorder) mostOpen() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

// refused waits until something was refused, and tells why.
func (r *recorder) refused(tb testing.TB) listen.Refusal {
	tb.Helper()
	return r.await(tb, func(e event) bool { return e.why != listen.Accepted }).why
}

// changed waits until the number of connections changes by change.
func (r *recorder) changed(tb testing.TB, change int) {
	tb.Helper()
	r.await(tb, func(e event) bool { return e.change == change })
}

func (r *recorder) await(tb testing.TB, is func(event) bool) event {
	tb.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e := <-r.events:
			if is(e) {
				return e
			}
		case <-deadline:
			tb.Fatal("nothing of the kind was observed")
		}
	}
}

// server is a Server that runs.
type server struct {
	*listen.Server
	addr netip.AddrPort // the first
	stop func() error   // ends it, and gives what Run returned
}

// start runs a server on a free port of 127.0.0.1, if config names no address.
// A time limit that config does not set is so long that a slow machine does not
// reach it.
func start(tb testing.TB, config listen.Config) server {
	tb.Helper()
	if config.Addrs == nil {
		config.Addrs = addrs("127.0.0.1:0")
	}
	if config.Handler == nil {
		config.Handler = handler(known)
	}
	for _, limit := range []*time.Duration{&config.Idle, &config.FirstByte, &config.Receive, &config.Send, &config.Drain} {
		if *limit == 0 {
			*limit = patience
		}
	}
	s, err := listen.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		tb.Fatal(err)
	}
	return server{s, s.Addrs()[0], run(tb, s)}
}

// run serves until the test ends, or until what it returns is called, which gives
// what Run returned.
func run(tb testing.TB, s *listen.Server) (stop func() error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-result })
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Error(err)
		}
	})
	return stop
}

func addrs(texts ...string) []netip.AddrPort {
	var list []netip.AddrPort
	for _, text := range texts {
		list = append(list, netip.MustParseAddrPort(text))
	}
	return list
}

// dial connects to a server; reads and writes fail after patience.
func dial(tb testing.TB, transport string, to netip.AddrPort) net.Conn {
	tb.Helper()
	conn, err := net.Dial(transport, to.String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// write sends messages, each framed if conn is a stream.
func write(tb testing.TB, conn net.Conn, messages ...[]byte) {
	tb.Helper()
	for _, m := range messages {
		if conn.LocalAddr().Network() == "tcp" {
			m = frame(m)
		}
		if _, err := conn.Write(m); err != nil {
			tb.Fatal(err)
		}
	}
}

// frame puts the length in front of a message.
func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
}

// read receives one message.
func read(tb testing.TB, conn net.Conn) []byte {
	tb.Helper()
	if conn.LocalAddr().Network() == "udp" {
		buf := make([]byte, 65535)
		n, err := conn.Read(buf)
		if err != nil {
			tb.Fatal("no reply:", err)
		}
		return buf[:n]
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		tb.Fatal("no reply:", err)
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, message); err != nil {
		tb.Fatal("half a reply:", err)
	}
	return message
}

// ended checks that the server has closed conn, and that nothing came before.
func ended(tb testing.TB, conn net.Conn) {
	tb.Helper()
	n, err := conn.Read(make([]byte, 1))
	if n > 0 || err == nil {
		tb.Fatal("the connection is still in use")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		tb.Fatal("the connection is still open")
	}
}

// query is a question for the A record of name, changed by options.
func query(name string, options ...func(*dns.Msg)) *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	for _, o := range options {
		o(m)
	}
	return m
}

// edns adds an OPT record.
func edns(size uint16, options ...dns.EDNS0) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(size, false)
		m.IsEdns0().Option = options
	}
}

func pack(tb testing.TB, m *dns.Msg) []byte {
	tb.Helper()
	wire, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return wire
}

// exchange asks a question over a new socket.
func exchange(tb testing.TB, transport string, to netip.AddrPort, m *dns.Msg) *dns.Msg {
	tb.Helper()
	conn := dial(tb, transport, to)
	write(tb, conn, pack(tb, m))
	return unpack(tb, read(tb, conn))
}

func unpack(tb testing.TB, wire []byte) *dns.Msg {
	tb.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		tb.Fatalf("the reply is malformed: %v: %x", err, wire)
	}
	return m
}

// summary is a reply in one line: opcode, rcode, flags, then what it holds.
func summary(wire []byte) string {
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		return "malformed: " + err.Error()
	}
	flags := binary.BigEndian.Uint16(wire[2:])
	words := []string{dns.RcodeToString[m.Rcode]}
	if m.Rcode == dns.RcodeBadVers { // shares its number with BADSIG
		words[0] = "BADVERS"
	}
	if op := m.Opcode; op != dns.OpcodeQuery {
		words = append([]string{fmt.Sprint("opcode", op)}, words...)
	}
	for i, name := range strings.Fields("cd ad z ra rd tc aa") {
		if flags&(1<<(4+i)) != 0 {
			words = append(words, name)
		}
	}
	for _, q := range m.Question {
		words = append(words, "q="+q.Name)
	}
	if n := len(m.Answer); n > 0 {
		words = append(words, fmt.Sprint("an=", n))
	}
	for _, rr := range slices.Concat(m.Ns, m.Extra) {
		switch rr := rr.(type) {
		case *dns.OPT:
			words = append(words, summaryOPT(rr))
		case *dns.TSIG:
			words = append(words, fmt.Sprintf("tsig=%s,%s,mac%d,error%d,id%d", rr.Hdr.Name, rr.Algorithm, rr.MACSize, rr.Error, rr.OrigId))
		default:
			words = append(words, rr.String())
		}
	}
	return strings.Join(words, " ")
}

func summaryOPT(opt *dns.OPT) string {
	text := fmt.Sprintf("opt=v%d,%d", opt.Version(), opt.UDPSize())
	if opt.Do() {
		text += ",do"
	}
	for _, o := range opt.Option {
		if ede, ok := o.(*dns.EDNS0_EDE); ok {
			text += fmt.Sprintf(",ede%d:%s", ede.InfoCode, ede.ExtraText)
			continue
		}
		if cookie, ok := o.(*dns.EDNS0_COOKIE); ok && len(cookie.Cookie) == 48 {
			client, _ := hex.DecodeString(cookie.Cookie[:16])
			text += fmt.Sprintf(",cookie=%s", client)
			continue
		}
		text += fmt.Sprintf(",%d:%s", o.Option(), o)
	}
	return text
}
