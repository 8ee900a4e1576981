package listen

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// alternateAge is how long a client may remember that HTTP/3 is spoken here (RFC 7838
// section 3.1), so that it does not try for long when that is turned off.
const alternateAge = time.Hour

// serveHTTP3 answers the requests of c (RFC 8484, RFC 9114), as serveWeb does. It takes the
// streams itself, so that it knows how many there are whose request does not arrive.
func (c *conn) serveHTTP3() {
	server := &http3.Server{
		Handler:        http.HandlerFunc((&web{conn: c}).serveGuarded),
		MaxHeaderBytes: webHeader,
		Logger:         slog.New(slog.DiscardHandler), // what clients cause is counted
	}
	requests, err := server.NewRawServerConn(c.quic)
	if err != nil {
		return
	}
	c.server.work.Go(func() {
		for {
			stream, err := c.quic.AcceptUniStream(context.Background())
			if err != nil {
				return
			}
			c.server.work.Go(func() { requests.HandleUnidirectionalStream(stream) })
		}
	})
	for {
		stream, err := c.quic.AcceptStream(c.server.quicOpen)
		if err != nil || !c.beginStream() {
			break
		}
		go c.serveRequest(requests, stream)
	}
	c.server.work.Go(c.rejectRequests)
}

// serveRequest answers the request on a stream.
func (c *conn) serveRequest(requests *http3.RawServerConn, stream *quic.Stream) {
	defer c.requests.Done()
	defer c.server.conns.end(c)
	defer c.server.conns.arrived(c)
	defer c.hurry(stream)()
	requests.HandleRequestStream(stream)
}

// rejectRequests tells the client to ask again elsewhere what it asks while c is to end.
func (c *conn) rejectRequests() {
	for {
		stream, err := c.quic.AcceptStream(context.Background())
		if err != nil {
			return
		}
		stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
		stream.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
	}
}

// serveGuarded is ServeHTTP; a panic costs the request that causes it.
func (w *web) serveGuarded(out http.ResponseWriter, in *http.Request) {
	defer func() {
		if fault := recover(); fault != nil {
			w.server.panicked(w.transport, fault)
			panic(http.ErrAbortHandler)
		}
	}()
	w.ServeHTTP(out, in)
}

// alternative is the header that says where HTTP/3 is spoken: at the port that the client
// has asked at, which need not be the one that is listened on.
func alternative(host string) string {
	port := "443"
	if _, given, err := net.SplitHostPort(host); err == nil {
		if number, err := strconv.ParseUint(given, 10, 16); err == nil && number > 0 {
			port = given
		}
	}
	return `h3=":` + port + `"; ma=` + strconv.Itoa(int(alternateAge/time.Second))
}
