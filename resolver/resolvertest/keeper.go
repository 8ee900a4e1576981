package resolvertest

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// Keeper is a socket that keeps the packets that are to be sent, and receives none: what a
// client says first, for who sends it in its place. Many goroutines may use it at once.
type Keeper struct {
	mu     sync.Mutex
	kept   [][]byte
	closed chan struct{}
	once   sync.Once
}

// NewKeeper makes one that has kept nothing.
func NewKeeper() *Keeper { return &Keeper{closed: make(chan struct{})} }

// Take gives what was kept since it was called last.
func (k *Keeper) Take() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := k.kept
	k.kept = nil
	return kept
}

// ReadFrom waits until k is closed, and fails.
func (k *Keeper) ReadFrom([]byte) (int, net.Addr, error) {
	<-k.closed
	return 0, nil, net.ErrClosed
}

// WriteTo keeps the packet. It never fails.
func (k *Keeper) WriteTo(packet []byte, _ net.Addr) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, append([]byte(nil), packet...))
	return len(packet), nil
}

// Close ends reading. It never fails.
func (k *Keeper) Close() error {
	k.once.Do(func() { close(k.closed) })
	return nil
}

// LocalAddr is an address that nobody has.
func (k *Keeper) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// SetDeadline does nothing, and never fails.
func (k *Keeper) SetDeadline(time.Time) error { return nil }

// SetReadDeadline ends reading, which quic-go wants when it closes. It never fails.
func (k *Keeper) SetReadDeadline(time.Time) error { return k.Close() }

// SetWriteDeadline does nothing, and never fails.
func (k *Keeper) SetWriteDeadline(time.Time) error { return nil }

// Initials are the first packets of so many connections for DNS over QUIC, to a server of a
// name.
func Initials(ctx context.Context, name string, count int) [][]byte {
	k := NewKeeper()
	transport := &quic.Transport{Conn: k}
	settings := &tls.Config{ServerName: name, NextProtos: []string{"doq"}, CurvePreferences: []tls.CurveID{tls.X25519}}
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			_, _ = transport.Dial(ctx, k.LocalAddr(), settings, &quic.Config{HandshakeIdleTimeout: 200 * time.Millisecond})
		})
	}
	all.Wait()
	transport.Close()
	k.Close()
	var first [][]byte
	for _, packet := range k.Take() {
		if len(packet) >= 1200 { // the client says no more than that
			first = append(first, packet)
		}
	}
	return first
}
