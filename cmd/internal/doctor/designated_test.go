package doctor_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"pldns/cmd/internal/doctor"
	"pldns/resolver"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// holding puts an address into a certificate.
func holding(addr string) func(*x509.Certificate) {
	return func(template *x509.Certificate) {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(addr))
	}
}

// telling has a server tell of an encrypted way to it (RFC 9461), and gives what follows it.
func telling(t *testing.T, s *scene, ca *authority, record string, over ...resolver.Transport) doctor.Report {
	t.Helper()
	s.config.Roots.AddCert(ca.certificate)
	rr := resolvertest.RR(t, "_dns.resolver.arpa. 300 IN SVCB "+record)
	s.server.On("_dns.resolver.arpa", resolvertest.Changed(func(reply *dns.Msg) { reply.Rcode, reply.Answer, reply.Ns = dns.RcodeSuccess, []dns.RR{rr}, nil }))
	s.config.Transports = nil
	for _, transport := range append([]resolver.Transport{resolver.OverUDP}, over...) {
		s.config.Transports = append(s.config.Transports, doctor.Over{Transport: transport})
	}
	return examine(t, s.config, sqlName)
}

// A client that discovers the ways to a server uses those whose certificate holds the
// address that it has asked, and some use others at a private address (RFC 9462).
func TestDiscovery(t *testing.T) {
	t.Parallel()
	names := []string{resolverName}
	for _, test := range []struct {
		name    string
		change  []func(*x509.Certificate)
		hint    string // empty leaves it to the name
		direct  doctor.Cause
		verdict doctor.Verdict
		cause   doctor.Cause
		says    string
	}{
		{"all is well", []func(*x509.Certificate){holding("127.0.0.1")}, "127.0.0.1", "", doctor.OK, "", "is verified as dns.contoso.net, and clients that discover it may use it"},
		{"no hint", []func(*x509.Certificate){holding("127.0.0.1")}, "", "", doctor.OK, "", "is verified as"},
		{"the address is not in it", nil, "127.0.0.1", "", doctor.Note, doctor.CertificateNoAddress, "without that at a private address (RFC 9462 section 4.3): the certificate does not hold 127.0.0.1"},
		{"expired", []func(*x509.Certificate){holding("127.0.0.1"), expired}, "127.0.0.1", doctor.CertificateExpired, doctor.Note, doctor.CertificateExpired, "expired on"},
		{"for another name", []func(*x509.Certificate){holding("127.0.0.1"), func(c *x509.Certificate) { c.DNSNames = []string{"other.contoso.net"} }}, "127.0.0.1", doctor.CertificateName, doctor.Note, doctor.CertificateName, "is for other.contoso.net, 127.0.0.1, not for dns.contoso.net"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ca, s := newAuthority(t), newScene(t, vnet+resolverName+". IN A 127.0.0.1\n")
			at := s.server.ServeTLS(t, ca.issue(names, test.change...))
			record := fmt.Sprintf("1 %s. alpn=dot port=%d", resolverName, at.Port())
			if test.hint != "" {
				record += " ipv4hint=" + test.hint
			}
			report := telling(t, s, ca, record, resolver.OverTLS)
			wantCause(t, report, "ddr", "", fmt.Sprintf("%s tells of dot at dns.contoso.net port %d", s.server.Addr, at.Port()))
			wantCause(t, report, "dns-dot", test.direct, at.String())
			wantCause(t, report, "ddr-dot", test.cause, test.says)
			i := slices.IndexFunc(report.Steps, func(s doctor.Step) bool { return s.Name == "ddr-dot" })
			if i >= 0 && report.Steps[i].Verdict != test.verdict {
				t.Errorf("the verdict is %s, want %s", report.Steps[i].Verdict, test.verdict)
			}
		})
	}
}

// overTLS answers DNS over TLS with what an upstream says.
func overTLS(certificate tls.Certificate, to netip.AddrPort) func(net.Conn) {
	return func(conn net.Conn) {
		secure := tls.Server(conn, tlsConfig(certificate))
		for {
			var length [2]byte
			if _, err := io.ReadFull(secure, length[:]); err != nil {
				return
			}
			packet := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(secure, packet); err != nil {
				return
			}
			reply := asking(to, packet)
			_, _ = secure.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
		}
	}
}

// At another address than the one that was asked, nothing goes without the certificate.
func TestDiscoveryElsewhere(t *testing.T) {
	t.Parallel()
	for holds, want := range map[string]doctor.Cause{"127.0.0.1": "", "127.0.0.2": doctor.CertificateNoAddress} {
		ca, s := newAuthority(t), newScene(t, vnet)
		elsewhere := serveAt(t, "127.0.0.2:0", overTLS(ca.issue([]string{resolverName}, holding(holds)), s.server.Addr))
		report := telling(t, s, ca, fmt.Sprintf("1 %s. alpn=dot port=%d ipv4hint=127.0.0.2", resolverName, elsewhere.Port()), resolver.OverTLS)
		says := "is verified as"
		if want != "" {
			says = "clients that discover it must not use it: the certificate does not hold 127.0.0.1, the address that was asked => put the address"
		}
		wantCause(t, report, "ddr-dot", want, says)
		if got := slices.Contains(failing(report), "ddr-dot"); got != (want != "") {
			t.Errorf("it failed: %v with a certificate for %s", got, holds)
		}
	}
}

// What is told, and does not work, is named: a web server by its path, a name without an
// address, a port that nobody listens at.
func TestDiscoveryOfWhatDoesNotWork(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	own := ca.issue([]string{resolverName}, holding("127.0.0.1"))
	s := newScene(t, vnet)
	at := quicServer(t, own, overHTTP3(onTheWeb(s.server.Addr, "/dns-query/europe")), "h3")
	record := fmt.Sprintf("1 %s. alpn=h3 port=%d ipv4hint=127.0.0.1 dohpath=/dns-query/", resolverName, at.Port())
	report := telling(t, s, ca, record+"europe{?dns}", resolver.OverHTTP3)
	wantCause(t, report, "dns-h3", "", "gives the same answer over HTTP/3")
	wantCause(t, report, "ddr-h3", "", "is verified as")
	report = telling(t, s, ca, record+"asia{?dns}", resolver.OverHTTP3)
	wantCause(t, report, "dns-h3", doctor.PathNotFound, "answers /dns-query/asia with status 404")
	wantCause(t, report, "ddr-h3", doctor.PathNotFound, ", as above")
	report = telling(t, s, ca, fmt.Sprintf("1 nowhere.contoso.net. alpn=doq port=%d", at.Port()), resolver.OverQUIC)
	wantCause(t, report, "ddr-doq", doctor.NoAddressTold, "which has no address there")
	closed := resolvertest.ClosedAddr(t)
	report = telling(t, s, ca, fmt.Sprintf("1 %s. alpn=doq port=%d ipv4hint=127.0.0.1", resolverName, closed.Port()), resolver.OverQUIC)
	wantCause(t, report, "dns-doq", doctor.PortClosed, closed.String())
	// Who names the server is told of that one, and of the others besides.
	s.config.ServerName, s.config.Path = zones.MustName(resolverName), "europe"
	report = telling(t, s, ca, record+"asia{?dns}", resolver.OverHTTP3)
	wantCause(t, report, "ddr-h3", doctor.PathNotFound, "status 404")
	s.config.Transports = []doctor.Over{{Transport: resolver.OverHTTP3, Port: at.Port()}}
	wantCause(t, examine(t, s.config, sqlName), "dns-h3", "", netip.AddrPortFrom(at.Addr(), at.Port()).String()+" answers")
}
