package secondary

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"pldns/resolver/tsig"
)

// failure is why an attempt at a primary failed.
type failure struct {
	reason Reason
	err    error
	silent bool // there is no connection to the server, for whatever zone
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// fail makes a failure.
func fail(reason Reason, format string, args ...any) error {
	return &failure{reason: reason, err: fmt.Errorf(format, args...)}
}

// reasonOf is why an attempt failed.
func reasonOf(err error) Reason {
	var f *failure
	if errors.As(err, &f) {
		return f.reason
	}
	return Malformed
}

// isSilent tells whether an attempt failed because there is no connection.
func isSilent(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.silent
}

// unconnected is the failure to open a connection.
func unconnected(err error, within time.Duration) error {
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &verification), errors.As(err, &unknown), errors.As(err, &wrongName), errors.As(err, &invalid):
		return fail(Certificate, "its certificate is not good: %w", err)
	case isTimeout(err), errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no connection within %v", within)
	default:
		err = fmt.Errorf("no connection: %w", err)
	}
	return &failure{reason: Unreachable, err: err, silent: true}
}

// unread is the failure to read the next message, the first one or a later one.
func unread(err error, first bool, waited time.Duration) error {
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	switch {
	case first && isTimeout(err):
		return fail(Unreachable, "no answer within %v", waited.Round(time.Second))
	case first && ended:
		return fail(Unreachable, "it closed the connection without an answer")
	case first:
		return fail(Unreachable, "no answer: %w", err)
	case isTimeout(err):
		return fail(BrokenOff, "the transfer is too slow, or stopped in the middle")
	case ended:
		return fail(BrokenOff, "it closed the connection in the middle of the transfer")
	}
	return fail(BrokenOff, "in the middle of the transfer: %w", err)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// unsigned is what is wrong with the signature of a reply. A server that refuses may not sign that.
func unsigned(err error) error {
	var fault *tsig.Fault
	if errors.As(err, &fault) || errors.Is(err, tsig.ErrMissing) {
		return fail(Signature, "%w", wording{err})
	}
	return fail(Malformed, "%w", wording{err})
}

// wording puts a subject before what package tsig says of a message.
type wording struct{ error }

func (w wording) Error() string {
	var fault *tsig.Fault
	if errors.As(w.error, &fault) {
		return w.error.Error()
	}
	return "of a reply: " + w.error.Error()
}

func (w wording) Unwrap() error { return w.error }

// maxText is how many octets of a fault are kept: a foreign server has a say in it.
const maxText = 300

// text puts an error into one short line.
func text(err error) string {
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	if len(line) > maxText {
		line = strings.ToValidUTF8(line[:maxText], "") + "..."
	}
	return line
}
