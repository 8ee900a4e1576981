package forward

import (
	"bytes"
	"context"
	"errors"
	"net"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"pldns/resolver/wire"
)

// overHTTP3 is DNS over HTTPS by HTTP/3 (RFC 8484, RFC 9114).
type overHTTP3 struct {
	conn *http3.ClientConn
	url  string
}

// speakHTTP3 makes what speaks HTTP/3 with a server. There is no other version to fall back
// to, and no proxy.
func speakHTTP3(s Server) func(*quic.Conn) application {
	maker := &http3.Transport{MaxResponseHeaderBytes: maxHeader, DisableCompression: true}
	return func(conn *quic.Conn) application { return overHTTP3{maker.NewClientConn(conn), s.URL} }
}

func (h overHTTP3) ask(ctx context.Context, packet []byte, opened func()) ([]byte, error) {
	request, err := newPost(ctx, h.url, sending{bytes.NewReader(packet), opened})
	if err != nil {
		return nil, err
	}
	request.ContentLength = int64(len(packet))
	response, err := h.conn.RoundTrip(request)
	if err != nil {
		return nil, h.oddity(err)
	}
	reply, err := readResponse(response)
	switch {
	case err != nil:
		return nil, h.oddity(err)
	case len(reply) < wire.HeaderSize || wire.ID(reply) != 0:
		return nil, &httpError{"the body is no DNS message with id 0"}
	}
	return reply, nil
}

// sending is the message of a request, which is read once the request has a stream.
type sending struct {
	*bytes.Reader
	opened func()
}

// Read reads the message.
func (s sending) Read(room []byte) (int, error) {
	s.opened()
	return s.Reader.Read(room)
}

// oddity is what an error says of a response: what is neither the end of the connection nor
// of the stream is no HTTP.
func (h overHTTP3) oddity(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.As(err, new(*quic.StreamError)) || errors.As(err, new(*httpError)) {
		return err
	}
	return &httpError{err.Error()}
}

func (overHTTP3) code(broken bool) quic.ApplicationErrorCode {
	if broken {
		return quic.ApplicationErrorCode(http3.ErrCodeGeneralProtocolError)
	}
	return quic.ApplicationErrorCode(http3.ErrCodeNoError)
}

func (overHTTP3) word(code uint64) string { return http3.ErrCode(code).String() }

func (overHTTP3) refuses(code uint64) bool {
	return http3.ErrCode(code) == http3.ErrCodeRequestRejected
}
