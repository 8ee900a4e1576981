package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// mediaType is what DNS messages are over HTTPS (RFC 8484 section 6).
const mediaType = "application/dns-message"

// maxHeader is how many octets the head of a response may have.
const maxHeader = 16 << 10

// A connection on which nothing is heard for a while is pinged, and given up if
// the ping is not answered.
const (
	pingAfter = 2 * time.Second
	pingTime  = time.Second
)

// web asks a server over HTTPS (RFC 8484). Many questions share one HTTP/2
// connection. The name in the URL is never looked up: the addresses of the server
// are known from the beginning.
type web struct {
	url    string
	client *http.Client
	kept   atomic.Bool

	panicked func(fault any, stack []byte) // as of a connPool
	room     chan struct{}                 // has a token for each question under way
	running  count
}

// maxPosts is how many questions may be under way to one server. Each takes a
// goroutine, because net/http wants one; what exceeds it is not asked.
const maxPosts = 1024

// webQuery is a question under way.
type webQuery struct {
	told atomic.Bool // or given up
	stop context.CancelFunc
}

// newWeb makes what asks s over HTTPS.
func (c Config) newWeb(s Server, panicked func(fault any, stack []byte)) *web {
	addrs := s.bootstrap()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialAny(ctx, addrs, dialTCP)
		},
		TLSClientConfig:        c.tlsConfig(s),
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        maxConns,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: maxHeader,
		// A connection whose other end is gone is found out by a ping.
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTime},
	}
	return &web{
		url: s.URL, panicked: panicked, room: make(chan struct{}, maxPosts),
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// start asks, as [connPool.start] does.
func (w *web) start(packet []byte, done func(packet []byte, err error)) (*webQuery, error) {
	select {
	case w.room <- struct{}{}:
	default:
		return nil, errFull
	}
	ctx, stop := context.WithCancel(context.Background())
	q := &webQuery{stop: stop}
	packet = slices.Clone(packet)
	w.running.add()
	go func() { // close waits for it
		defer w.running.done()
		reply, err := w.exchange(ctx, packet)
		stop()
		<-w.room
		if !q.told.Swap(true) {
			tell(done, reply, err, w.panicked)
		}
	}()
	return q, nil
}

// cancel gives the question up, as [streamQuery.cancel] does.
func (q *webQuery) cancel() bool {
	q.stop()
	return !q.told.Swap(true)
}

// exchange posts one message. A connection that was there already and dies meanwhile
// is replaced once by a new one.
func (w *web) exchange(ctx context.Context, packet []byte) ([]byte, error) {
	if !w.kept.Load() {
		defer w.client.CloseIdleConnections()
	}
	reply, reused, err := w.post(ctx, packet)
	if err != nil && reused && ctx.Err() == nil && !errors.As(err, new(*httpError)) {
		w.client.CloseIdleConnections()
		reply, _, err = w.post(ctx, packet)
	}
	return reply, err
}

// post posts one message; reused tells whether the connection was there already.
func (w *web) post(ctx context.Context, packet []byte) (reply []byte, reused bool, err error) {
	var old atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { old.Store(info.Reused) },
	})
	request, err := newPost(traced, w.url, bytes.NewReader(packet))
	if err != nil {
		return nil, false, err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, old.Load(), unwrapURL(err)
	}
	reply, err = readResponse(response)
	return reply, old.Load(), err
}

// newPost makes the request that posts a message.
func newPost(ctx context.Context, url string, message io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, message)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("Accept", mediaType)
	request.Header.Set("User-Agent", "") // none: it would only tell who asks
	return request, nil
}

// readResponse reads the message in a response.
func readResponse(response *http.Response) (message []byte, err error) {
	defer func() { _ = response.Body.Close() }()
	if err := acceptable(response); err != nil {
		return nil, err
	}
	message, err = io.ReadAll(io.LimitReader(response.Body, dns.MaxMsgSize+1))
	if err == nil && len(message) > dns.MaxMsgSize {
		err = &httpError{"the body is longer than any DNS message"}
	}
	return message, err
}

// httpError is what an HTTP server did that is no answer.
type httpError struct{ text string }

func (e *httpError) Error() string { return e.text }

// acceptable tells whether a response holds a DNS message.
func acceptable(response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return &httpError{"HTTP status " + response.Status}
	}
	if got, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); got != mediaType {
		return &httpError{fmt.Sprintf("content of type %q instead of %s", got, mediaType)}
	}
	return nil
}

// unwrapURL takes off the method and the URL, which the server's text names.
func unwrapURL(err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// bootstrap is where an HTTPS server listens: at its bootstrap addresses, or at
// the address in its URL.
func (s Server) bootstrap() []netip.AddrPort {
	if len(s.Bootstrap) > 0 {
		return s.Bootstrap
	}
	if s.Addr.IsValid() {
		return []netip.AddrPort{s.Addr}
	}
	host, port, err := s.origin()
	if err != nil {
		return nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	return []netip.AddrPort{netip.AddrPortFrom(addr, port)}
}

// origin is the host and the port of the URL.
func (s Server) origin() (host string, port uint16, err error) {
	parsed, err := url.Parse(s.URL)
	if err != nil {
		return "", 0, err
	}
	if parsed.Scheme != "https" || parsed.Hostname() == "" {
		return "", 0, fmt.Errorf("%q is no https URL", s.URL)
	}
	if parsed.Port() == "" {
		return parsed.Hostname(), 443, nil
	}
	number, err := strconv.ParseUint(parsed.Port(), 10, 16)
	return parsed.Hostname(), uint16(number), err
}

// keep begins to keep connections.
func (w *web) keep() { w.kept.Store(true) }

// close stops keeping connections, and returns when the last question has ended.
func (w *web) close() {
	w.kept.Store(false)
	w.running.wait()
	w.client.CloseIdleConnections()
}
