package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"
)

// tlsConfig is how the servers of a group are known by their certificates: for
// the name that the operator wrote, or, where none is, for the address. There is
// no way to ask without that.
func (c Config) tlsConfig(s Server, protocols ...string) *tls.Config {
	name := s.ServerName
	if name == "" {
		name = s.Addr.Addr().WithZone("").String()
	}
	return &tls.Config{
		ServerName:         name,
		RootCAs:            c.RootCAs,
		MinVersion:         tls.VersionTLS12,
		NextProtos:         protocols,
		ClientSessionCache: tls.NewLRUClientSessionCache(maxConns),
	}
}

// dialer makes what opens connections to a server: over TCP, or over TLS (RFC
// 7858) or QUIC if it is to be asked so.
func (c Config) dialer(s Server) func(context.Context) (link, error) {
	if s.Transport == QUIC || s.Transport == HTTP3 {
		return c.overQUIC(s)
	}
	if s.Transport != TLS {
		return overFrames(func(ctx context.Context) (net.Conn, error) { return dialTCP(ctx, s.Addr) })
	}
	config := c.tlsConfig(s, "dot")
	return overFrames(func(ctx context.Context) (net.Conn, error) {
		conn, err := dialTCP(ctx, s.Addr)
		if err != nil {
			return nil, err
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	})
}

// dialTCP opens a connection. Small messages leave at once, because it is the
// default of Go that they do.
func dialTCP(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: idleTime}
	return dialer.DialContext(ctx, "tcp", addr.String())
}

// bootstrapShare is how long one of several addresses of a server may take before
// the next is tried.
const bootstrapShare = 300 * time.Millisecond

// dialAny opens a connection to the first of some addresses that takes one.
func dialAny[C any](ctx context.Context, addrs []netip.AddrPort,
	dial func(context.Context, netip.AddrPort) (C, error)) (none C, err error) {
	var errs []error
	for i, addr := range addrs {
		limited, cancel := ctx, context.CancelFunc(func() {})
		if i < len(addrs)-1 {
			limited, cancel = context.WithTimeout(ctx, bootstrapShare)
		}
		conn, err := dial(limited, addr)
		cancel()
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return none, errors.Join(errs...)
}
