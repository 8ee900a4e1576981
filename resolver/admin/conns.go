package admin

import (
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
	waiting bool // nothing of a request has been read, under of.mutex
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
	ofHost := 0
	for _, other := range b.open {
		if other.host == c.host {
			ofHost++
		}
	}
	switch {
	case ofHost >= max(1, b.limit/2):
		evicted = b.removeWaiting(func(other *boundedConn) bool { return other.host == c.host })
	case len(b.open) >= b.limit:
		evicted = b.removeWaiting(func(*boundedConn) bool { return true })
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

// removeWaiting takes out the first of those that wait for a request.
func (b *bounded) removeWaiting(of func(*boundedConn) bool) *boundedConn {
	at := slices.IndexFunc(b.open, func(c *boundedConn) bool { return c.waiting && of(c) })
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
	return b.removeWaiting(func(*boundedConn) bool { return true })
}

func (b *bounded) evict(c *boundedConn) {
	if c != nil {
		c.Conn.Close()
	}
}

// state is told by the HTTP server what becomes of its connections.
func (b *bounded) state(conn net.Conn, state http.ConnState) {
	c, is := conn.(*boundedConn)
	if !is || state == http.StateNew {
		return
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	at := slices.Index(b.open, c)
	if at < 0 {
		return
	}
	b.open = slices.Delete(b.open, at, at+1)
	if state == http.StateActive || state == http.StateIdle {
		c.waiting = state == http.StateIdle
		b.open = append(b.open, c)
	}
}

// Close closes the connection and gives its place back.
func (c *boundedConn) Close() error {
	c.of.mutex.Lock()
	c.of.open = slices.DeleteFunc(c.of.open, func(other *boundedConn) bool { return other == c })
	c.of.mutex.Unlock()
	return c.Conn.Close()
}
