package listen_test

import (
	"crypto/tls"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

// TestQUICInitialFlood: the first packets of thousands of connections, from many ports and
// addresses, whose handshake nobody goes on with, take little memory; queries over UDP and
// clients over QUIC are answered as before.
func TestQUICInitialFlood(t *testing.T) {
	s := startSecured(t, listen.Config{Drain: 2 * time.Second}) // at the end, handshakes keep nobody
	s.ignoreAsked(t)
	settings := &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"}
	askStream(t, overQUIC(t, "127.0.0.1", s.QUICAddrs()[0], settings), query("a.example"))
	flood := resolvertest.Initials(t.Context(), "a.dns.contoso.net", 300)
	conn := dial(t, "udp", s.addr)
	memory, goroutines := inUse(), runtime.NumGoroutine()
	var most int
	for i := range 20 * len(flood) {
		if i%len(flood)%10 == 0 {
			write(t, conn, pack(t, query("b.example")))
			read(t, conn)
			most = max(most, runtime.NumGoroutine())
		}
		if i%300 == 0 {
			from := packetSocket(t, "127.0."+string(rune('1'+i/300%9))+".1")
			defer from.Close()
			for _, packet := range flood {
				_, _ = from.WriteToUDPAddrPort(packet, s.QUICAddrs()[0])
			}
		}
	}
	used := int64(inUse()) - int64(memory)
	t.Logf("%d first packets take %d KiB and %d goroutines", 20*len(flood), used>>10, most-goroutines)
	if used > 64<<20 || most > goroutines+1000 {
		t.Errorf("%d first packets take %d KiB and %d goroutines", 20*len(flood), used>>10, most-goroutines)
	}
	askStream(t, overQUIC(t, "127.0.0.1", s.QUICAddrs()[0], settings), query("c.example"))
}

// TestQUICUnreadStreams: a client with too many streams whose query does not arrive loses
// the connection, whether they are open at once or one after the other, and no other client
// does.
func TestQUICUnreadStreams(t *testing.T) {
	for name, row := range map[string]struct {
		config  listen.Config
		streams int
	}{
		"at once":             {listen.Config{InFlight: 256, Pipeline: 16}, 33},
		"one after the other": {listen.Config{Pipeline: 4, Receive: 50 * time.Millisecond}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSecured(t, row.config)
			s.ignoreAsked(t)
			settings := &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"}
			other := overQUIC(t, "127.0.0.2", s.QUICAddrs()[0], settings)
			conn := overQUIC(t, "127.0.0.3", s.QUICAddrs()[0], settings)
			for range row.streams {
				begin(t, conn, framed(t, query("a.example"))[:9], false)
			}
			if code := closedBy(t, conn); code != 4 {
				t.Errorf("closed with %#x", code)
			}
			askStream(t, other, query("b.example"))
			// It may come back, after a while.
			again, settings := endpoint(t, "127.0.0.3"), settings.Clone()
			settings.NextProtos = []string{"doq"}
			resolvertest.Until(t, "another connection", func() bool {
				conn, err := again.Dial(t.Context(), net.UDPAddrFromAddrPort(s.QUICAddrs()[0]), settings, nil)
				if err != nil {
					return false
				}
				askStream(t, conn, query("c.example"))
				return true
			})
		})
	}
}

// TestQUICHalfQueryAtEnd: a stream whose query does not arrive does not hold up the end.
func TestQUICHalfQueryAtEnd(t *testing.T) {
	s := startSecured(t, listen.Config{})
	s.ignoreAsked(t)
	conn := overQUIC(t, "127.0.0.2", s.QUICAddrs()[0], &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"})
	begin(t, conn, framed(t, query("a.example"))[:9], false)
	askStream(t, conn, query("b.example")) // the first has been taken in then
	began := time.Now()
	if err := s.stop(); err != nil || time.Since(began) > patience/2 {
		t.Errorf("the end took %v, %v", time.Since(began), err)
	}
}

// TestHTTP3HalfRequests: over HTTP/3, too, a client with too many requests that do not
// arrive loses the connection, and one that does not arrive holds up no end.
func TestHTTP3HalfRequests(t *testing.T) {
	s := startSecured(t, listen.Config{InFlight: 256, Pipeline: 16})
	s.ignoreAsked(t)
	settings := &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net", NextProtos: []string{"h3"}}
	half := []byte{1, 40, 0} // the beginning of a HEADERS frame of 40 octets
	var conns []*quic.Conn
	for _, streams := range []int{16, 16, 1} {
		conn := overQUIC(t, "127.0.0.3", s.HTTP3Addrs()[0], settings)
		conns = append(conns, conn)
		for range streams {
			begin(t, conn, half, false)
		}
	}
	var ended *quic.Conn
	resolvertest.Until(t, "the end of one of them", func() bool {
		for _, conn := range conns {
			if conn.Context().Err() != nil {
				ended = conn
			}
		}
		return ended != nil
	})
	if code := closedBy(t, ended); code != quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad) {
		t.Errorf("closed with %#x", code)
	}
	if _, reply := overHTTP3(t, "127.0.0.4", s.HTTP3Addrs()[0], settings, "/dns-query", query("a.example")); len(reply.Answer) != 1 {
		t.Errorf("the reply is %v", reply)
	}
	began := time.Now()
	if err := s.stop(); err != nil || time.Since(began) > patience/2 {
		t.Errorf("the end took %v, %v", time.Since(began), err)
	}
}
