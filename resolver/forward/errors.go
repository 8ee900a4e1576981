package forward

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// ErrShed says that a question was not asked because the group has too much
// under way already. It is found with [errors.Is].
var ErrShed = fmt.Errorf("the question was not asked: %w", resolver.ErrOverload)

// Reason is why a server gave nothing usable.
type Reason uint8

// The reasons.
const (
	TimedOut    Reason = iota // it said nothing in time
	Unreachable               // the network, or the server's system, refused
	Malformed                 // its reply cannot be read
	Lame                      // it does not recurse: its reply refers to other servers
	Looping                   // it leads back to this program
)

// String is the word used in metrics and messages.
func (r Reason) String() string {
	return [...]string{"timeout", "network", "malformed", "lame", "loop"}[r]
}

// Failure is one query that brought nothing usable.
type Failure struct {
	Server string
	Reason Reason
	Err    error // what exactly happened; nil where the reason says it all
}

// maxFailureText bounds what is said about what exactly happened, in octets.
const maxFailureText = 400

// Error says what happened and to whom. The text is safe to show.
func (f *Failure) Error() string {
	switch {
	case f.Reason == TimedOut:
		return f.Server + " did not answer in time"
	case f.Reason == Looping && f.Err != nil:
		return fmt.Sprintf("%s leads %s back to this program: remove its forwarder for them", f.Server, f.Err)
	case f.Reason == Looping:
		return f.Server + " leads back to this program: name another server"
	case f.Err == nil:
		return fmt.Sprintf("%s: %s", f.Server, f.Reason)
	default:
		// What a server sends may be in it, as its HTTP status or its certificate.
		return fmt.Sprintf("%s: %s: %s", f.Server, f.Reason, resolver.CleanText(f.Err.Error(), maxFailureText))
	}
}

// Unwrap is what exactly happened. It is nil where no more than the reason is known.
func (f *Failure) Unwrap() error { return f.Err }

// Error says that no server of a group said anything usable.
type Error struct {
	Group    string
	Failures []*Failure // in the order in which they happened
}

// Error names the group, its servers and what happened to each.
func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "ask upstream %s", e.Group)
	seen := make(map[string]int)
	for _, f := range e.Failures {
		seen[f.Error()]++
	}
	for _, f := range e.Failures {
		what := f.Error()
		switch n := seen[what]; n {
		case 0:
			continue
		case 1:
			fmt.Fprintf(&text, ": %s", what)
		default:
			fmt.Fprintf(&text, ": %s (%d times)", what, n)
		}
		seen[what] = 0
	}
	return text.String()
}

// Unwrap is every failure.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Failures))
	for i, f := range e.Failures {
		errs[i] = f
	}
	return errs
}

// Timeout tells whether some server was silent, rather than all of them out of
// reach.
func (e *Error) Timeout() bool {
	for _, f := range e.Failures {
		if f.Reason == TimedOut {
			return true
		}
	}
	return false
}

// InfoCode is the extended DNS error that fits (RFC 8914 section 4): no
// reachable authority where servers were silent, a network error where they
// could not be reached, or made no sense.
func (e *Error) InfoCode() uint16 {
	if e.Timeout() {
		return dns.ExtendedErrorCodeNoReachableAuthority
	}
	return dns.ExtendedErrorCodeNetworkError
}
