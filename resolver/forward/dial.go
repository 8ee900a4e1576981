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
// 7858) if it is to be asked so.
func (c Config) dialer(s Server) func(context.Context) (net.Conn, error) {
	if s.Transport != TLS {
		return func(ctx context.Context) (net.Conn, error) { return dialTCP(ctx, s.Addr) }
	}
	config := c.tlsConfig(s, "dot")
	return func(ctx context.Context) (net.Conn, error) {
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
	}
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
func dialAny(ctx context.Context, addrs []netip.AddrPort) (net.Conn, error) {
	var errs []error
	for i, addr := range addrs {
		limited, cancel := ctx, context.CancelFunc(func() {})
		if i < len(addrs)-1 {
			limited, cancel = context.WithTimeout(ctx, bootstrapShare)
		}
		conn, err := dialTCP(limited, addr)
		cancel()
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}
