package listen

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// alternateAge is how long a client may remember that HTTP/3 is spoken here (RFC 7838
// section 3.1), so that it does not try for long when that is turned off.
const alternateAge = time.Hour

// serveHTTP3 answers the requests of c (RFC 8484, RFC 9114), as serveWeb does.
func (c *conn) serveHTTP3() {
	server := &http3.Server{
		Handler:        http.HandlerFunc((&web{conn: c}).serveGuarded),
		MaxHeaderBytes: webHeader,
		Logger:         slog.New(slog.DiscardHandler), // what clients cause is counted
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(c.server.quicOpen, func() {
		defer close(ended)
		c.endHTTP3(server)
	})
	_ = server.ServeQUICConn(c.quic)
	if !stop() {
		<-ended
	}
}

// endHTTP3 tells the client to ask elsewhere (GOAWAY), and ends c when what is under way is
// answered.
func (c *conn) endHTTP3(server *http3.Server) {
	told, end := context.WithCancel(context.Background())
	var finishing sync.WaitGroup
	finishing.Go(func() {
		defer end()
		c.finishQUIC()
	})
	_ = server.Shutdown(told)
	finishing.Wait()
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

// hurry limits how long a request over HTTP/3 may take to arrive, as the HTTP server of a
// TCP connection does.
func (w *web) hurry(out http.ResponseWriter) {
	if w.quic != nil {
		_ = http.NewResponseController(out).SetReadDeadline(time.Now().Add(w.server.config.Receive))
	}
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
