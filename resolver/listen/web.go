package listen

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"pldns/resolver/listen/replycache"
	"pldns/resolver/wire"
	"pldns/zones"
)

const (
	mediaType = "application/dns-message" // RFC 8484 section 6
	// webHeader is how many octets the header of a request may have, which is room
	// for any query in a URL that is not padded beyond reason.
	webHeader = 16 << 10
)

// web answers the requests of one connection over HTTPS (RFC 8484).
type web struct{ *conn }

// serveWeb serves c until it ends. An HTTP server of its own makes that c keeps
// its place among the connections, and what its client showed.
func (c *conn) serveWeb() {
	one := &single{conn: c.stream, over: make(chan struct{})}
	closed := make(chan struct{})
	config := c.server.config
	server := &http.Server{
		Handler:           &web{conn: c},
		ReadHeaderTimeout: config.Receive,
		ReadTimeout:       config.Receive,
		IdleTimeout:       config.Idle,
		MaxHeaderBytes:    webHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: config.Pipeline},
		ErrorLog:          log.New(io.Discard, "", 0), // what clients cause is counted
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(closed)
				one.Close()
			}
		},
	}
	ended := make(chan struct{})
	var ending sync.WaitGroup
	ending.Go(func() { c.endWeb(server, ended) })
	_ = server.Serve(one) // ends with c, or for Shutdown
	if one.given {
		<-closed
	}
	close(ended)
	ending.Wait()
}

// endWeb waits for the end of reading, and then lets the requests that are under
// way be answered.
func (c *conn) endWeb(server *http.Server, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-c.server.conns.drained:
	}
	// What has asked is left to Shutdown, which knows when an answer has gone out;
	// what never has, it would wait for.
	if !c.server.conns.hasAsked(c) {
		c.Close()
	}
	patience, cancel := context.WithTimeout(context.Background(), c.server.config.Drain)
	defer cancel()
	if server.Shutdown(patience) != nil {
		c.Close()
	}
}

// single is a listener with one connection.
type single struct {
	conn  net.Conn
	given bool // by the one who calls Accept
	once  sync.Once
	over  chan struct{}
}

func (s *single) Accept() (net.Conn, error) {
	if !s.given {
		s.given = true
		return s.conn, nil
	}
	<-s.over
	return nil, net.ErrClosed
}

func (s *single) Close() error {
	s.once.Do(func() { close(s.over) })
	return nil
}

func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }

// fault is a request that holds no query, and the status that says so.
type fault struct {
	status int
	text   string
}

func (f *fault) Error() string { return f.text }

// ServeHTTP answers one request. What is a DNS message is answered with one and
// status 200, whatever the answer says (RFC 8484 section 4.2.1).
func (w *web) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	began, s := time.Now(), w.server
	if w.alternate && !w.shared {
		out.Header().Set("Alt-Svc", alternative(in.Host))
	}
	if w.quic == nil { // else the stream is counted
		if !s.conns.beginRequest(w.conn) {
			http.Error(out, "this connection is being closed", http.StatusServiceUnavailable)
			return
		}
		defer w.requests.Done()
		defer s.conns.end(w.conn)
	}
	peer, client := w.here()
	client, err := w.asker(in, client)
	var message []byte
	if err == nil {
		message, err = readRequest(out, in)
	}
	if w.quic != nil {
		s.conns.arrived(w.conn)
		defer s.conns.awaits(w.conn) // until the stream ends, which counts it as arrived
	}
	var refused *fault
	if errors.As(err, &refused) {
		if refused.status == http.StatusMethodNotAllowed {
			out.Header().Set("Allow", "GET, POST")
		}
		s.refused(w.transport, BadRequest, peer, "error", err)
		http.Error(out, refused.text, refused.status)
		return
	}
	if w.confirmed(message) {
		w.answer(in.Context(), out, message, client, w.origin(peer), began)
	}
}

// answer answers a message. The goroutine of a request waits for its reply: it is there
// anyway, until ctx ends, because the client has gone.
func (w *web) answer(ctx context.Context, out http.ResponseWriter, message []byte, client zones.Client, from origin,
	began time.Time) {
	s := w.server
	q, x, reply := s.query(), s.scratches.Get().(*scratch), make(webReply, 1)
	q.origin, q.client, q.began = from, client, began
	q.to = reply
	x.memory.open(s, began)
	defer s.scratches.Put(x)
	outcome := s.serve(q, x, message)
	if outcome.waits {
		x.tidy()
		select {
		case message := <-reply:
			w.write(ctx, out, message)
		case <-ctx.Done():
		}
		return
	}
	defer x.tidy()
	if outcome.reply == nil {
		http.Error(out, "this is no DNS query", http.StatusBadRequest)
		return
	}
	if outcome.why == Shed {
		w.write(ctx, out, nil)
		return
	}
	w.write(ctx, out, outcome.reply)
	if !outcome.taken {
		q.message = nil
		s.queries.Put(q)
	}
}

// origin is that of a request.
func (w *web) origin(peer netip.AddrPort) origin {
	kind := replycache.HTTPS
	if w.transport == h3 {
		kind = replycache.HTTP3
	}
	return origin{transport: w.transport, kind: kind, stream: true, encrypted: true, peer: peer}
}

// webReply takes the reply to a request that has to wait for it; nil if it had to make
// room.
type webReply chan []byte

func (r webReply) deliver(_ *query, reply []byte) { r <- bytes.Clone(reply) }

func (r webReply) shed() { r <- nil }

// shedPause is how long a client waits for being told that it asks too much, and then
// should wait before it asks again. Most do not heed that, and a client of whom all
// that exceeds its share were refused at once would ask as fast as that is written.
const shedPause = time.Second

// tooMany tells a client that it asks more than its share: not with a DNS message, which
// would mean that the resolver failed, but as HTTP does it (RFC 6585 section 4), so
// that the client goes to another server and others that share its connection do not
// remember a failure of the name.
func (w *web) tooMany(ctx context.Context, out http.ResponseWriter) {
	pause := time.NewTimer(shedPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	case <-w.server.conns.drained:
	}
	out.Header().Set("Retry-After", strconv.Itoa(int(shedPause/time.Second)))
	http.Error(out, "too many queries at once", http.StatusTooManyRequests)
}

// write sends a reply as the body. It may be kept for as long as its least TTL (RFC 8484
// section 5.1), and only by who asked: others may be told otherwise.
func (w *web) write(ctx context.Context, out http.ResponseWriter, message []byte) {
	if message == nil {
		w.tooMany(ctx, out)
		return
	}
	_, least := wire.TTLs(message)
	header := out.Header()
	header.Set("Content-Type", mediaType)
	header.Set("Content-Length", strconv.Itoa(len(message)))
	header.Set("Cache-Control", "private, max-age="+strconv.FormatUint(uint64(least), 10))
	_ = http.NewResponseController(out).SetWriteDeadline(time.Now().Add(w.server.config.Send))
	_, _ = out.Write(message) // a client that has gone wants nothing
}

// asker is the client of a request: what the connection knows of it, and what the
// request says besides.
func (w *web) asker(in *http.Request, client zones.Client) (zones.Client, error) {
	shown := *client.Shown
	path, under := strings.CutPrefix(in.URL.Path, zones.DoHPath)
	if under && path != "" {
		path, under = strings.CutPrefix(path, "/")
	}
	if !under || strings.Contains(path, "/") {
		return client, &fault{http.StatusNotFound, "queries are asked at " + zones.DoHPath}
	}
	shown.Path = path
	if host := hostOf(in.Host); !host.IsZero() && host != shown.ServerName {
		if !shown.ServerName.IsZero() {
			// A client that shares a connection between hosts asks again on another
			// (RFC 9110 section 15.5.20).
			return client, &fault{http.StatusMisdirectedRequest, "this connection is for another host"}
		}
		shown.ServerName = host
	}
	client.Shown = &shown
	return client, nil
}

// hostOf is the name in a Host header; zero for an address.
func hostOf(text string) zones.Name {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return zones.Name{}
	}
	return nameOf(text)
}

// readRequest takes the DNS message out of a request (RFC 8484 section 4.1).
func readRequest(out http.ResponseWriter, in *http.Request) ([]byte, error) {
	switch in.Method {
	case http.MethodGet:
		text := in.URL.Query().Get("dns")
		message, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil || text == "" {
			return nil, &fault{http.StatusBadRequest, "the parameter dns must be a DNS message in base64url"}
		}
		return message, nil
	case http.MethodPost:
		if kind, _, err := mime.ParseMediaType(in.Header.Get("Content-Type")); err != nil || kind != mediaType {
			return nil, &fault{http.StatusUnsupportedMediaType, "the body must be of type " + mediaType}
		}
		message, err := io.ReadAll(http.MaxBytesReader(out, in.Body, wire.MaxMessage))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			return nil, &fault{http.StatusRequestEntityTooLarge, "a DNS message has at most 65535 octets"}
		case err != nil:
			return nil, &fault{http.StatusBadRequest, "the body did not arrive"}
		}
		return message, nil
	default:
		return nil, &fault{http.StatusMethodNotAllowed, "ask with GET or POST"}
	}
}
