package probe_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pldns/resolver/probe"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

const realName = "contoso.blob.core.windows.net"

// plain is a server that does something with each connection, and closes it.
func plain(t *testing.T, do func(net.Conn)) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
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
			go func() { defer conn.Close(); do(conn) }()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// web is an HTTPS server with a certificate.
func web(t *testing.T, certificate tls.Certificate, h2 bool, answer http.HandlerFunc) netip.AddrPort {
	t.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.EnableHTTP2 = h2
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).AddrPort()
}

// found probes one target until it is known what is wrong with it, or that it is
// healthy. A server that is to say nothing is given little time for it.
func found(t *testing.T, at netip.AddrPort, spec zones.ProbeSpec, roots *x509.CertPool, silent ...bool) string {
	t.Helper()
	timeout := time.Minute
	if len(silent) > 0 && silent[0] {
		timeout = 100 * time.Millisecond
	}
	spec.Port = at.Port()
	target := zones.Target{Addr: at.Addr(), Probe: zones.NewProbe(spec)}
	told := first{make(chan bool, 1)}
	p := probe.New(probe.Config{Observer: told})
	p.Watch(probe.Plan{Targets: []zones.Target{target}, Interval: time.Hour, Timeout: timeout, Fall: 1, Roots: roots})
	run(t, p)
	if <-told.ok {
		return ""
	}
	resolvertest.Until(t, "it is unhealthy", func() bool { return !p.Healthy(target) })
	return p.Fault(target)
}

// first is an observer that passes on what comes of the first probe.
type first struct{ ok chan bool }

func (f first) Probed(_ zones.ProbeKind, ok bool) {
	select {
	case f.ok <- ok:
	default:
	}
}
func (first) Unhealthy(int)   {}
func (first) Panicked(string) {}

// A certificate counts if it is good for the real name, and signed by somebody who
// is trusted; a port that merely accepts connections does not.
func TestTLS(t *testing.T) {
	authority, stranger := resolvertest.NewAuthority(t), resolvertest.NewAuthority(t)
	nothing := func(w http.ResponseWriter, _ *http.Request) {}
	silent := plain(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, test := range []struct {
		name  string
		at    netip.AddrPort
		roots *x509.CertPool
		want  string
	}{
		{"the real name", web(t, authority.Certificate(t, realName), true, nothing), authority.Pool, ""},
		{"a wildcard over the real name", web(t, authority.Certificate(t, "*.blob.core.windows.net"), true, nothing), authority.Pool, ""},
		{"another name", web(t, authority.Certificate(t, "fabrikam.blob.core.windows.net"), true, nothing), authority.Pool, "fabrikam.blob.core.windows.net"},
		{"the address only", web(t, authority.Certificate(t, "127.0.0.1"), true, nothing), authority.Pool, "any names"},
		{"somebody else signs", web(t, stranger.Certificate(t, realName), true, nothing), authority.Pool, "unknown authority"},
		{"the system does not know the signer", web(t, authority.Certificate(t, realName), true, nothing), nil, "unknown authority"},
		{"no TLS", plain(t, func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-x\r\n") }), authority.Pool, "does not look like a TLS handshake"},
		{"silence", silent, authority.Pool, "no answer within 100ms"},
		{"closed at once", plain(t, func(net.Conn) {}), authority.Pool, "E"}, // EOF, or ECONNRESET in words
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, kind := range []zones.ProbeKind{zones.TLSProbe, zones.HTTPSProbe} {
				got := found(t, test.at, zones.ProbeSpec{Kind: kind, Name: zones.MustName(realName), Path: "/"}, test.roots, test.at == silent)
				if test.want == "E" {
					if got == "" {
						t.Errorf("%s: a connection that is closed at once is healthy", kind)
					}
				} else if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
					t.Errorf("%s: %q", kind, got)
				}
			}
			if got := found(t, test.at, zones.ProbeSpec{}, nil); got != "" {
				t.Errorf("tcp: %q", got)
			}
		})
	}
	if got := found(t, resolvertest.ClosedAddr(t), zones.ProbeSpec{Kind: zones.TLSProbe, Name: zones.MustName(realName)}, authority.Pool); !strings.Contains(got, "refused") {
		t.Errorf("a closed port: %q", got)
	}
}

// Whatever a server answers below 500 is a sign of life. It is asked as clients ask
// it, over HTTP/1.1 and HTTP/2, and on a new connection each time.
func TestHTTPS(t *testing.T) {
	authority := resolvertest.NewAuthority(t)
	certificate := authority.Certificate(t, realName)
	for _, h2 := range []bool{false, true} {
		for status, want := range map[int]string{
			200: "", 204: "", 301: "", 400: "", 401: "", 403: "", 404: "", 429: "",
			500: "GET /a%20b?c=d is answered with status 500", 502: "status 502", 503: "status 503", 504: "status 504",
		} {
			var asked atomic.Pointer[http.Request]
			at := web(t, certificate, h2, func(w http.ResponseWriter, r *http.Request) {
				asked.Store(r)
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(status)
			})
			spec := zones.ProbeSpec{Kind: zones.HTTPSProbe, Name: zones.MustName(realName), Path: "/a%20b?c=d"}
			if got := found(t, at, spec, authority.Pool); (got == "") != (want == "") || !strings.Contains(got, want) {
				t.Errorf("status %d: %q", status, got)
			}
			r := asked.Load()
			if r.Host != fmt.Sprintf("%s:%d", realName, at.Port()) || r.RequestURI != "/a%20b?c=d" || r.TLS.ServerName != realName ||
				(r.ProtoMajor == 2) != h2 || r.UserAgent() != "pldns-probe" || r.Method != http.MethodGet {
				t.Errorf("asked %s of %s by %s over %s for %s", r.RequestURI, r.Host, r.UserAgent(), r.Proto, r.TLS.ServerName)
			}
		}
	}
}

// Answers without end: a body is not read, and a header is not read for ever.
func TestHTTPSWithoutEnd(t *testing.T) {
	authority := resolvertest.NewAuthority(t)
	certificate := authority.Certificate(t, realName)
	spec := zones.ProbeSpec{Kind: zones.HTTPSProbe, Name: zones.MustName(realName), Path: "/"}
	for _, h2 := range []bool{false, true} {
		gone := make(chan struct{})
		at := web(t, certificate, h2, func(w http.ResponseWriter, r *http.Request) {
			defer close(gone)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		})
		if got := found(t, at, spec, authority.Pool); got != "" {
			t.Errorf("a body without end: %q", got)
		}
		<-gone
		big := web(t, certificate, h2, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Big", strings.Repeat("x", 1<<20))
		})
		if got := found(t, big, spec, authority.Pool); got == "" {
			t.Error("a header of a megabyte is healthy")
		}
	}
	stuck := make(chan struct{})
	slow := web(t, certificate, true, func(http.ResponseWriter, *http.Request) { <-stuck })
	t.Cleanup(func() { close(stuck) })
	if got := found(t, slow, spec, authority.Pool, true); got != "no answer within 100ms" {
		t.Errorf("an answer that does not come: %q", got)
	}
}

// What a server says of itself is one short line of text in the fault.
func TestFaultIsShort(t *testing.T) {
	authority := resolvertest.NewAuthority(t)
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("name-%d.example", i))
	}
	at := web(t, authority.Certificate(t, many...), true, func(http.ResponseWriter, *http.Request) {})
	got := found(t, at, zones.ProbeSpec{Kind: zones.TLSProbe, Name: zones.MustName(realName)}, authority.Pool)
	if got == "" || len(got) > 320 || strings.ContainsAny(got, "\r\n") {
		t.Errorf("%d octets: %q", len(got), got)
	}
}
