package ask

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// mediaType is what DNS messages are over HTTP (RFC 8484 section 6).
const mediaType = "application/dns-message"

// web asks over HTTPS (RFC 8484). The one connection is there before the first question,
// and no other one is made in its place.
type web struct {
	way   Way
	round http.RoundTripper
	end   func()
}

// errGone is a connection that the server has closed between two questions.
var errGone = errors.New("the server has closed the connection")

// newWeb asks over a connection of TLS, by the version that was agreed on.
func (w Way) newWeb(secure *tls.Conn) *web {
	given := false
	transport := &http.Transport{
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			if given {
				return nil, errGone
			}
			given = true
			return secure, nil
		},
		ForceAttemptHTTP2: true, MaxConnsPerHost: 1, MaxResponseHeaderBytes: maxHeader,
	}
	return &web{w, transport, func() {
		transport.CloseIdleConnections()
		secure.Close()
	}}
}

// maxHeader is how many octets the header of a response may have.
const maxHeader = 16 << 10

// newHTTP3 asks over a connection of QUIC.
func (w Way) newHTTP3(conn *quic.Conn, end func()) *web {
	transport := &http3.Transport{
		Dial:                   func(context.Context, string, *tls.Config, *quic.Config) (*quic.Conn, error) { return conn, nil },
		MaxResponseHeaderBytes: maxHeader,
	}
	return &web{w, transport, func() {
		transport.Close()
		end()
	}}
}

func (w *web) Ask(ctx context.Context, query []byte) ([]byte, error) {
	at := url.URL{Scheme: "https", Host: w.way.Host, Path: w.way.Path}
	if at.Host == "" {
		at.Host = w.way.To.String()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("Accept", mediaType)
	request.Header.Set("User-Agent", "") // none: it would only tell who asks
	response, err := w.round.RoundTrip(request)
	if err != nil {
		return nil, because(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &StatusError{response.StatusCode}
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != mediaType {
		return nil, fmt.Errorf("%w: it is of type %q", ErrReply, response.Header.Get("Content-Type"))
	}
	reply, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err == nil && len(reply) > maxReply {
		err = fmt.Errorf("%w: it is longer than any", ErrReply)
	}
	return reply, because(ctx, err)
}

func (w *web) Close() { w.end() }
