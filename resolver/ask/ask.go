// Package ask asks one server over a connection that is made for it: TCP, TLS, HTTPS,
// QUIC or HTTP/3. It is for those who look whether a server answers, and say what of the
// way to it does not work; [pldns/resolver/forward] is for those who want the answer.
package ask

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// Way is how a server is reached.
type Way struct {
	Transport resolver.Transport // any but UDP, which has no connections
	To        netip.AddrPort
	// From is the local address to ask from; the zero value leaves it to the system.
	From netip.Addr
	// Own is told of the UDP socket that asks, before it does and when it is gone; nil is
	// nobody.
	Own func(socket netip.AddrPort, asks bool)
	// Header is sent before anything else: that of the PROXY protocol, which QUIC does not
	// have.
	Header []byte
	// TLS says whom to expect; nil where there is no certificate. The protocols are set by
	// the transport.
	TLS *tls.Config
	// Host and Path are those of the URL.
	Host, Path string
}

// Conn is a connection to a server. It is for one goroutine at a time.
type Conn interface {
	// Ask sends a query and waits for what comes back, which is not looked into. An error
	// of the server's own is a [StatusError] over HTTP, and one of quic-go over QUIC.
	Ask(ctx context.Context, query []byte) (reply []byte, err error)
	// Close ends the connection. What goes wrong then matters to nobody.
	Close()
}

// OpenError says why there is no connection.
type OpenError struct {
	// Met says that the other side has sent something: it took the connection, or a packet
	// came back.
	Met bool
	Err error
}

// Error is what went wrong.
func (e *OpenError) Error() string { return e.Err.Error() }

// Unwrap is the error behind it, never nil.
func (e *OpenError) Unwrap() error { return e.Err }

// StatusError is a response over HTTP without a DNS message in it.
type StatusError struct{ Code int }

// Error says which.
func (e *StatusError) Error() string { return fmt.Sprintf("HTTP status %d", e.Code) }

// ErrReply is a reply that is none: cut off, or of another kind. It is found with
// [errors.Is].
var ErrReply = errors.New("what came back is no DNS message")

// Open connects, until ctx ends. The error is an [OpenError], and a local fault where no
// packet could leave.
func (w Way) Open(ctx context.Context) (Conn, error) {
	if w.Transport.IsPackets() {
		return w.openQUIC(ctx)
	}
	dialer := net.Dialer{}
	if w.From.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(w.From, 0))
	}
	raw, err := dialer.DialContext(ctx, "tcp", w.To.String())
	if err != nil {
		return nil, &OpenError{Err: err}
	}
	conn, err := w.openStream(ctx, raw)
	if err != nil {
		raw.Close()
		return nil, &OpenError{Met: true, Err: because(ctx, err)}
	}
	return conn, nil
}

// openStream speaks over a connection of TCP what is spoken first.
func (w Way) openStream(ctx context.Context, raw net.Conn) (Conn, error) {
	defer within(ctx, raw)()
	if _, err := raw.Write(w.Header); err != nil {
		return nil, err
	}
	if w.Transport == resolver.OverTCP {
		return stream{raw}, nil
	}
	secure := tls.Client(raw, w.secure())
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if w.Transport == resolver.OverHTTPS {
		return w.newWeb(secure), nil
	}
	return stream{secure}, nil
}

// secure are the settings of TLS.
func (w Way) secure() *tls.Config {
	config := w.TLS.Clone()
	config.NextProtos = w.Transport.ALPN()
	if config.ServerName == "" {
		config.ServerName = w.To.Addr().WithZone("").String() // which is not sent
	}
	return config
}

// deadlined is what waits no longer than it is told to.
type deadlined interface{ SetDeadline(time.Time) error }

// within has what waits end with ctx, until what it gives is called.
func within(ctx context.Context, conn deadlined) (end func()) {
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	hurry := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if hurry() {
			_ = conn.SetDeadline(time.Time{})
		}
	}
}

// because is the reason for an error: that ctx has ended, if it has.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// maxReply bounds what is read of a reply.
const maxReply = dns.MaxMsgSize
