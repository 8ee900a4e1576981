package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
)

// defaultConnections is what operators, dashboards and health checks need many times
// over, and few enough to leave the file descriptors to DNS.
const defaultConnections = 128

// bounded is a listener whose connections are bounded in number.
type bounded struct {
	net.Listener
	limit int // half of it for one address
	mutex sync.Mutex
	open  []*boundedConn // in the order in which their state was last changed
}

// boundedConn is one of its connections.
type boundedConn struct {
	net.Conn
	of      *bounded
	host    netip.Addr
	waiting bool // no request is being answered, under of.mutex
}

// Accept takes a connection in, and makes room for it or closes it.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				b.evict(b.longestWaiting()) // the HTTP server tries again in a moment
			}
			return nil, err
		}
		if admitted := b.admit(conn); admitted != nil {
			return admitted, nil
		}
		conn.Close()
	}
}

// admit makes a connection one of those that are open; nil if there is no room.
func (b *bounded) admit(conn net.Conn) *boundedConn {
	c := &boundedConn{Conn: conn, of: b, waiting: true}
	if addr, is := conn.RemoteAddr().(*net.TCPAddr); is {
		c.host = addr.AddrPort().Addr().Unmap()
	}
	var evicted *boundedConn
	b.mutex.Lock()
	defer func() { b.mutex.Unlock(); b.evict(evicted) }()
	of := make(map[netip.Addr]int)
	for _, other := range b.open {
		of[other.host]++
	}
	switch {
	case of[c.host] >= max(1, b.limit/2):
		evicted = b.remove(func(other *boundedConn) bool { return other.waiting && other.host == c.host })
	case len(b.open) >= b.limit:
		if evicted = b.remove(func(other *boundedConn) bool { return other.waiting }); evicted == nil {
			// Who takes no answers away leaves room for those who have fewer connections.
			evicted = b.remove(func(other *boundedConn) bool { return of[other.host] > of[c.host]+1 })
		}
	default:
		b.open = append(b.open, c)
		return c
	}
	if evicted == nil {
		return nil
	}
	b.open = append(b.open, c)
	return c
}

// remove takes out the first that is such, which has been as it is for longest.
func (b *bounded) remove(is func(*boundedConn) bool) *boundedConn {
	at := slices.IndexFunc(b.open, is)
	if at < 0 {
		return nil
	}
	c := b.open[at]
	b.open = slices.Delete(b.open, at, at+1)
	return c
}

func (b *bounded) longestWaiting() *boundedConn {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.remove(func(c *boundedConn) bool { return c.waiting })
}

func (b *bounded) evict(c *boundedConn) {
	if c != nil {
		c.Conn.Close()
	}
}

// ofRequest is under which key the context of a request has its connection.
type ofRequest struct{}

// withConn is the context of the requests of a connection.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, ofRequest{}, conn)
}

// answering has next answer requests, and keeps their connections open meanwhile: not
// before all of a request is there but its body, which may take as long as it may.
func (b *bounded) answering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, is := r.Context().Value(ofRequest{}).(*boundedConn); is {
			b.waits(c, false)
			defer b.waits(c, true)
		}
		next.ServeHTTP(w, r)
	})
}

// waits notes whether a connection waits for a request.
func (b *bounded) waits(c *boundedConn, waiting bool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if at := slices.Index(b.open, c); at >= 0 {
		c.waiting = waiting
		b.open = append(slices.Delete(b.open, at, at+1), c)
	}
}

// Close closes the connection and gives its place back.
func (c *boundedConn) Close() error {
	c.of.mutex.Lock()
	c.of.open = slices.DeleteFunc(c.of.open, func(other *boundedConn) bool { return other == c })
	c.of.mutex.Unlock()
	return c.Conn.Close()
}
