package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"pldns/zones"
)

// handshake goes over to TLS on a connection as the clients of a protocol do, and
// gives the certificates of the server. It closes the connection. The error may
// come with certificates: a server may turn a client away after showing them.
func handshake(ctx context.Context, conn net.Conn, protocol Protocol, name zones.Name, timeout time.Duration) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer conn.Close()
	// Closing ends every read and write that the context should end.
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	var shown []*x509.Certificate
	settings := &tls.Config{
		ServerName: name.String(),
		// Judged by judge, which also looks at certificates that are not for name.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			shown = state.PeerCertificates
			return nil
		},
	}
	err := secure(conn, protocol, settings)
	if ctx.Err() != nil {
		err = ctx.Err() // and not that the connection was closed
	}
	return shown, err
}

// secure does the preface of a protocol and the TLS handshake.
func secure(conn net.Conn, protocol Protocol, settings *tls.Config) error {
	var err error
	switch protocol {
	case SQLServer:
		// Inside TDS packets nothing may follow the handshake, and with TLS 1.3
		// session tickets do. Drivers stop at 1.2 here for the same reason.
		settings.MaxVersion = tls.VersionTLS12
		conn, err = startTDS(conn)
	case PostgreSQL:
		conn, err = startPostgres(conn)
	case MySQL:
		conn, err = startMySQL(conn)
	}
	if err != nil {
		return err
	}
	return tls.Client(conn, settings).Handshake()
}

// handshakeFault says why there is no certificate to look at.
func handshakeFault(protocol Protocol, err error, timeout time.Duration) (seen, remedy string) {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.Is(err, context.Canceled):
		return "it was broken off", ""
	case isTimeout(err):
		return fmt.Sprintf("it takes the connection and says nothing within %s", timeout),
			fmt.Sprintf("check that the service at this port speaks %s, and that no firewall holds the connection", protocol.title())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isReset(err), errors.Is(err, syscall.EPIPE):
		return "it closes the connection before showing a certificate",
			"check that the private endpoint connection is approved, and that no firewall inspects TLS on the way"
	case errors.As(err, &record):
		return "it does not speak TLS at this port", "name the port with --port and what is spoken there with --protocol"
	case errors.Is(err, errTDSNoEncryption), errors.Is(err, errPostgresNoTLS), errors.Is(err, errMySQLNoTLS):
		return err.Error(), "turn TLS on at the server; the services of Azure always offer it, so check that this is the right address"
	case errors.Is(err, errTDSNoPrelogin), errors.Is(err, errPostgresNone), errors.Is(err, errMySQLNone):
		return foreign(err.Error()), "check the address and the port, and say what is spoken there with --protocol"
	case errors.As(err, &alert):
		return "the TLS handshake failed: " + foreign(err.Error()), "check the address: another server may be there"
	default:
		return "there is no certificate to look at: " + foreign(err.Error()), "check the address and the port"
	}
}

// fault is one thing that is wrong.
type fault struct {
	cause        Cause
	seen, remedy string
}

// judgement is what a certificate is worth for a name.
type judgement struct {
	leaf   *x509.Certificate
	named  bool // it is for the name
	faults []fault
}

// judge holds the certificates of a server against the real name, or an address. Nil roots
// are those of the system.
func judge(certificates []*x509.Certificate, host string, roots *x509.CertPool, now time.Time) judgement {
	leaf := certificates[0]
	j := judgement{leaf: leaf, named: leaf.VerifyHostname(host) == nil}
	if !j.named {
		cause, remedy := CertificateName, "ask for a name that the certificate is for, or have one made for this name"
		if _, err := netip.ParseAddr(host); err == nil {
			cause = CertificateNoAddress
			remedy = "ask for a name that it is for (--server-name), or put the address among its alternative names"
		}
		j.add(cause, fmt.Sprintf("the certificate is for %s, not for %s", namesOf(leaf), host), remedy)
	}
	switch {
	case now.After(leaf.NotAfter):
		j.add(CertificateExpired, fmt.Sprintf("the certificate expired on %s", day(leaf.NotAfter)),
			"renew it at the server, or set this machine's clock right")
	case now.Before(leaf.NotBefore):
		j.add(CertificateEarly, fmt.Sprintf("the certificate is not valid before %s", day(leaf.NotBefore)),
			"set this machine's clock right")
	default:
		if err := trust(certificates, roots, now); err != nil {
			j.add(trustFault(leaf, err))
		}
	}
	return j
}

func (j *judgement) add(cause Cause, seen, remedy string) {
	j.faults = append(j.faults, fault{cause, seen, remedy})
}

// seenOf is what was seen of several faults, and remediesOf what to do about them.
func seenOf(faults []fault) string {
	var texts []string
	for _, f := range faults {
		texts = append(texts, f.seen)
	}
	return strings.Join(texts, "; ")
}

func remediesOf(faults []fault) string {
	var texts []string
	for _, f := range faults {
		if f.remedy != "" {
			texts = append(texts, f.remedy)
		}
	}
	return strings.Join(texts, "; ")
}

// trust verifies the chain of a certificate, without its name.
func trust(certificates []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	others := x509.NewCertPool()
	for _, certificate := range certificates[1:] {
		others.AddCert(certificate)
	}
	_, err := certificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: now})
	return err
}

// trustFault says why a chain does not verify.
func trustFault(leaf *x509.Certificate, err error) (cause Cause, seen, remedy string) {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return CertificateAuthority, fmt.Sprintf("the certificate is signed by %s, which is not trusted here", issuerOf(leaf)),
			"check that no firewall inspects TLS on the way; if the signer is to be trusted, name its certificate with --ca"
	}
	return CertificateInvalid, "the certificate does not verify: " + foreign(err.Error()), "look at the chain that the server sends"
}

// maxNames is how many names of a certificate are told.
const maxNames = 4

// namesOf are the names that a certificate is for.
func namesOf(leaf *x509.Certificate) string {
	names := slices.Clone(leaf.DNSNames)
	for _, addr := range leaf.IPAddresses {
		names = append(names, addr.String())
	}
	if len(names) == 0 {
		if leaf.Subject.CommonName == "" {
			return "no name"
		}
		return "no name but the subject " + foreign(leaf.Subject.CommonName)
	}
	told := make([]string, 0, maxNames)
	for _, name := range names[:min(len(names), maxNames)] {
		told = append(told, foreign(name))
	}
	text := strings.Join(told, ", ")
	if more := len(names) - maxNames; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// issuerOf is who signed a certificate.
func issuerOf(leaf *x509.Certificate) string {
	if name := leaf.Issuer.CommonName; name != "" {
		return foreign(name)
	}
	if name := leaf.Issuer.String(); name != "" {
		return foreign(name)
	}
	return "a signer without a name"
}

// describe says what a good certificate is.
func describe(leaf *x509.Certificate) string {
	return fmt.Sprintf("%s, signed by %s, valid until %s", namesOf(leaf), issuerOf(leaf), day(leaf.NotAfter))
}

// day is a point in time as it stands in a message.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
