package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/quic-go/quic-go"
)

// handshakes are the connections over QUIC whose handshake is under way. Their first
// packet may come from a forged address, so they take no place from connections; and as
// soon as there are more than a few of them, addresses are proven first (RFC 9000 section
// 8.1.2), which costs a client one round trip and the server no memory.
type handshakes struct {
	limit, perClient     int // refused beyond
	doubted, doubtedEach int // addresses are proven beyond

	mu       sync.Mutex
	open     int
	clients  map[netip.Prefix]int
	expelled *lru.Cache[netip.Prefix, time.Time] // until when they begin nothing
}

const (
	// expelPause is for how long a client begins no handshake after one of its connections
	// was ended for excess. One that would come back at once costs a handshake each time.
	expelPause = time.Second
	// maxExpelled is how many such clients are remembered.
	maxExpelled = 1024
)

func newHandshakes(c Config) *handshakes {
	limit := max(c.Connections/4, 1)
	each := max(min(c.ClientConnections, limit/2), 1)
	expelled, _ := lru.New[netip.Prefix, time.Time](maxExpelled) // the error is that of a size below 1
	return &handshakes{
		expelled: expelled,
		limit:    limit, perClient: each, doubted: max(limit/16, 1), doubtedEach: max(each/16, 1),
		clients: make(map[netip.Prefix]int),
	}
}

// doubt tells whether a client has to prove its address.
func (h *handshakes) doubt(client netip.Prefix) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open >= h.doubted || h.clients[client] >= h.doubtedEach
}

// enter counts a handshake that begins, if there may be one more.
func (h *handshakes) enter(client netip.Prefix) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if until, is := h.expelled.Peek(client); is && time.Now().Before(until) || h.open >= h.limit || h.clients[client] >= h.perClient {
		return false
	}
	h.open++
	h.clients[client]++
	return true
}

// expel has a client begin no handshake for a while. Its other connections stay.
func (h *handshakes) expel(client netip.Prefix) { h.expelled.Add(client, time.Now().Add(expelPause)) }

// leave is the end of a handshake that was counted.
func (h *handshakes) leave(client netip.Prefix) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	if h.clients[client]--; h.clients[client] == 0 {
		delete(h.clients, client)
	}
}

// greeting is one handshake.
type greeting struct {
	proven bool // the address
	once   sync.Once
	over   func()
	stop   func() bool
}

// greetingKey finds the greeting in the context of a connection.
type greetingKey struct{}

// end says that the handshake succeeded; false if it has failed.
func (g *greeting) end() bool {
	if !g.stop() {
		return false
	}
	g.once.Do(g.over)
	return true
}

var (
	errGreetEnd   = errors.New("the server is stopping")
	errGreetMany  = errors.New("there are too many handshakes")
	errGreetProxy = errors.New("QUIC has no PROXY protocol")
)

// doubts tells whether who begins a connection has to prove its address.
func (s *Server) doubts(addr net.Addr) bool {
	return s.handshakes.doubt(s.conns.clientOf(addrPort(addr).Addr()))
}

// greet takes a handshake in, or refuses it with an error.
func (s *Server) greet(ctx context.Context, transport string, info *quic.ClientInfo) (context.Context, error) {
	peer := addrPort(info.RemoteAddr)
	switch {
	case s.conns.draining.Load():
		return nil, errGreetEnd
	case s.proxy(peer) && !s.own.has(peer): // who asks behind it, nothing tells
		s.refused(transport, Unproxied, peer)
		return nil, errGreetProxy
	}
	client := s.conns.clientOf(peer.Addr())
	// What is one too many would be refused behind its handshake, which costs the most.
	if s.conns.crowded(client) || !s.handshakes.enter(client) {
		s.refused(transport, Crowded, peer)
		return nil, errGreetMany
	}
	g := &greeting{proven: info.AddrVerified, over: func() { s.handshakes.leave(client) }}
	g.stop = context.AfterFunc(ctx, func() {
		g.once.Do(g.over)
		s.failedToGreet(transport, peer, context.Cause(ctx))
	})
	return context.WithValue(ctx, greetingKey{}, g), nil
}

// failedToGreet counts a handshake that failed.
func (s *Server) failedToGreet(transport string, peer netip.AddrPort, err error) {
	var late net.Error
	switch {
	case s.conns.draining.Load():
	case errors.As(err, &late) && late.Timeout():
		s.refused(transport, Stalled, peer)
	default:
		s.refused(transport, Handshake, peer, "error", err)
	}
}
