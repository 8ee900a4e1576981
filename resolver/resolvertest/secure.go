package resolvertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
)

// Authority signs certificates that only tests trust.
type Authority struct {
	// Pool holds the certificate of the authority and no other.
	Pool *x509.CertPool

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority of its own for one test.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	key := newKey(tb)
	template := newTemplate("the authority of a test")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatalf("make an authority: %v", err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		tb.Fatalf("read the certificate of the authority: %v", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &Authority{Pool: pool, certificate: certificate, key: key}
}

// Root is the certificate of the authority in DER.
func (a *Authority) Root() []byte { return a.certificate.Raw }

// Certificate is a certificate for hosts, each a name or an address, and its key.
func (a *Authority) Certificate(tb testing.TB, hosts ...string) tls.Certificate {
	tb.Helper()
	return a.sign(tb, newTemplate("a server of a test"), newKey(tb), hosts)
}

// RSACertificate is [Authority.Certificate] with a key for RSA.
func (a *Authority) RSACertificate(tb testing.TB, hosts ...string) tls.Certificate {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatalf("make a key: %v", err)
	}
	return a.sign(tb, newTemplate("a server of a test"), key, hosts)
}

// Expired is [Authority.Certificate] of a certificate that was valid until a minute ago.
func (a *Authority) Expired(tb testing.TB, hosts ...string) tls.Certificate {
	tb.Helper()
	template := newTemplate("a server of a test")
	template.NotAfter = time.Now().Add(-time.Minute)
	return a.sign(tb, template, newKey(tb), hosts)
}

func (a *Authority) sign(tb testing.TB, template *x509.Certificate, key crypto.Signer, hosts []string) tls.Certificate {
	tb.Helper()
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		tb.Fatalf("make a certificate for %v: %v", hosts, err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("make a key: %v", err)
	}
	return key
}

func newTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

// DoHPath is the path of the URL at which an [Upstream] answers over HTTPS.
const DoHPath = "/dns-query"

// secureListener is one more way to an upstream: a secure one.
type secureListener struct {
	transport Transport
	addr      netip.AddrPort
	config    *tls.Config
	quic      *quic.Config
}

// Serve makes the upstream answer over a secure transport too, with a certificate, and says
// where. It does so as long as it serves at all.
func (u *Upstream) Serve(tb testing.TB, over Transport, certificate tls.Certificate) netip.AddrPort {
	tb.Helper()
	switch over {
	case TLS:
		return u.ServeTLS(tb, certificate)
	case HTTPS:
		return u.ServeHTTPS(tb, certificate)
	case QUIC:
		return u.ServeQUIC(tb, certificate, nil)
	case HTTP3:
		return u.ServeHTTP3(tb, certificate, nil)
	}
	tb.Fatalf("%s is no secure transport", over)
	return netip.AddrPort{}
}

// ServeTLS makes the upstream answer over TLS too (RFC 7858), with a certificate,
// and says where. It does so as long as it serves at all.
func (u *Upstream) ServeTLS(tb testing.TB, certificate tls.Certificate) netip.AddrPort {
	tb.Helper()
	return u.openSecure(tb, secureListener{transport: TLS, config: &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"dot"},
	}})
}

// ServeHTTPS makes the upstream answer over HTTPS too (RFC 8484), at [DoHPath].
func (u *Upstream) ServeHTTPS(tb testing.TB, certificate tls.Certificate) netip.AddrPort {
	tb.Helper()
	return u.openSecure(tb, secureListener{transport: HTTPS, config: &tls.Config{Certificates: []tls.Certificate{certificate}}})
}

// openSecure opens a secure listener on a free port.
func (u *Upstream) openSecure(tb testing.TB, d secureListener) netip.AddrPort {
	tb.Helper()
	d.addr = ClosedAddr(tb)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.secure = append(u.secure, d)
	if u.listening == nil {
		tb.Fatalf("the upstream is stopped")
	}
	u.listening.open(tb, u, d)
	return d.addr
}

// open serves one secure listener.
func (l *listening) open(tb testing.TB, u *Upstream, d secureListener) {
	tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.transport == QUIC || d.transport == HTTP3 {
		l.openQUIC(tb, u, d)
		return
	}
	ln := take(tb, "tcp", d.addr, sockets.Listen)
	l.tcp = append(l.tcp, ln)
	if d.transport == TLS {
		l.wg.Go(func() { l.serveStreams(u, tls.NewListener(ln, d.config), TLS) })
	} else {
		l.serveWeb(u, d, ln)
	}
}

// serveWeb serves HTTPS.
func (l *listening) serveWeb(u *Upstream, d secureListener, ln net.Listener) {
	server := &http.Server{
		TLSConfig: d.config,
		ErrorLog:  log.New(io.Discard, "", 0),
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.serveHTTP(u, HTTPS, w, r, l.cut) }),
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				l.adopt(c)
			case http.StateClosed:
				l.drop(c)
			}
		},
	}
	l.wg.Go(func() { _ = server.ServeTLS(ln, "", "") })
}

// serveHTTP answers one request. If the script says nothing, nor does it. Cut ends the
// connection from an address.
func (l *listening) serveHTTP(u *Upstream, over Transport, w http.ResponseWriter, r *http.Request, cut func(from netip.AddrPort)) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, dns.MaxMsgSize))
	if err != nil || r.Method != http.MethodPost || r.URL.Path != DoHPath || r.Header.Get("Content-Type") != "application/dns-message" {
		http.Error(w, "a POST of a DNS message is wanted", http.StatusBadRequest)
		return
	}
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	said := make(chan func(), 1)
	say := func(what func()) {
		select {
		case said <- what:
		default: // one request has one response
		}
	}
	l.react(u, &Asked{
		Query:   Query{Transport: over, From: from, Raw: raw, Proto: r.Proto},
		Stopped: l.ended,
		send:    func(packet []byte) { say(func() { writeHTTP(w, packet) }) },
		breakOff: func(packet []byte) {
			say(func() {
				w.Header().Set("Content-Length", "1000")
				writeHTTP(w, packet[:len(packet)/2])
				if over == HTTP3 {
					cut(from)
				}
				panic(http.ErrAbortHandler)
			})
		},
		hangUp: func() { cut(from) },
		status: func(code int) { say(func() { http.Error(w, http.StatusText(code), code) }) },
	})
	select {
	case what := <-said:
		what()
	case <-r.Context().Done():
	case <-l.ended:
	}
}

func writeHTTP(w http.ResponseWriter, packet []byte) {
	w.Header().Set("Content-Type", "application/dns-message")
	_, _ = w.Write(packet)
}

// cut closes the connection that comes from an address.
func (l *listening) cut(from netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if addrPort(c.RemoteAddr()) == from {
			_ = c.Close()
		}
	}
}

// Status answers over HTTPS with a status and no DNS message; over other
// transports it is silent.
func Status(code int) Behaviour {
	return func(a *Asked) {
		if a.status != nil {
			a.status(code)
		}
	}
}

// WritePair puts a certificate and its key into files, as PEM.
func WritePair(tb testing.TB, certificateFile, keyFile string, made tls.Certificate) {
	tb.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	if err != nil {
		tb.Fatalf("write a key: %v", err)
	}
	for file, block := range map[string]*pem.Block{
		certificateFile: {Type: "CERTIFICATE", Bytes: made.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}
