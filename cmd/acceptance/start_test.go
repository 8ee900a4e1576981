package acceptance

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/cmd/internal/daemon"
	"pldns/config"
	"pldns/resolver/resolvertest"
)

// The clients of networks, one of no network, and the token of the admin server.
const (
	europe     = "127.0.1.1"
	unlisted   = "127.0.9.9"
	adminToken = "5f2b0c9a7e1d4836"
)

// served is a pldns that serves a configuration on real sockets, over UDP, TCP, TLS
// and HTTPS.
type served struct {
	t         *testing.T
	authority *resolvertest.Authority
	dns, doh  netip.AddrPort
	admin     string // host:port
}

// serve serves a configuration until the test ends. In its [listen] it has to have one
// address each for dns, doh and admin, all with port 0, and admin.token as the file
// of the token, which is beside it with tls.crt, tls.key and clients.pem.
func serve(t *testing.T, toml string, hosts ...string) served {
	t.Helper()
	dir, authority := t.TempDir(), resolvertest.NewAuthority(t)
	certificate := authority.Certificate(t, hosts...)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pldns.toml")
	for name, text := range map[string][]byte{
		"pldns.toml":  []byte(toml),
		"admin.token": []byte(adminToken + "\n"),
		"tls.crt":     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}),
		"tls.key":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"clients.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Root()}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server, err := daemon.New(daemon.Options{
		Load: func(config.Releases) (*config.Config, error) { return config.Load(file) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, make(chan os.Signal)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return served{t: t, authority: authority, dns: server.Addrs()[0], doh: server.HTTPSAddrs()[0], admin: server.AdminAddr().String()}
}

// ask sends one query from a local address over udp or tcp, and reads the reply.
func (s served) ask(network, from, name string, qtype uint16) {
	s.t.Helper()
	local := net.Addr(&net.UDPAddr{IP: net.ParseIP(from)})
	if network == "tcp" {
		local = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	client := &dns.Client{Net: network, Timeout: 10 * time.Second, Dialer: &net.Dialer{LocalAddr: local}}
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype).SetEdns0(1232, false)
	if _, _, err := client.Exchange(query, s.dns.String()); err != nil {
		s.t.Fatalf("%s %s from %s: %v", name, dns.TypeToString[qtype], from, err)
	}
}

// get reads a page of the admin server.
func (s served) get(path string) string {
	s.t.Helper()
	response, err := http.Get("http://" + s.admin + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

// askHTTPS asks for the address of a name over DNS over HTTPS, with a certificate for
// the given client, and gives it as text.
func (s served) askHTTPS(url, client, name string) string {
	s.t.Helper()
	config := &tls.Config{RootCAs: s.authority.Pool, Certificates: []tls.Certificate{s.authority.Certificate(s.t, client)}}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(europe)}, Timeout: 10 * time.Second}
		return dialer.DialContext(ctx, "tcp", s.doh.String())
	}}
	defer transport.CloseIdleConnections()
	wire, err := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA).SetEdns0(1232, false).Pack()
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Post(url, "application/dns-message", bytes.NewReader(wire))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	reply := new(dns.Msg)
	if err != nil || response.StatusCode != http.StatusOK || reply.Unpack(body) != nil || len(reply.Answer) == 0 {
		return fmt.Sprint(response.Status, err)
	}
	if a, is := reply.Answer[len(reply.Answer)-1].(*dns.A); is {
		return a.A.String()
	}
	return reply.String()
}
