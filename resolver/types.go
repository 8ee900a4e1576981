package resolver

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Question is what is asked: of this resolver by a client, or of an upstream by
// this resolver. The class is always IN. It is comparable, and with the name of
// an upstream group it says everything that an upstream's answer depends on.
type Question struct {
	Name             zones.Name
	Type             uint16
	DNSSEC           bool // the DO bit: signatures are wanted (RFC 3225)
	CheckingDisabled bool // the CD bit: the client validates itself (RFC 4035 section 3.2.2)
}

// Reply is what the outside said to a Question. Its records belong to the chain
// of that question and to nothing else; whoever makes a Reply has dropped the
// rest. Slices and records are shared and must not be changed.
type Reply struct {
	Rcode         int
	Answer        []dns.RR // CNAMEs in chain order, then the records asked for
	Authority     []dns.RR // of a negative answer: the SOA, with DNSSEC also the proof
	Authenticated bool     // the AD bit of the upstream
	Errors        []Error  // what the upstream, or the way to it, said about a failure
	Source        Source
	Group         string // the upstream group
	Server        string // the server that answered, as its group names it
}

// Error is an extended DNS error (RFC 8914): an info code and a text for people.
type Error struct {
	Code uint16
	Text string
}

// Source tells where an answer, or the part of it that decided, came from.
type Source uint8

// The sources of an answer.
const (
	FromNowhere  Source = iota // refused or failed: nobody answered
	FromLocal                  // an endpoint or record of the asker's network
	FromUpstream               // asked just now
	FromCache                  // said by an upstream before, and still valid
	FromStale                  // said before, expired, and the upstream fails (RFC 8767)
)

// String is the word used in explanations, logs and metrics.
func (s Source) String() string {
	return [...]string{"none", "local", "upstream", "cache", "stale"}[s]
}

// ErrOverload is in the chain of an error that says nothing about the question:
// it was not asked, because too much is under way.
var ErrOverload = errors.New("too much is under way")

// Exchanger asks the outside. Exchange returns before ctx ends, or soon after;
// it is called by many goroutines at once. An error means that nothing usable
// was said; SERVFAIL and REFUSED of an upstream are Replies.
type Exchanger interface {
	Exchange(ctx context.Context, q Question) (Reply, error)
}

// Starter is an Exchanger that can do without a goroutine that waits.
type Starter interface {
	Exchanger
	// Start begins to ask q and returns at once. If it is true, to is told what
	// Exchange would have returned, once, at the deadline or soon after at the
	// latest, by a goroutine of the Starter. If it is false, nothing has happened
	// and nobody is told anything: this question is one for Exchange.
	Start(deadline time.Time, q Question, to Asker) bool
}

// Asker is told what came of a question. Replied must not wait for anything.
type Asker interface {
	Replied(reply Reply, err error)
}
