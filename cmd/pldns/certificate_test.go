package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"
)

const realName = "mydatabase.database.windows.net"

// The complaint that asked for this program: the certificate is issued for the
// real name, so only a client that connects by the real name can verify it, and
// only a resolver that answers the real name with the private address lets it.
func TestTheRealNameVerifies(t *testing.T) {
	server, roots := serveTLS(t, realName)
	r := start(t, fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
admin = "off"
[networks.vpn]
clients = ["127.0.0.0/8"]
[networks.vpn.endpoints]
%q = %q
`, realName, server.Addr()))

	for _, test := range []struct {
		name, host string
		verifies   bool
	}{
		{"by the real name", realName, true},
		{"by the private name", "mydatabase.privatelink.database.windows.net", false},
		{"by the address", server.Addr().String(), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := connect(t, r.addrs[0], test.host, server.Port(), roots)
			var wrongName x509.HostnameError
			switch {
			case test.verifies && err != nil:
				t.Errorf("the handshake failed: %v", err)
			case !test.verifies && !errors.As(err, &wrongName):
				t.Errorf("the handshake ended with %v, want a certificate for another name", err)
			}
		})
	}
}

// connect makes a TLS connection to a host as any Go client does, whose resolver
// is the given server.
func connect(t *testing.T, dnsServer netip.AddrPort, host string, port uint16, roots *x509.CertPool) error {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, dnsServer.String())
		},
	}
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Resolver: resolver, Timeout: 10 * time.Second},
		Config:    &tls.Config{RootCAs: roots},
	}
	conn, err := dialer.DialContext(t.Context(), "tcp4", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		return err
	}
	return conn.Close()
}

// serveTLS is a server on a loopback address of its own that holds a certificate
// for name, and the roots that certify it.
func serveTLS(t *testing.T, name string) (netip.AddrPort, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.77:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake() // what becomes of it is the client's to tell
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return listener.Addr().(*net.TCPAddr).AddrPort(), roots
}
