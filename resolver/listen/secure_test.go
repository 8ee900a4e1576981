package listen_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

// secured is a server with ingresses of every kind, and what its Handler was asked.
type secured struct {
	server
	authority *resolvertest.Authority
	asked     chan resolver.Query
}

func startSecured(t *testing.T, config listen.Config) secured {
	t.Helper()
	authority := resolvertest.NewAuthority(t)
	asked := make(chan resolver.Query, 100)
	config.TLS, config.HTTPS = addrs("127.0.0.1:0"), addrs("127.0.0.1:0")
	config.QUIC, config.HTTP3 = addrs("127.0.0.1:0"), true
	config.TLSConfig = &tls.Config{
		Certificates: []tls.Certificate{authority.Certificate(t, "127.0.0.1", "a.dns.contoso.net", "b.dns.contoso.net")},
		ClientCAs:    authority.Pool, ClientAuth: tls.VerifyClientCertIfGiven,
	}
	config.Handler = handler(func(ctx context.Context, q resolver.Query) resolver.Answer {
		asked <- q
		return known(ctx, q)
	})
	return secured{start(t, config), authority, asked}
}

// ignoreAsked takes what the Handler is asked, so that it never waits.
func (s secured) ignoreAsked(t *testing.T) {
	go func() {
		for ended := t.Context().Done(); ; {
			select {
			case <-s.asked:
			case <-ended:
				return
			}
		}
	}()
}

// identity says what the Handler was told of the client.
func identity(q resolver.Query) string {
	shown := q.Client.Shown
	if shown == nil {
		return fmt.Sprint(q.Client, " at ", q.Client.Listener.Addr())
	}
	text := fmt.Sprintf("%s at %s: name %q path %q certificates %v", q.Client, q.Client.Listener.Addr(), shown.ServerName, shown.Path, shown.Certificates)
	if shown.Linked {
		text += fmt.Sprint(" link ", shown.Link)
	}
	return text
}

// asTLS puts TLS over a connection.
func (s secured) asTLS(t *testing.T, conn net.Conn, name string, certificates ...tls.Certificate) *tls.Conn {
	t.Helper()
	secure := tls.Client(conn, &tls.Config{RootCAs: s.authority.Pool, ServerName: name, Certificates: certificates, NextProtos: []string{"dot"}})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secure
}

// TestTLS: DNS over TLS (RFC 7858): the Handler is told the server name and the
// names of the client's certificate; queries are pipelined as over TCP.
func TestTLS(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch})
	gateway := s.authority.Certificate(t, "gw.contoso.com")
	for _, row := range []struct {
		name         string
		certificates []tls.Certificate
		want         string
	}{
		{"a.dns.contoso.net", nil, `127.0.0.1 at 127.0.0.1: name "a.dns.contoso.net" path "" certificates []`},
		{"B.dns.contoso.net", nil, `127.0.0.1 at 127.0.0.1: name "b.dns.contoso.net" path "" certificates []`},
		{"127.0.0.1", nil, `127.0.0.1 at 127.0.0.1: name "" path "" certificates []`},
		{"a.dns.contoso.net", []tls.Certificate{gateway}, `127.0.0.1 at 127.0.0.1: name "a.dns.contoso.net" path "" certificates [gw.contoso.com]`},
	} {
		conn := s.asTLS(t, dial(t, "tcp", s.TLSAddrs()[0]), row.name, row.certificates...)
		if protocol := conn.ConnectionState().NegotiatedProtocol; protocol != "dot" {
			t.Errorf("the protocol is %q", protocol)
		}
		write(t, conn, pack(t, query("a.example")), pack(t, query("b.example")))
		for range 2 {
			unpack(t, read(t, conn))
			if got := identity(<-s.asked); got != row.want {
				t.Errorf("the client is %s, want %s", got, row.want)
			}
		}
		watch.await(t, func(e event) bool { return e.served && e.transport == "tls" })
		conn.Close()
	}
}

// TestHandshakes: what fails before the first query ends that connection, and is
// counted.
func TestHandshakes(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch})
	stranger := resolvertest.NewAuthority(t).Certificate(t, "gw.contoso.com")
	for _, transport := range []netip.AddrPort{s.TLSAddrs()[0], s.HTTPSAddrs()[0]} {
		conn := dial(t, "tcp", transport)
		write(t, conn, pack(t, query("a.example")))
		if why := watch.refused(t); why != listen.Handshake {
			t.Errorf("plain DNS: refused because of %s", why)
		}
		secure := tls.Client(dial(t, "tcp", transport), &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net", Certificates: []tls.Certificate{stranger},
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stranger, nil }})
		_ = secure.Handshake() // TLS 1.3 tells the client later
		if _, err := secure.Read(make([]byte, 1)); err == nil {
			t.Error("a certificate of another authority is taken")
		}
		if why := watch.refused(t); why != listen.Handshake {
			t.Errorf("a certificate of another authority: refused because of %s", why)
		}
	}
}

// TestPadding: RFC 7830 and 8467: a reply is padded to a multiple of 468 octets if
// the query was padded, over encrypted transports and no others.
func TestPadding(t *testing.T) {
	s := startSecured(t, listen.Config{})
	padded := query("a.example", edns(1232, &dns.EDNS0_PADDING{Padding: make([]byte, 20)}))
	for name, conn := range map[string]net.Conn{
		"tls": s.asTLS(t, dial(t, "tcp", s.TLSAddrs()[0]), "a.dns.contoso.net"),
		"tcp": dial(t, "tcp", s.addr), "udp": dial(t, "udp", s.addr),
	} {
		write(t, conn, pack(t, padded), pack(t, query("a.example", edns(1232))))
		blocks := 0
		for range 2 {
			wire := read(t, conn)
			unpack(t, wire)
			if len(wire)%468 == 0 {
				blocks++
			}
		}
		if want := map[string]int{"tls": 1}[name]; blocks != want {
			t.Errorf("over %s %d of 2 replies are padded, want %d", name, blocks, want)
		}
	}
}

// browser makes an HTTP client of a server, of version 1 or 2.
func (s secured) browser(t *testing.T, version int, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool, Certificates: certificates},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.HTTPSAddrs()[0].String())
		},
		Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(version == 1)
	transport.Protocols.SetHTTP2(version == 2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// TestHTTPS: DNS over HTTPS (RFC 8484), GET and POST, HTTP/1.1 and HTTP/2: the
// Handler is told the host and the rest of the path.
func TestHTTPS(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch})
	wire := pack(t, query("a.example", edns(1232, &dns.EDNS0_PADDING{})))
	for version := 1; version <= 2; version++ {
		client := s.browser(t, version, s.authority.Certificate(t, "gw.contoso.com"))
		for url, want := range map[string]string{
			"https://a.dns.contoso.net/dns-query":        `name "a.dns.contoso.net" path "" certificates [gw.contoso.com]`,
			"https://b.dns.contoso.net/dns-query/europe": `name "b.dns.contoso.net" path "europe" certificates [gw.contoso.com]`,
			"https://127.0.0.1/dns-query/europe":         `name "" path "europe" certificates [gw.contoso.com]`,
		} {
			for _, ask := range []func() (*http.Response, error){
				func() (*http.Response, error) {
					return client.Post(url, "application/dns-message", bytes.NewReader(wire))
				},
				func() (*http.Response, error) {
					return client.Get(url + "?dns=" + base64.RawURLEncoding.EncodeToString(wire))
				},
			} {
				response, err := ask()
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != version {
					t.Fatalf("%s: %s %s, %v", url, response.Proto, response.Status, err)
				}
				if m := unpack(t, body); len(m.Answer) != 1 || len(body)%468 != 0 {
					t.Errorf("%s: %d octets: %v", url, len(body), m)
				}
				kind, keep := response.Header.Get("Content-Type"), response.Header.Get("Cache-Control")
				if kind != "application/dns-message" || keep != "private, max-age=10" {
					t.Errorf("%s: %s, %s", url, kind, keep)
				}
				if got := identity(<-s.asked); !strings.HasSuffix(got, want) {
					t.Errorf("%s: the client is %s, want %s", url, got, want)
				}
				watch.await(t, func(e event) bool { return e.served && e.transport == "https" })
			}
		}
	}
}

// TestHTTPSRefuses: requests that hold no query.
func TestHTTPSRefuses(t *testing.T) {
	s := startSecured(t, listen.Config{})
	const good, kind = "https://a.dns.contoso.net/dns-query", "application/dns-message"
	encoded := base64.RawURLEncoding.EncodeToString(pack(t, query("a.example")))
	for _, row := range []struct {
		name, method, url, kind, host string
		body                          []byte
		want                          int
	}{
		{"another path", "POST", "https://a.dns.contoso.net/", kind, "", nil, 404},
		{"a path that only begins so", "GET", good + "x?dns=" + encoded, "", "", nil, 404},
		{"a path of two names", "GET", good + "/a/b?dns=" + encoded, "", "", nil, 404},
		{"another method", "PUT", good, kind, "", nil, 405},
		{"HEAD", "HEAD", good + "?dns=" + encoded, "", "", nil, 405},
		{"another type", "POST", good, "application/json", "", []byte("{}"), 415},
		{"no type", "POST", good, "", "", nil, 415},
		{"too much", "POST", good, kind, "", make([]byte, 65536), 413},
		{"nothing", "POST", good, kind, "", nil, 400},
		{"a response", "POST", good, kind, "", header(0x8000, [4]uint16{1}, ask), 400},
		{"no parameter", "GET", good, "", "", nil, 400},
		{"no base64", "GET", good + "?dns=*", "", "", nil, 400},
		{"another host", "GET", good + "?dns=" + encoded, "", "b.dns.contoso.net", nil, 421},
	} {
		for version := 1; version <= 2; version++ {
			t.Run(fmt.Sprint(row.name, " ", version), func(t *testing.T) {
				request, err := http.NewRequest(row.method, row.url, bytes.NewReader(row.body))
				if err != nil {
					t.Fatal(err)
				}
				request.Host = row.host
				if row.kind != "" {
					request.Header.Set("Content-Type", row.kind)
				}
				response, err := s.browser(t, version).Do(request)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode != row.want {
					t.Errorf("the status is %s, want %d", response.Status, row.want)
				}
			})
		}
	}
}

// TestHTTPSMalformed: what is a DNS message is answered with one.
func TestHTTPSMalformed(t *testing.T) {
	s := startSecured(t, listen.Config{})
	response, err := s.browser(t, 2).Post("https://a.dns.contoso.net/dns-query", "application/dns-message", bytes.NewReader(header(rd, [4]uint16{2}, ask)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if keep := response.Header.Get("Cache-Control"); len(body) < 12 || binary.BigEndian.Uint16(body[2:])&0xF != dns.RcodeFormatError || keep != "private, max-age=0" {
		t.Errorf("%s, %s: %x", response.Status, keep, body)
	}
}

// TestHTTPSDrain: at the end, a request that was read is answered, and connections
// without one do not keep the server.
func TestHTTPSDrain(t *testing.T) {
	for version := 1; version <= 2; version++ {
		gate, authority := newGate(), resolvertest.NewAuthority(t)
		s := start(t, listen.Config{Handler: handler(gate.Resolve), HTTPS: addrs("127.0.0.1:0"),
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, "a.dns.contoso.net")}}})
		secured := secured{server: s, authority: authority}
		idle := secured.browser(t, version)
		if _, err := post(idle, pack(t, query("a.example"))); err != nil {
			t.Fatal(err)
		}
		result := make(chan error, 1)
		go func() {
			_, err := post(secured.browser(t, version), pack(t, query("slow.example")))
			result <- err
		}()
		<-gate.entered
		stopped := make(chan error, 1)
		go func() { stopped <- s.stop() }()
		resolvertest.Until(t, "nobody to be taken in any more", func() bool {
			conn, err := net.Dial("tcp", s.HTTPSAddrs()[0].String())
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
		close(gate.opened)
		if err := <-result; err != nil {
			t.Errorf("HTTP/%d: the request under way: %v", version, err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
}

func post(client *http.Client, wire []byte) (*dns.Msg, error) {
	response, err := client.Post("https://a.dns.contoso.net/dns-query", "application/dns-message", bytes.NewReader(wire))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	reply := new(dns.Msg)
	return reply, reply.Unpack(body)
}

// TestCertificateChoice: what GetConfigForClient chooses holds from the next
// handshake on, which is how certificates are replaced.
func TestCertificateChoice(t *testing.T) {
	authority := resolvertest.NewAuthority(t)
	chosen := make(chan tls.Certificate, 1)
	s := start(t, listen.Config{TLS: addrs("127.0.0.1:0"), TLSConfig: &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{<-chosen}}, nil
		},
	}})
	for range 2 {
		next := authority.Certificate(t, "a.dns.contoso.net")
		chosen <- next
		conn := secured{server: s, authority: authority}.asTLS(t, dial(t, "tcp", s.TLSAddrs()[0]), "a.dns.contoso.net")
		parsed, err := x509.ParseCertificate(next.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if state := conn.ConnectionState(); !state.PeerCertificates[0].Equal(parsed) || state.NegotiatedProtocol != "dot" {
			t.Error("it is not the certificate, or not the protocol, of the moment")
		}
	}
}
