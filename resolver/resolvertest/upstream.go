package resolvertest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// patience is how long a test waits for what must happen before it gives up. It
// is generous because machines that run tests are busy; nothing waits that long
// when all is well.
const patience = time.Minute

// Transport is the way a query came.
type Transport string

// The transports of an [Upstream].
const (
	UDP   Transport = "udp"
	TCP   Transport = "tcp"
	TLS   Transport = "tls"
	HTTPS Transport = "https"
	QUIC  Transport = "quic"
	HTTP3 Transport = "h3"
)

// Query is one message that reached an [Upstream], kept as it came.
type Query struct {
	Transport Transport
	From      netip.AddrPort
	Raw       []byte
	Proto     string   // the version of HTTP; empty over other transports
	Msg       *dns.Msg // nil where Raw is no DNS message with a question
}

// Upstream is a scripted server on loopback. All methods may be called by many
// goroutines at once, while it serves.
type Upstream struct {
	// Addr is where it listens, over UDP and over TCP. It stays the same when the
	// server is stopped and restarted.
	Addr netip.AddrPort

	data *Records

	mu        sync.Mutex
	byName    map[string]Behaviour
	always    Behaviour
	queries   []Query
	changed   chan struct{} // closed and replaced whenever a query is noted
	listening *listening    // nil while stopped
	secure    []secureListener
}

// StartUpstream starts an upstream that answers from the given master-file
// texts, whose names are absolute or relative to the root. It is stopped when
// the test ends.
func StartUpstream(tb testing.TB, zoneText ...string) *Upstream {
	tb.Helper()
	data, err := ParseRecords(strings.Join(zoneText, "\n"))
	if err != nil {
		tb.Fatal(err)
	}
	u := &Upstream{
		Addr:    ClosedAddr(tb),
		data:    data,
		byName:  make(map[string]Behaviour),
		always:  Answer,
		changed: make(chan struct{}),
	}
	u.start(tb)
	tb.Cleanup(u.Stop)
	return u
}

// On makes b what the upstream does with every question for name, whatever its
// type.
func (u *Upstream) On(name string, b Behaviour) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.byName[dns.CanonicalName(name)] = b
}

// Always makes b what the upstream does with all names that have no behaviour of
// their own.
func (u *Upstream) Always(b Behaviour) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.always = b
}

// Stop closes the sockets and every connection, and returns when all work has
// ended. Stopping twice does nothing.
func (u *Upstream) Stop() {
	u.mu.Lock()
	l := u.listening
	u.listening = nil
	u.mu.Unlock()
	if l != nil {
		l.close()
	}
}

// Restart serves again on the port it had before [Upstream.Stop].
func (u *Upstream) Restart(tb testing.TB) {
	tb.Helper()
	u.start(tb)
}

// start serves at the address.
func (u *Upstream) start(tb testing.TB) {
	tb.Helper()
	l := listen(tb, u.Addr)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.listening = l
	l.serve(u)
	for _, d := range u.secure {
		l.open(tb, u, d)
	}
}

// note remembers a query and wakes who waits for it.
func (u *Upstream) note(q Query) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.queries = append(u.queries, q)
	close(u.changed)
	u.changed = make(chan struct{})
}

// behaviour is what the script says about name.
func (u *Upstream) behaviour(name string) Behaviour {
	u.mu.Lock()
	defer u.mu.Unlock()
	if b, ok := u.byName[dns.CanonicalName(name)]; ok {
		return b
	}
	return u.always
}

// Queries are all messages that came, in order of arrival.
func (u *Upstream) Queries() []Query {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Query(nil), u.queries...)
}

// Forget drops what was remembered so far, so that counts begin at zero.
func (u *Upstream) Forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.queries = nil
}

// Count is how many questions came for name and type, over the given transports
// or, where none is given, over all.
func (u *Upstream) Count(name string, qtype uint16, over ...Transport) int {
	count := 0
	for _, q := range u.Queries() {
		if q.asks(name, qtype) && q.over(over) {
			count++
		}
	}
	return count
}

// Total is how many messages came over the given transports, or over all.
func (u *Upstream) Total(over ...Transport) int {
	count := 0
	for _, q := range u.Queries() {
		if q.over(over) {
			count++
		}
	}
	return count
}

// Wait returns when at least n questions for name and type have come, and fails
// the test if they do not.
func (u *Upstream) Wait(tb testing.TB, name string, qtype uint16, n int) {
	tb.Helper()
	u.WaitUntil(tb, fmt.Sprintf("%d questions for %s %s", n, name, dns.TypeToString[qtype]), func() bool {
		return u.Count(name, qtype) >= n
	})
}

// WaitUntil returns when done says so; it is asked again after every query that
// comes. What names the event in the message of a failure.
func (u *Upstream) WaitUntil(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		u.mu.Lock()
		changed := u.changed
		u.mu.Unlock()
		if done() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			tb.Fatalf("the upstream waited in vain for %s", what)
		}
	}
}

// asks tells whether the query is for name and type.
func (q Query) asks(name string, qtype uint16) bool {
	return q.Msg != nil && q.Msg.Question[0].Qtype == qtype &&
		dns.CanonicalName(q.Msg.Question[0].Name) == dns.CanonicalName(name)
}

// over tells whether the query came over one of the transports; none means any.
func (q Query) over(transports []Transport) bool {
	for _, t := range transports {
		if q.Transport == t {
			return true
		}
	}
	return len(transports) == 0
}

// addrPort is the address of a socket without the mapping of IPv4 into IPv6.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
