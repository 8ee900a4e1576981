package tsig

import (
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

var (
	// ErrMissing says that a message is not signed which has to be.
	ErrMissing = errors.New("it is not signed")
	// ErrMalformed says that a message or its TSIG record cannot be read (FORMERR).
	ErrMalformed = errors.New("its signature cannot be read")
)

// Fault is what is wrong with a signature (RFC 8945 section 5.2).
type Fault struct {
	// Code is the extended response code: BADSIG, BADKEY, BADTIME or BADTRUNC.
	Code uint16
	// Told says that the other side found it in what was sent to it.
	Told bool
	// Skew is by how much the clock of the other side is ahead, for BADTIME.
	Skew time.Duration
}

// Error says what is wrong, and where to look.
func (f *Fault) Error() string {
	code := dns.RcodeToString[int(f.Code)]
	switch f.Code {
	case dns.RcodeBadSig: // named by its number elsewhere: 16 is BADVERS, too
		code = "BADSIG"
		if f.Told {
			return code + ": the server says that the signature is wrong: do both have the same secret for this key?"
		}
		return code + ": the signature is wrong: do both have the same secret for this key?"
	case dns.RcodeBadKey:
		if f.Told {
			return code + ": the server does not know this key, or has another algorithm for it"
		}
		return code + ": it is signed with another key or algorithm"
	case dns.RcodeBadTime:
		return code + ": " + clocks(f.Skew)
	case dns.RcodeBadTrunc:
		return code + ": the signature is too short"
	}
	return fmt.Sprintf("the server says %s (%d) of the signature", code, f.Code)
}

func clocks(skew time.Duration) string {
	side := "ahead of"
	if skew < 0 {
		side = "behind"
	}
	if skew.Abs() >= 100*365*24*time.Hour {
		return "the clocks of both servers differ by more than a hundred years"
	}
	return fmt.Sprintf("the clocks of both servers differ: the other one is %s %s this one", skew.Abs(), side)
}
