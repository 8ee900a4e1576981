package resolver

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

// Coded is an error of an [Exchanger] that knows its info code (RFC 8914).
type Coded interface {
	error
	InfoCode() uint16
}

// refused is the answer to what is not served.
func refused(code uint16, text string) Answer {
	return Answer{Rcode: dns.RcodeRefused, Errors: []Error{{code, text}}}
}

// failed is the answer where there should have been one.
func failed(code uint16, text string) Answer {
	return Answer{Rcode: dns.RcodeServerFailure, Errors: []Error{{code, text}}}
}

// failure turns an error of an upstream group into an answer. The text tells a
// client no more than the name of the group; the error itself is for the trace.
func failure(group string, err error) Answer {
	var coded Coded
	switch {
	case errors.Is(err, wire.ErrTooLong):
		return failed(dns.ExtendedErrorCodeOther, wire.ErrTooLong.Error())
	case errors.As(err, &coded):
		return failed(coded.InfoCode(), fmt.Sprintf("upstream %s gave no answer", group))
	case errors.Is(err, ErrOverload):
		return failed(dns.ExtendedErrorCodeOther, fmt.Sprintf("upstream %s has too much under way", group))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return failed(dns.ExtendedErrorCodeNoReachableAuthority, fmt.Sprintf("upstream %s did not answer in time", group))
	default:
		return failed(dns.ExtendedErrorCodeNetworkError, fmt.Sprintf("upstream %s could not be asked", group))
	}
}

// unanswered passes on a response code of an upstream group that is no answer. It
// always says why: in the group's words, or that it said nothing else.
func unanswered(group string, reply Reply) Answer {
	errors := reply.Errors
	if len(errors) == 0 {
		errors = []Error{{dns.ExtendedErrorCodeOther, fmt.Sprintf("upstream %s answered %s", group, wire.RcodeName(reply.Rcode))}}
	}
	return Answer{Rcode: reply.Rcode, Errors: errors}
}
