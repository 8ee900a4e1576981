package listen_test

import (
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"pldns/resolver/listen"
)

// keeper is a socket that keeps the packets that are to be sent, and receives none.
type keeper struct {
	mu     sync.Mutex
	kept   [][]byte
	closed chan struct{}
	once   sync.Once
}

func (k *keeper) ReadFrom([]byte) (int, net.Addr, error) {
	<-k.closed
	return 0, nil, net.ErrClosed
}

func (k *keeper) WriteTo(packet []byte, _ net.Addr) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, append([]byte(nil), packet...))
	return len(packet), nil
}

func (k *keeper) Close() error {
	k.once.Do(func() { close(k.closed) })
	return nil
}
func (k *keeper) LocalAddr() net.Addr              { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (k *keeper) SetDeadline(time.Time) error      { return nil }
func (k *keeper) SetReadDeadline(time.Time) error  { return k.Close() }
func (k *keeper) SetWriteDeadline(time.Time) error { return nil }

// initials are the first packets of so many connections.
func initials(tb testing.TB, count int) [][]byte {
	tb.Helper()
	k := &keeper{closed: make(chan struct{})}
	transport := &quic.Transport{Conn: k}
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			settings := &tls.Config{ServerName: "a.dns.contoso.net", NextProtos: []string{"doq"}, CurvePreferences: []tls.CurveID{tls.X25519}}
			_, _ = transport.Dial(tb.Context(), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, settings, &quic.Config{HandshakeIdleTimeout: 200 * time.Millisecond})
		})
	}
	all.Wait()
	transport.Close()
	k.Close()
	var first [][]byte
	for _, packet := range k.kept {
		if len(packet) >= 1200 { // the client says no more than that
			first = append(first, packet)
		}
	}
	return first
}

// TestQUICInitialFlood: the first packets of thousands of connections, from many ports and
// addresses, whose handshake nobody goes on with, take little memory; queries over UDP and
// clients over QUIC are answered as before.
func TestQUICInitialFlood(t *testing.T) {
	s := startSecured(t, listen.Config{Drain: 2 * time.Second}) // at the end, handshakes keep nobody
	s.ignoreAsked(t)
	settings := &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"}
	askStream(t, overQUIC(t, "127.0.0.1", s.QUICAddrs()[0], settings), query("a.example"))
	flood := initials(t, 300)
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
