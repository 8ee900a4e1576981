package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/cmd/internal/doctor"
)

// patience is the time of a step that is meant to succeed, however slow the
// machine; impatience that of one that is meant to run out.
const (
	patience   = 30 * time.Second
	impatience = 1500 * time.Millisecond
)

// authority signs certificates.
type authority struct {
	tb          testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	roots       *x509.CertPool
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{tb: tb, key: key, roots: x509.NewCertPool()}
	a.certificate = a.sign(template, template, &key.PublicKey)
	a.roots.AddCert(a.certificate)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, public *ecdsa.PublicKey) *x509.Certificate {
	a.tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.tb.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		a.tb.Fatal(err)
	}
	return certificate
}

// issue makes a certificate for names, after change has been at it.
func (a *authority) issue(names []string, change ...func(*x509.Certificate)) tls.Certificate {
	a.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range change {
		c(template)
	}
	leaf := a.sign(template, a.certificate, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func expired(template *x509.Certificate) { template.NotAfter = time.Now().Add(-time.Hour) }

// tlsConfig serves one certificate.
func tlsConfig(certificate tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}}
}

// serveAt does with every connection to an address what talk says, until the test
// ends. It closes the connection when talk returns.
func serveAt(tb testing.TB, address string, talk func(net.Conn)) netip.AddrPort {
	tb.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	var lock sync.Mutex
	var open []net.Conn
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			lock.Lock()
			open = append(open, conn)
			lock.Unlock()
			work.Go(func() {
				defer conn.Close()
				talk(conn)
			})
		}
	})
	tb.Cleanup(func() {
		listener.Close()
		lock.Lock()
		for _, conn := range open {
			conn.Close()
		}
		lock.Unlock()
		work.Wait()
	})
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

func serve(tb testing.TB, talk func(net.Conn)) netip.AddrPort {
	return serveAt(tb, "127.0.0.1:0", talk)
}

// The talks. What becomes of the handshake is for the client to tell.

func plainTLS(certificate tls.Certificate) func(net.Conn) {
	return func(conn net.Conn) { _ = tls.Server(conn, tlsConfig(certificate)).Handshake() }
}

func saying(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = conn.Write([]byte(text))
		drain(conn)
	}
}

// silent takes what comes and says nothing.
func silent(conn net.Conn) { drain(conn) }

func drain(conn net.Conn) {
	buffer := make([]byte, 1024)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// hostFunc is an operating system that answers by a function.
type hostFunc func(host string) ([]netip.Addr, error)

func (f hostFunc) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return f(host)
}

// hostOf always answers the same.
func hostOf(addrs ...string) hostFunc {
	return func(string) ([]netip.Addr, error) {
		var parsed []netip.Addr
		for _, addr := range addrs {
			parsed = append(parsed, netip.MustParseAddr(addr))
		}
		return parsed, nil
	}
}

// failing are the names of the steps that failed.
func failing(report doctor.Report) []string {
	var names []string
	for _, step := range report.Steps {
		if step.Verdict == doctor.Fail {
			names = append(names, step.Name)
		}
	}
	return names
}

// lines are the steps of a report as one text.
func lines(report doctor.Report) string {
	var text strings.Builder
	for _, step := range report.Steps {
		fmt.Fprintf(&text, "%s %s: %s => %s\n", step.Verdict, step.Name, step.Seen, step.Remedy)
	}
	return text.String()
}

// expect fails the test unless exactly the given steps failed, and the report
// holds all of the texts.
func expect(t *testing.T, report doctor.Report, fails []string, says ...string) {
	t.Helper()
	text := lines(report)
	if got := failing(report); !slices.Equal(got, fails) {
		t.Errorf("failed steps: %q, want %q, in\n%s", got, fails, text)
	}
	if report.OK != (len(fails) == 0) {
		t.Errorf("OK is %t with failed steps %q", report.OK, fails)
	}
	for _, part := range says {
		if !strings.Contains(text, part) {
			t.Errorf("the report does not say %q:\n%s", part, text)
		}
	}
	for _, r := range strings.ReplaceAll(text, "\n", "") {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			t.Errorf("the report holds the control character %q", r)
		}
	}
}

// withErrors is what an upstream does that adds extended errors.
func withErrors(rcode int, code uint16, text string) func(reply *dns.Msg) {
	return func(reply *dns.Msg) {
		reply.Answer, reply.Ns, reply.Rcode = nil, nil, rcode
		reply.SetEdns0(1232, false)
		opt := reply.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: code, ExtraText: text})
	}
}
