package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"pldns/cmd/internal/doctor"
	"pldns/resolver"
	"pldns/resolver/resolvertest"
	"pldns/zones"
	"pldns/zones/azure"
)

const resolverName = "dns.contoso.net"

// quicServer takes connections over QUIC for some protocols, and does with each what talk
// says, until the test ends.
func quicServer(t *testing.T, certificate tls.Certificate, talk func(*quic.Conn), protocols ...string) netip.AddrPort {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	settings := tlsConfig(certificate)
	settings.NextProtos = protocols
	listener, err := transport.Listen(settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			go talk(conn)
		}
	}()
	t.Cleanup(func() {
		transport.Close()
		socket.Close()
	})
	return socket.LocalAddr().(*net.UDPAddr).AddrPort()
}

// asking asks an upstream what a client asks, over UDP.
func asking(to netip.AddrPort, packet []byte) []byte {
	query := new(dns.Msg)
	if query.Unpack(packet) != nil {
		return nil
	}
	client := dns.Client{Timeout: patience}
	reply, _, err := client.Exchange(query, to.String())
	if err != nil {
		return nil
	}
	packed, _ := reply.Pack()
	return packed
}

// overQUIC answers DNS over QUIC with what an upstream says.
func overQUIC(to netip.AddrPort) func(*quic.Conn) {
	return func(conn *quic.Conn) {
		for {
			stream, err := conn.AcceptStream(context.Background())
			if err != nil {
				return
			}
			go func() {
				defer stream.Close()
				if framed, err := io.ReadAll(stream); err == nil && len(framed) > 2 && binary.BigEndian.Uint16(framed[2:]) == 0 {
					reply := asking(to, framed[2:])
					_, _ = stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
				}
			}()
		}
	}
}

// overHTTP3 serves HTTP/3.
func overHTTP3(handler http.HandlerFunc) func(*quic.Conn) {
	return func(conn *quic.Conn) { _ = (&http3.Server{Handler: handler}).ServeQUICConn(conn) }
}

// onTheWeb answers DNS over HTTP with what an upstream says, at one path of one host.
func onTheWeb(to netip.AddrPort, path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != path || !strings.HasPrefix(r.Host, resolverName) {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/dns-message")
		_, _ = w.Write(asking(to, body))
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// asked is a transport at the port of an address.
func asked(t resolver.Transport, at netip.AddrPort) doctor.Over {
	return doctor.Over{Transport: t, Port: at.Port()}
}

// A server that is asked over every transport gives the same answer over each, by the name
// that it was asked for.
func TestEveryTransport(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	own := ca.issue([]string{resolverName})
	s := newScene(t, vnet)
	s.config.Roots.AddCert(ca.certificate)
	at := s.server.Addr
	s.config.ServerName = zones.MustName(resolverName)
	s.config.Transports = []doctor.Over{
		{Transport: resolver.OverUDP}, {Transport: resolver.OverTCP},
		asked(resolver.OverTLS, s.server.ServeTLS(t, own)), asked(resolver.OverHTTPS, s.server.ServeHTTPS(t, own)),
		asked(resolver.OverQUIC, quicServer(t, own, overQUIC(at), "doq")),
		asked(resolver.OverHTTP3, quicServer(t, own, overHTTP3(onTheWeb(at, "/dns-query")), "h3")),
	}
	report := examine(t, s.config, sqlName)
	says := []string{"ok dns-udp: " + at.String() + " answers mydb.database.windows.net 10 CNAME", "note ddr: " + at.String() + " tells of no encrypted way to it"}
	for name, title := range map[string]string{"dns-dot": "TLS", "dns-doh": "HTTPS", "dns-doq": "QUIC", "dns-h3": "HTTP/3"} {
		says = append(says, "ok "+name+": 127.0.0.1:", " gives the same answer over "+title+"; the certificate is valid for "+resolverName)
	}
	expect(t, report, nil, says...)
	s.config.Transports = s.config.Transports[4:5]
	expect(t, examine(t, s.config, sqlName), nil, "ok dns-doq: "+fmt.Sprintf("127.0.0.1:%d", s.config.Transports[0].Port)+" answers mydb.database.windows.net 10 CNAME",
		"leads over mydb.privatelink.database.windows.net to the private address", "ok certificate: 127.0.0.1:")
}

// fault is something that is wrong with one transport of a server.
type fault struct {
	name  string
	over  func(t *testing.T, ca *authority, up *resolvertest.Upstream) doctor.Over
	cause doctor.Cause
	says  string
	asks  string // the server name; empty is resolverName
	quick bool   // nothing comes, and is not waited for
}

// issued is what makes a server over TLS that has a certificate.
func issued(names []string, change ...func(*x509.Certificate)) func(*testing.T, *authority, *resolvertest.Upstream) doctor.Over {
	return func(t *testing.T, ca *authority, up *resolvertest.Upstream) doctor.Over {
		return asked(resolver.OverTLS, up.ServeTLS(t, ca.issue(names, change...)))
	}
}

// quicFault makes a server over QUIC.
func quicFault(of resolver.Transport, names []string, talk func(up netip.AddrPort) func(*quic.Conn), protocol string) func(*testing.T, *authority, *resolvertest.Upstream) doctor.Over {
	return func(t *testing.T, ca *authority, up *resolvertest.Upstream) doctor.Over {
		return asked(of, quicServer(t, ca.issue(names), talk(up.Addr), protocol))
	}
}

// Each thing that can be wrong has its name, and a remedy.
func TestEveryFaultOfATransport(t *testing.T) {
	own := []string{resolverName}
	web := func(handler http.HandlerFunc) func(netip.AddrPort) func(*quic.Conn) {
		return func(netip.AddrPort) func(*quic.Conn) { return overHTTP3(handler) }
	}
	closed := func(of resolver.Transport) func(*testing.T, *authority, *resolvertest.Upstream) doctor.Over {
		return func(t *testing.T, _ *authority, _ *resolvertest.Upstream) doctor.Over {
			return asked(of, resolvertest.ClosedAddr(t))
		}
	}
	mute := func(of resolver.Transport) func(*testing.T, *authority, *resolvertest.Upstream) doctor.Over {
		return func(t *testing.T, _ *authority, _ *resolvertest.Upstream) doctor.Over {
			return asked(of, resolvertest.SilentAddr(t))
		}
	}
	for _, test := range []fault{
		{name: "closed", over: closed(resolver.OverUDP), cause: doctor.PortClosed, says: "nothing listens at"},
		{name: "closed", over: closed(resolver.OverTCP), cause: doctor.PortClosed, says: "nothing listens at"},
		{name: "closed", over: closed(resolver.OverTLS), cause: doctor.PortClosed, says: "open listen.dot in the configuration"},
		{name: "closed", over: closed(resolver.OverHTTPS), cause: doctor.PortClosed, says: "open listen.doh in"},
		{name: "closed", over: closed(resolver.OverQUIC), cause: doctor.PortClosed, says: "open listen.doq in"},
		{name: "closed", over: closed(resolver.OverHTTP3), cause: doctor.PortClosed, says: "open listen.doh (and not h3 = false) in"},
		{name: "blocked", over: mute(resolver.OverUDP), cause: doctor.UDPBlocked, says: "answers over TCP", quick: true},
		{name: "blocked", over: mute(resolver.OverQUIC), cause: doctor.UDPBlocked, says: "allow UDP port ", quick: true},
		{name: "blocked", over: mute(resolver.OverHTTP3), cause: doctor.UDPBlocked, says: "over UDP within 1.5s, while 127.0.0.1:", quick: true},
		{name: "hangs", over: mute(resolver.OverTCP), cause: doctor.NoReply, says: "does not answer over TCP", quick: true},
		{name: "hangs", over: mute(resolver.OverTLS), cause: doctor.HandshakeTimeout, says: "the handshake does not end", quick: true},
		{name: "wrong name", over: issued([]string{"other.contoso.net"}), cause: doctor.CertificateName, says: "answers over TLS, but not as dns.contoso.net: the certificate is for other.contoso.net"},
		{name: "wrong name", over: quicFault(resolver.OverQUIC, []string{"other.contoso.net"}, overQUIC, "doq"), cause: doctor.CertificateName, says: "answers over QUIC, but not as dns.contoso.net"},
		{name: "expired", over: issued(own, expired), cause: doctor.CertificateExpired, says: "the certificate expired on"},
		{name: "no address", over: issued(own), asks: "-", cause: doctor.CertificateNoAddress, says: "the certificate is for dns.contoso.net, not for 127.0.0.1 => ask for a name that it is for (--server-name)"},
		{name: "a stranger signed", over: func(t *testing.T, _ *authority, up *resolvertest.Upstream) doctor.Over {
			return asked(resolver.OverTLS, up.ServeTLS(t, newAuthority(t).issue(own)))
		}, cause: doctor.CertificateAuthority, says: "is not trusted here"},
		{name: "no TLS", over: func(_ *testing.T, _ *authority, up *resolvertest.Upstream) doctor.Over {
			return asked(resolver.OverTLS, serve(t, saying("220 mail.contoso.net ESMTP\r\n")))
		}, cause: doctor.NotTLS, says: "does not speak TLS"},
		{name: "another protocol", over: quicFault(resolver.OverQUIC, own, overQUIC, "h3"), cause: doctor.NoALPN, says: "speaks TLS, but not doq"},
		{name: "another protocol", over: func(t *testing.T, ca *authority, _ *resolvertest.Upstream) doctor.Over {
			settings := tlsConfig(ca.issue(own))
			settings.NextProtos = []string{"imap"}
			return asked(resolver.OverTLS, serve(t, func(conn net.Conn) { _ = tls.Server(conn, settings).Handshake() }))
		}, cause: doctor.NoALPN, says: "speaks TLS, but not dot"},
		{name: "the name is turned away", over: func(t *testing.T, ca *authority, _ *resolvertest.Upstream) doctor.Over {
			settings := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, net.ErrClosed }}
			return asked(resolver.OverTLS, serve(t, func(conn net.Conn) { _ = tls.Server(conn, settings).Handshake() }))
		}, cause: doctor.HandshakeRefused, says: "neither its certificate nor a network has the name dns.contoso.net"},
		{name: "closes at once", over: func(t *testing.T, _ *authority, _ *resolvertest.Upstream) doctor.Over {
			return asked(resolver.OverTLS, serve(t, func(net.Conn) {}))
		}, cause: doctor.HandshakeRefused},
		{name: "another version", over: func(t *testing.T, _ *authority, _ *resolvertest.Upstream) doctor.Over {
			return asked(resolver.OverQUIC, otherVersion(t))
		}, cause: doctor.QUICVersion, says: "speaks other versions of QUIC"},
		{name: "no path", over: quicFault(resolver.OverHTTP3, own, web(http.NotFound), "h3"), cause: doctor.PathNotFound, says: "answers /dns-query with status 404 Not Found"},
		{name: "no path", over: func(t *testing.T, ca *authority, up *resolvertest.Upstream) doctor.Over {
			up.Always(resolvertest.Status(http.StatusNotFound))
			return asked(resolver.OverHTTPS, up.ServeHTTPS(t, ca.issue(own)))
		}, cause: doctor.PathNotFound, says: "(--path)"},
		{name: "a proxy in between", over: quicFault(resolver.OverHTTP3, own, web(status(http.StatusBadGateway)), "h3"), cause: doctor.HTTPStatus, says: "status 502 Bad Gateway"},
		{name: "too many", over: quicFault(resolver.OverHTTP3, own, web(status(http.StatusTooManyRequests)), "h3"), cause: doctor.TooMany},
		{name: "too many", over: quicFault(resolver.OverQUIC, own, func(netip.AddrPort) func(*quic.Conn) {
			return func(conn *quic.Conn) {
				if stream, err := conn.AcceptStream(context.Background()); err == nil {
					stream.CancelWrite(4)
				}
			}
		}, "doq"), cause: doctor.TooMany},
		{name: "no DNS", over: quicFault(resolver.OverHTTP3, own, web(status(http.StatusOK)), "h3"), cause: doctor.BadReply},
		{name: "no DNS", over: quicFault(resolver.OverQUIC, own, func(netip.AddrPort) func(*quic.Conn) {
			return func(conn *quic.Conn) {
				if stream, err := conn.AcceptStream(context.Background()); err == nil {
					_, _ = stream.Write([]byte("\x00\x05hello"))
					stream.Close()
				}
			}
		}, "doq"), cause: doctor.BadReply, says: "5 bytes that are no DNS message"},
		{name: "hangs", over: quicFault(resolver.OverQUIC, own, func(netip.AddrPort) func(*quic.Conn) { return func(*quic.Conn) {} }, "doq"), cause: doctor.NoReply, says: "takes the connection and does not answer", quick: true},
		{name: "no network", over: func(t *testing.T, ca *authority, up *resolvertest.Upstream) doctor.Over {
			up.Always(resolvertest.Changed(withErrors(dns.RcodeRefused, dns.ExtendedErrorCodeProhibited, "this client belongs to no network")))
			return asked(resolver.OverTLS, up.ServeTLS(t, ca.issue(own)))
		}, cause: doctor.NoNetwork, says: `add its address to "clients" of one`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ca, up := newAuthority(t), resolvertest.StartUpstream(t)
			config := doctor.Config{Server: up.Addr, Roots: ca.roots, Timeout: patience, ServerName: zones.MustName(resolverName)}
			config.Transports = []doctor.Over{test.over(t, ca, up)}
			if test.quick {
				config.Timeout = impatience
			}
			if test.asks != "" {
				config.ServerName = zones.Name{}
				config.Catalogue = azure.New()
				report := doctor.Examine(t.Context(), config, zones.MustName(sqlName))
				wantCause(t, report, "dns-dot", test.cause, test.says)
				return
			}
			report := doctor.Reach(t.Context(), config)
			wantCause(t, report, "dns-"+config.Transports[0].Transport.Short(), test.cause, test.says)
			if want := test.cause == doctor.NoNetwork; report.OK != want {
				t.Errorf("it is reached: %v, want %v", report.OK, want)
			}
		})
	}
}

// wantCause looks for a step with a cause, and with a text in what was seen or is to be done.
func wantCause(t *testing.T, report doctor.Report, step string, cause doctor.Cause, says string) {
	t.Helper()
	for _, s := range report.Steps {
		if s.Name != step {
			continue
		}
		if text := s.Seen + " => " + s.Remedy; s.Cause != cause || !strings.Contains(text, says) || s.Remedy == "" && s.Verdict != doctor.Skipped && s.Cause != "" {
			t.Errorf("%s %s: cause %q, want %q and %q: %s", s.Verdict, s.Name, s.Cause, cause, says, text)
		}
		return
	}
	t.Errorf("there is no step %s in\n%s", step, lines(report))
}

// otherVersion is a server that knows another version of QUIC only (RFC 9000 section 6).
func otherVersion(t *testing.T) netip.AddrPort {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		for room := make([]byte, 2000); ; {
			n, from, err := socket.ReadFrom(room)
			if err != nil {
				return
			}
			if n < 20 || room[0]&0x80 == 0 {
				continue
			}
			destination := room[6 : 6+room[5]]
			rest := room[6+room[5]:]
			source := rest[1 : 1+rest[0]]
			reply := append([]byte{0x80, 0, 0, 0, 0, byte(len(source))}, source...)
			reply = append(append(reply, byte(len(destination))), destination...)
			_, _ = socket.WriteTo(append(reply, 0xaa, 0xbb, 0xcc, 0xdd), from)
		}
	}()
	return socket.LocalAddr().(*net.UDPAddr).AddrPort()
}
