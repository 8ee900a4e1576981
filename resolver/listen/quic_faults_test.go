package listen_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

// TestQUICProtocolErrors: whoever does not keep to RFC 9250 (section 4.3.3) loses the connection
// with DOQ_PROTOCOL_ERROR, and is counted.
func TestQUICProtocolErrors(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch})
	whole := framed(t, query("a.example"))
	withID := framed(t, query("a.example"))
	withID[3] = 7
	response := framed(t, query("a.example"))
	response[4] |= 0x80
	for name, row := range map[string]struct {
		octets []byte
		end    bool
		why    listen.Refusal
	}{
		"a message with an id":      {withID, true, listen.Unfit},
		"two messages":              {append(whole, whole...), true, listen.Unfit},
		"more than a message":       {append(whole, 0), false, listen.Unfit},
		"the end within a message":  {whole[:20], true, listen.Unfit},
		"the end within the length": {whole[:1], true, listen.Unfit},
		"nothing":                   {[]byte{0, 0}, false, listen.Unfit},
		"less than a header":        {[]byte{0, 3, 0, 0, 0}, true, listen.Unfit},
		"a response":                {response, true, listen.Response},
		"edns-tcp-keepalive":        {framed(t, query("a.example", edns(1232, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}))), true, listen.Unfit},
	} {
		conn := overQUIC(t, "127.0.0.1", s.QUICAddrs()[0], &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"})
		begin(t, conn, row.octets, row.end)
		if code := closedBy(t, conn); code != 2 {
			t.Errorf("%s: closed with %#x", name, code)
		}
		if why := watch.refused(t); why != row.why {
			t.Errorf("%s: refused because of %s", name, why)
		}
	}
	conn := overQUIC(t, "127.0.0.1", s.QUICAddrs()[0], &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"})
	if _, err := conn.OpenUniStream(); err == nil {
		t.Error("a stream in one direction is taken")
	}
}

// TestQUICPadding: as over TLS, a reply is padded if the query was.
func TestQUICPadding(t *testing.T) {
	s := startSecured(t, listen.Config{})
	settings := &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"}
	conn := overQUIC(t, "127.0.0.1", s.QUICAddrs()[0], settings)
	for _, padded := range []bool{true, false} {
		m := query("a.example", edns(1232))
		if padded {
			m = query("a.example", edns(1232, &dns.EDNS0_PADDING{Padding: make([]byte, 20)}))
		}
		octets, err := io.ReadAll(begin(t, conn, framed(t, m), true))
		if got := (len(octets)-2)%468 == 0; err != nil || got != padded {
			t.Errorf("query padded: %v; the reply has %d octets, %v", padded, len(octets)-2, err)
		}
	}
}

// TestQUICStreams: a thousand queries at once on one connection are answered, beside streams
// that do not end their query; those end at Receive and take nothing else along.
func TestQUICStreams(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch, Receive: 300 * time.Millisecond})
	conn := overQUIC(t, "127.0.0.1", s.QUICAddrs()[0], &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"})
	s.ignoreAsked(t)
	var slow []*quic.Stream
	for range 100 {
		slow = append(slow, begin(t, conn, framed(t, query("a.example"))[:9], false))
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 100 {
				if reply := askStream(t, conn, query("b.example")); len(reply.Answer) != 1 {
					t.Errorf("the reply is %v", reply)
				}
			}
		})
	}
	all.Wait()
	for _, stream := range slow {
		var reset *quic.StreamError
		if _, err := stream.Read(make([]byte, 1)); !errors.As(err, &reset) || reset.ErrorCode != 5 {
			t.Fatalf("a slow stream ends with %v", err)
		}
	}
	watch.await(t, func(e event) bool { return e.why == listen.Stalled && e.transport == "doq" })
	askStream(t, conn, query("c.example"))
}

// TestQUICIdle: a connection without a query is closed in order after Idle, whatever else
// keeps it alive.
func TestQUICIdle(t *testing.T) {
	s := startSecured(t, listen.Config{Idle: 200 * time.Millisecond})
	settings := &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net", NextProtos: []string{"doq"}}
	conn, err := endpoint(t, "127.0.0.1").Dial(t.Context(), net.UDPAddrFromAddrPort(s.QUICAddrs()[0]), settings,
		&quic.Config{KeepAlivePeriod: 20 * time.Millisecond, MaxIdleTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	askStream(t, conn, query("a.example"))
	if code := closedBy(t, conn); code != 0 {
		t.Errorf("closed with %#x", code)
	}
}

// TestQUICConnectionLimits: of one client no more than its share are taken in; of all, the
// one that has been idle the longest makes room, and over UDP nothing is felt of it.
func TestQUICConnectionLimits(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch, Connections: 8, ClientConnections: 2})
	settings := &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"}
	from := func(client string) *quic.Conn { return overQUIC(t, client, s.QUICAddrs()[0], settings) }
	first := from("127.0.0.2")
	askStream(t, first, query("a.example"))
	askStream(t, from("127.0.0.2"), query("a.example"))
	offered := settings.Clone()
	offered.NextProtos = []string{"doq"}
	_, err := endpoint(t, "127.0.0.2").Dial(t.Context(), net.UDPAddrFromAddrPort(s.QUICAddrs()[0]), offered, nil)
	if refused := new(quic.TransportError); !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("one too many gets as far as %v", err) // a handshake costs more than all that follows
	}
	if why := watch.refused(t); why != listen.Crowded {
		t.Errorf("refused because of %s", why)
	}
	for i := range 4 {
		for range 2 {
			askStream(t, from("127.0.1."+string(rune('1'+i))), query("a.example"))
		}
	}
	if code := closedBy(t, first); code != 0 {
		t.Errorf("the longest idle one is closed with %#x", code)
	}
	if most := watch.mostOpen(); most > 8 {
		t.Errorf("%d connections at one time", most)
	}
}

// TestQUICBehindProxy: QUIC has no PROXY protocol, so a proxy that is trusted to send its
// header is not taken for a client.
func TestQUICBehindProxy(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch, Trust: listen.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}}})
	settings := &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net", NextProtos: []string{"doq"}}
	if _, err := endpoint(t, "127.0.0.9").Dial(t.Context(), net.UDPAddrFromAddrPort(s.QUICAddrs()[0]), settings, nil); err == nil {
		t.Error("a proxy is taken for a client")
	}
	if why := watch.refused(t); why != listen.Unproxied {
		t.Errorf("refused because of %s", why)
	}
}

// TestQUICDrain: at the end, queries that were read are answered, and connections end in
// order, also those without a query.
func TestQUICDrain(t *testing.T) {
	for _, transport := range []string{"doq", "h3"} {
		e := startHub(t, listen.Config{}, time.Minute)
		idle := overQUIC(t, "127.0.1.1", e.QUICAddrs()[0], e.tls)
		askStream(t, idle, query("known.example"))
		result := make(chan *dns.Msg, 1)
		go func() { result <- e.ask(t, transport, "127.0.1.1", query("held.example")) }()
		e.await(t, 1)
		stopped := make(chan error, 1)
		go func() { stopped <- e.stop() }()
		if code := closedBy(t, idle); code != 0 {
			t.Errorf("an idle connection is closed with %#x", code)
		}
		e.outside.release(0)
		if reply := <-result; reply == nil || reply.Rcode != dns.RcodeSuccess {
			t.Errorf("the query under way over %s: %v", transport, reply)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
}

// relay passes packets between one client and a server, and may take another address on the
// way, as a NAT does, or keep what the client sends.
type relay struct {
	front *net.UDPConn // for the client
	to    netip.AddrPort
	mu    sync.Mutex
	back  *net.UDPConn // for the server
	peer  netip.AddrPort
	sent  [][]byte   // by the client
	heard sync.Mutex // who has it keeps from the client what the server sends
	mute  bool       // what the server sends is lost
	group sync.WaitGroup
}

func newRelay(tb testing.TB, from string, to netip.AddrPort) *relay {
	tb.Helper()
	r := &relay{front: packetSocket(tb, "127.0.0.1"), to: to}
	r.moveTo(tb, from)
	r.group.Go(func() {
		for room := make([]byte, 2000); ; {
			n, peer, err := r.front.ReadFromUDPAddrPort(room)
			if err != nil {
				return
			}
			r.mu.Lock()
			r.peer, r.sent = peer, append(r.sent, append([]byte(nil), room[:n]...))
			_, _ = r.back.WriteToUDPAddrPort(room[:n], to)
			r.mu.Unlock()
		}
	})
	tb.Cleanup(func() {
		r.front.Close()
		r.mu.Lock()
		r.back.Close()
		r.mu.Unlock()
		r.group.Wait()
	})
	return r
}

func packetSocket(tb testing.TB, from string) *net.UDPConn {
	tb.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)})
	if err != nil {
		tb.Fatal(err)
	}
	return socket
}

// moveTo has the relay send from another address.
func (r *relay) moveTo(tb testing.TB, from string) {
	back := packetSocket(tb, from)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.back != nil {
		r.back.Close()
	}
	r.back = back
	r.group.Go(func() {
		for room := make([]byte, 2000); ; {
			n, _, err := back.ReadFromUDPAddrPort(room)
			if err != nil {
				return
			}
			r.heard.Lock()
			r.mu.Lock()
			if !r.mute && r.back == back {
				_, _ = r.front.WriteToUDPAddrPort(room[:n], r.peer)
			}
			r.mu.Unlock()
			r.heard.Unlock()
		}
	})
}

// silence has what the server sends be lost, or not any more.
func (r *relay) silence(mute bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mute = mute
}

// take gives what the client has sent.
func (r *relay) take() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.sent
	r.sent = nil
	return sent
}

func (r *relay) addr() netip.AddrPort { return r.front.LocalAddr().(*net.UDPAddr).AddrPort() }

// TestQUICRebinding: a client whose NAT gives it another port or address goes on with its
// connection, and counts as the client of the address that it has now.
func TestQUICRebinding(t *testing.T) {
	s := startSecured(t, listen.Config{})
	via := newRelay(t, "127.0.0.2", s.QUICAddrs()[0])
	conn := overQUIC(t, "127.0.0.1", via.addr(), &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"})
	client := func() string {
		askStream(t, conn, query("a.example"))
		text, _, _ := strings.Cut(identity(<-s.asked), " ")
		return text
	}
	if got := client(); got != "127.0.0.2" {
		t.Errorf("the client is %s", got)
	}
	for _, next := range []string{"127.0.0.2", "127.0.0.3"} {
		via.moveTo(t, next)
		deadline := time.Now().Add(patience)
		for got := client(); got != next; got = client() { // the new path is proven first
			if time.Now().After(deadline) {
				t.Fatalf("the client is still %s, want %s", got, next)
			}
		}
	}
}

// TestQUICEarlyData: a client that comes again with a token is answered in its first flight
// (0-RTT), and so is who replays that; but nothing that must not be replayed, and nobody
// whose address is not proven.
func TestQUICEarlyData(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch, FirstByte: time.Second})
	via := newRelay(t, "127.0.0.2", s.QUICAddrs()[0])
	settings := &tls.Config{
		RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net", NextProtos: []string{"doq"}, ClientSessionCache: tls.NewLRUClientSessionCache(9),
	}
	// first connects and asks, and gives what the client sent before it heard anything, which
	// is a question if the server takes one then.
	first := func(tokens quic.TokenStore, early bool) (flight [][]byte) {
		via.take()
		hear := sync.OnceFunc(via.heard.Unlock)
		via.heard.Lock()
		defer hear()
		if !early {
			hear() // it cannot ask before
		}
		conn, err := endpoint(t, "127.0.0.1").DialEarly(t.Context(), net.UDPAddrFromAddrPort(via.addr()), settings, &quic.Config{TokenStore: tokens})
		if err != nil {
			t.Fatal(err)
		}
		notify := query("n.example")
		notify.Opcode = dns.OpcodeNotify
		refused, asked := begin(t, conn, framed(t, notify), true), begin(t, conn, framed(t, query("early.example")), true)
		if served := early && tokens != nil; served {
			<-s.asked
			flight = via.take()
		} else {
			resolvertest.Until(t, "the first flight", func() bool { flight = append(flight, via.take()...); return len(flight) > 2 })
			defer func() { <-s.asked }()
		}
		hear()
		if reply := replyOn(t, asked); len(reply.Answer) != 1 {
			t.Errorf("the reply is %v", reply)
		}
		if reply := replyOn(t, refused); reply.Rcode != dns.RcodeRefused {
			t.Errorf("the reply to NOTIFY is %v", reply)
		}
		watch.await(t, func(e event) bool { return e.why == listen.NotAllowed })
		if got := conn.ConnectionState().Used0RTT; got != early {
			t.Errorf("asked in the first flight: %v, want %v", got, early)
		}
		_ = conn.CloseWithError(0, "")
		watch.changed(t, -1)
		return flight
	}
	// replay sends a first flight for somebody who never sees the rest of the handshake, and
	// tells whether the query in it was answered. The server takes it in when it has forgotten
	// who sent it before.
	replay := func(flight [][]byte, proven bool) {
		answered := false
		replayer := packetSocket(t, "127.0.0.2")
		defer replayer.Close()
		for deadline := time.After(patience); ; {
			for _, packet := range flight {
				if _, err := replayer.WriteToUDPAddrPort(packet, s.QUICAddrs()[0]); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case q := <-s.asked:
				if answered = true; !proven || q.Name.FQDN() != "early.example." {
					t.Errorf("asked for %s, with a proven address: %v", q.Name, proven)
				}
			case e := <-watch.events:
				switch {
				case e.why == listen.NotAllowed:
					t.Error("what must not be replayed was served before the handshake")
				case !proven && e.why == listen.Stalled, answered && e.change < 0:
					return
				}
			case <-time.After(100 * time.Millisecond):
			case <-deadline:
				t.Fatal("nothing became of what was replayed")
			}
		}
	}
	tokens := quic.NewLRUTokenStore(9, 9)
	first(tokens, false) // brings a session and a token
	replay(first(nil, true), false)
	replay(first(tokens, true), true)
}
