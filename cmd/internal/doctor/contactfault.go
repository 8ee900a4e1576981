package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"pldns/resolver"
	"pldns/resolver/ask"
	"pldns/resolver/wire"
)

// Why a server is of no use over a transport. The names are for programs, and stay.
const (
	// PortClosed: the host says that nothing listens there.
	PortClosed Cause = "port-closed"
	// PortFiltered: nothing at all comes back.
	PortFiltered Cause = "port-filtered"
	// UDPBlocked: nothing comes back over UDP, and something does over TCP.
	UDPBlocked Cause = "udp-blocked"
	// QUICVersion: the server speaks other versions of QUIC.
	QUICVersion Cause = "quic-version"
	// HandshakeTimeout: something comes back, but the handshake does not end.
	HandshakeTimeout Cause = "handshake-timeout"
	// HandshakeRefused: the server breaks the handshake off.
	HandshakeRefused Cause = "handshake-refused"
	// NotTLS: something else is spoken at the port.
	NotTLS Cause = "not-tls"
	// NoALPN: TLS is spoken there, for another protocol.
	NoALPN Cause = "alpn-not-offered"
	// WantsCertificate: the server wants a certificate of the client.
	WantsCertificate Cause = "client-certificate"
	// PathNotFound: the server has no DNS at that path.
	PathNotFound Cause = "path-not-found"
	// HTTPStatus: it answers with another status of HTTP.
	HTTPStatus Cause = "http-status"
	// TooMany: the client asks more than its share.
	TooMany Cause = "too-many-queries"
	// NoReply: there is a connection, and no answer.
	NoReply Cause = "no-reply"
	// BadReply: what is answered is no reply to the question.
	BadReply Cause = "bad-reply"
	// NoNetwork: the client belongs to no network of the server.
	NoNetwork Cause = "no-network"
	// Refused: the server refuses the question for another reason.
	Refused Cause = "refused"
	// ServerFailure: the server could not find an answer.
	ServerFailure Cause = "server-failure"
	// NoAddressTold: the server tells of a name that has no address (RFC 9462).
	NoAddressTold Cause = "designated-without-address"
)

// What is wrong with the certificate of a server.
const (
	CertificateName      Cause = "certificate-name"              // it is for other names
	CertificateNoAddress Cause = "certificate-no-address"        // it does not hold the address
	CertificateExpired   Cause = "certificate-expired"           // it was valid
	CertificateEarly     Cause = "certificate-not-yet-valid"     // it will be
	CertificateAuthority Cause = "certificate-unknown-authority" // who signed it is not trusted here
	CertificateInvalid   Cause = "certificate-invalid"           // it does not verify for another reason
)

// setting is where pldns has the listeners for a transport.
func setting(t resolver.Transport) string {
	switch t {
	case resolver.OverUDP, resolver.OverTCP:
		return "listen.dns"
	case resolver.OverHTTP3:
		return "listen.doh (and not h3 = false)"
	default:
		return "listen." + t.Short()
	}
}

// carrier is what has to pass a firewall.
func (c contact) carrier() string {
	if c.over.IsPackets() {
		return fmt.Sprintf("UDP port %d", c.to.Port())
	}
	return fmt.Sprintf("TCP port %d", c.to.Port())
}

// fault says why there is no answer. Beside is where something comes back over TCP, if it
// does.
func (c contact) fault(timeout time.Duration, beside netip.AddrPort) fault {
	at := fmt.Sprintf("%s over %s", c.to, c.over.Title())
	var opening *ask.OpenError
	switch {
	case errors.Is(c.err, context.Canceled):
		return fault{seen: "it was broken off"}
	case isErrno(c.err, syscall.ENETUNREACH, 10051), isErrno(c.err, syscall.EHOSTUNREACH, 10065):
		return fault{NoRoute, fmt.Sprintf("there is no route to %s", c.to.Addr()), "connect the VPN, or give this machine the route"}
	case !c.over.IsEncrypted():
		return c.plainFault(timeout, beside)
	case isRefused(c.err) || c.over.IsPackets() && isReset(c.err): // Windows says of UDP that it was reset
		return fault{PortClosed, fmt.Sprintf("nothing listens at %s", at),
			fmt.Sprintf("open %s in the configuration of the server, or name the port with --transport %s:PORT", setting(c.over),
				c.over.Short())}
	case errors.As(c.err, &opening) && !c.met && isTimeout(c.err):
		return c.silence(timeout, beside)
	case errors.As(c.err, &opening):
		return c.notOpened(at, timeout)
	default:
		return c.unanswered(at, timeout)
	}
}

// plainFault is fault for UDP and TCP.
func (c contact) plainFault(timeout time.Duration, beside netip.AddrPort) (f fault) {
	f.seen, f.remedy = noReply(answer{server: c.to, err: c.err}, c.over.Title(), timeout)
	switch {
	case errors.Is(c.err, errOdd), errors.Is(c.err, ask.ErrReply):
		f.cause = BadReply
	case isTimeout(c.err) && beside.IsValid():
		f.cause = UDPBlocked
		f.seen += fmt.Sprintf(", while %s answers over TCP", beside)
	case isTimeout(c.err) && !c.met:
		f.cause = PortFiltered
	case isTimeout(c.err):
		f.cause = NoReply
	case isRefused(c.err), c.over.IsPackets() && isReset(c.err):
		f.cause = PortClosed
	}
	return f
}

// silence is the fault of a port from which nothing comes back.
func (c contact) silence(timeout time.Duration, beside netip.AddrPort) fault {
	if c.over.IsPackets() && beside.IsValid() {
		return fault{UDPBlocked,
			fmt.Sprintf("nothing comes back from %s over UDP within %s, while %s answers over TCP", c.to, timeout, beside),
			fmt.Sprintf("allow %s, and not only TCP, in the firewalls and network security groups between here and the server, and in "+
				"that of its host; at the server, %s has to be open, and /readyz says whether it answers there. Clients go on over TCP "+
				"meanwhile", c.carrier(), setting(c.over))}
	}
	return fault{PortFiltered, fmt.Sprintf("nothing comes back from %s over %s within %s", c.to, c.over.Title(), timeout),
		fmt.Sprintf("check that this is the address of the server, that the route to it is right, and that no firewall or network "+
			"security group drops %s", c.carrier())}
}

// notOpened is the fault of a handshake that fails.
func (c contact) notOpened(at string, timeout time.Duration) fault {
	var version *quic.VersionNegotiationError
	var record tls.RecordHeaderError
	var broken *quic.TransportError
	alert, alerted := alertOf(c.err)
	switch {
	case errors.As(c.err, &version):
		return fault{QUICVersion, fmt.Sprintf("%s speaks other versions of QUIC: %v", at, version.Theirs),
			"have a server there that speaks version 1 (RFC 9000)"}
	case errors.As(c.err, &record):
		return fault{NotTLS, fmt.Sprintf("%s does not speak TLS", at), "name the port of the server's encrypted listener"}
	case alerted && alert == alertNoProtocol:
		return fault{NoALPN, fmt.Sprintf("%s speaks TLS, but not %s", at, strings.Join(c.over.ALPN(), " or ")),
			fmt.Sprintf("this port is for another protocol: name that of %s with --transport %s:PORT", setting(c.over), c.over.Short())}
	case alerted && alert == alertNoCertificate:
		return wantsCertificate(at)
	case alerted:
		return fault{HandshakeRefused, fmt.Sprintf("%s breaks the handshake off: %s", at, foreign(alert.Error())),
			fmt.Sprintf("pldns does that where neither its certificate nor a network has the name %s: give one of them with "+
				"--server-name", c.host)}
	case errors.As(c.err, &broken) && broken.Remote:
		return fault{HandshakeRefused, fmt.Sprintf("%s refuses the connection: %s", at, foreign(broken.Error())),
			"pldns does that to a client in trust.proxy_protocol, which QUIC has no header for, to one that has too many handshakes " +
				"under way, and while it stops"}
	case isTimeout(c.err):
		return fault{HandshakeTimeout, fmt.Sprintf("%s is there, but the handshake does not end within %s", at, timeout),
			"look for something on the way that drops large packets (MTU of the tunnel), and at the load of the server"}
	case errors.Is(c.err, io.EOF), errors.Is(c.err, io.ErrUnexpectedEOF), isReset(c.err), errors.Is(c.err, syscall.EPIPE):
		return fault{HandshakeRefused, fmt.Sprintf("%s closes the connection before the handshake ends", at),
			"look for a firewall that inspects TLS, and at the log of the server: it may have too many connections, or want a PROXY header"}
	default:
		return fault{HandshakeRefused, fmt.Sprintf("there is no connection to %s: %s", at, foreign(c.err.Error())),
			"check the address and the port"}
	}
}

// unanswered is the fault of a connection over which there is no answer.
func (c contact) unanswered(at string, timeout time.Duration) fault {
	var status *ask.StatusError
	alert, alerted := alertOf(c.err)
	switch {
	case errors.As(c.err, &status):
		return c.status(at, status.Code)
	case alerted && alert == alertNoCertificate:
		return wantsCertificate(at)
	case isExcessive(c.err):
		return fault{TooMany, fmt.Sprintf("%s turns the question away: there are too many", at), "ask less, or later"}
	case errors.Is(c.err, errOdd), errors.Is(c.err, ask.ErrReply):
		return fault{BadReply, fmt.Sprintf("%s sends no reply to the question: %s", at, foreign(c.err.Error())),
			"check that this is the address of a DNS server, and that nothing on the way answers in its place"}
	case isTimeout(c.err):
		return fault{NoReply, fmt.Sprintf("%s takes the connection and does not answer within %s", at, timeout),
			"look at the log and /readyz of the server"}
	default:
		return fault{NoReply, fmt.Sprintf("%s takes the connection and ends it without an answer: %s", at, foreign(c.err.Error())),
			"look at the log of the server"}
	}
}

// status is the fault of a response without a DNS message.
func (c contact) status(at string, code int) fault {
	seen := fmt.Sprintf("%s answers %s with status %d %s", at, c.path, code, http.StatusText(code))
	switch code {
	case http.StatusNotFound:
		return fault{PathNotFound, seen, "ask at /dns-query, or at /dns-query/ and a doh_path of a network (--path)"}
	case http.StatusTooManyRequests:
		return fault{TooMany, seen, "ask less, or later"}
	case http.StatusMisdirectedRequest:
		return fault{CertificateName, seen, "ask for the name in the handshake, too: --server-name"}
	default:
		return fault{HTTPStatus, seen, "check that this is the URL of a DNS server, and what a proxy before it makes of POST"}
	}
}

func wantsCertificate(at string) fault {
	return fault{WantsCertificate, fmt.Sprintf("%s wants a certificate of its clients, which this command has none of", at),
		"pldns itself only asks for one (tls.client_ca): look at what is before it"}
}

// Alerts of TLS (RFC 8446 section 6, RFC 7301).
const (
	alertNoCertificate tls.AlertError = 116
	alertNoProtocol    tls.AlertError = 120
)

// alertOf is the alert by which the other side ended a handshake.
func alertOf(err error) (tls.AlertError, bool) {
	var over *quic.TransportError
	if errors.As(err, &over) && over.Remote && over.ErrorCode.IsCryptoError() {
		return tls.AlertError(over.ErrorCode - 0x100), true
	}
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" || remote.Err == nil {
		return 0, false
	}
	for alert := range tls.AlertError(255) { // the library has the number for itself
		if alert.Error() == remote.Err.Error() {
			return alert, true
		}
	}
	return 0, true
}

// isExcessive tells whether an error says that the client asks too much, over QUIC.
func isExcessive(err error) bool {
	var connection *quic.ApplicationError
	var stream *quic.StreamError
	var web *http3.Error
	switch {
	case errors.As(err, &web):
		return web.ErrorCode == http3.ErrCodeExcessiveLoad
	case errors.As(err, &connection):
		return connection.Remote && connection.ErrorCode == wire.DoQExcessiveLoad
	default:
		return errors.As(err, &stream) && stream.Remote && stream.ErrorCode == wire.DoQExcessiveLoad
	}
}

// causeOf is why an answer is of no use; empty where it is for another reason than the
// server.
func causeOf(a answer) Cause {
	switch {
	case a.rcode == dns.RcodeRefused && a.prohibits && !strings.Contains(strings.Join(a.errors, " "), "no endpoint"):
		return NoNetwork
	case a.rcode == dns.RcodeRefused:
		return Refused
	case a.rcode == dns.RcodeServerFailure:
		return ServerFailure
	default:
		return ""
	}
}
