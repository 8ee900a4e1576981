package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"pldns/zones"
)

// check does what the probe of a target says, on a connection of its own, so that
// it finds what a client finds that comes now.
func check(ctx context.Context, target zones.Target, roots *x509.CertPool) error {
	switch target.Probe.Spec().Kind {
	case zones.TLSProbe:
		return checkTLS(ctx, target, roots)
	case zones.HTTPSProbe:
		return checkHTTPS(ctx, target, roots)
	default:
		return checkTCP(ctx, target)
	}
}

// dial opens a connection to a target.
func dial(ctx context.Context, target zones.Target) (net.Conn, error) {
	// Probes are about new connections only: nothing keeps them alive.
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: false}, KeepAlive: -1}
	return dialer.DialContext(ctx, "tcp", target.AddrPort().String())
}

// checkTCP is content where a connection is accepted.
func checkTCP(ctx context.Context, target zones.Target) error {
	conn, err := dial(ctx, target)
	if err != nil {
		return err
	}
	return conn.Close()
}

// settings verify a certificate against the real name of the target.
func settings(target zones.Target, roots *x509.CertPool) *tls.Config {
	return &tls.Config{ServerName: target.Probe.Spec().Name.String(), RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// checkTLS is content where the handshake succeeds, with a certificate that is good
// for the real name.
func checkTLS(ctx context.Context, target zones.Target, roots *x509.CertPool) error {
	conn, err := dial(ctx, target)
	if err != nil {
		return err
	}
	defer conn.Close()
	return tls.Client(conn, settings(target, roots)).HandshakeContext(ctx)
}

// maxHeader bounds the header of a response, in octets.
const maxHeader = 64 << 10

// checkHTTPS is content where a GET of the path is answered with a status below 500.
//
// Load balancers differ: Azure Load Balancer wants 200, Application Gateway 200 to
// 399. They ask servers that are made to be asked by them. A private endpoint mostly
// leads to a service that knows nothing of probes, and tells somebody without
// credentials 400, 401, 403 or 404: it is there, behind the right address, and
// answers. What says that nobody is behind a gateway is 502, 503 and 504, and 500
// that whoever is there cannot serve.
//
// A redirect is an answer and is not followed: its target has another address. The
// body is not read, however long it is.
func checkHTTPS(ctx context.Context, target zones.Target, roots *x509.CertPool) error {
	// A transport of its own for each probe: a shared one may give a connection that
	// was opened for one address to a request for another, because both have one name.
	transport := &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, target) },
		TLSClientConfig:        settings(target, roots),
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
	defer transport.CloseIdleConnections()
	spec := target.Probe.Spec()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host(spec), nil)
	if err != nil {
		return err // the configuration lets no such name in
	}
	path, err := url.ParseRequestURI(spec.Path)
	if err != nil {
		return err // nor such a path
	}
	request.URL.Path, request.URL.RawPath, request.URL.RawQuery = path.Path, path.RawPath, path.RawQuery
	request.Header.Set("User-Agent", "pldns-probe")
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("GET %s is answered with status %d", spec.Path, response.StatusCode)
	}
	return nil
}

// host is how a client calls the server of a target.
func host(spec zones.ProbeSpec) string {
	name := spec.Name.String()
	if spec.Port == 443 {
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(int(spec.Port)))
}
