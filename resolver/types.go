package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/udpio"
	"pldns/resolver/wire"
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
// rest. It says them in one of two forms: in Wire, as a message that repeats the
// question, or else in Answer and Authority. Whoever needs one form calls Packed or
// Unpacked. Messages, slices and records are shared and must not be changed.
type Reply struct {
	Rcode         int
	Wire          wire.Message // zero if it is the following that is said
	Answer        []dns.RR     // CNAMEs in chain order, then the records asked for
	Authority     []dns.RR     // of a negative answer: the SOA, with DNSSEC also the proof
	Errors        []Error      // what the upstream, or the way to it, said about a failure
	Authenticated bool         // the AD bit of the upstream
	Source        Source
	Group         string // the upstream group
	Server        string // the server that answered, as its group names it
}

// Packed is the reply to q in wire form. It is an error if the records have none, or
// need more room than a message has.
func (r Reply) Packed(q Question) (Reply, error) {
	if !r.Wire.IsZero() {
		return r, nil
	}
	packed, err := wire.Pack(q.Name.FQDN(), q.Type, wire.QR|uint16(r.Rcode)&wire.Rcodes, r.Answer, r.Authority)
	if err != nil {
		return r, unpackable{fmt.Errorf("put the reply about %s into a message: %w", q.Name, err)}
	}
	r.Wire, r.Answer, r.Authority = packed, nil, nil
	return r, nil
}

// unpackable says that a reply has no wire form.
type unpackable struct{ error }

func (unpackable) InfoCode() uint16 { return dns.ExtendedErrorCodeInvalidData }
func (u unpackable) Unwrap() error  { return u.error }

// Unpacked is the reply in the form of records.
func (r Reply) Unpacked() Reply {
	if !r.Wire.IsZero() {
		r.Answer, r.Authority = unpacked(r.Wire)
		r.Wire = wire.Message{}
	}
	return r
}

// unpacked are the records of a message. One that cannot be read has none: whoever made
// it has seen to it that it can.
func unpacked(m wire.Message) (answer, authority []dns.RR) {
	answer, authority, err := m.Unpack()
	if err != nil {
		return nil, nil
	}
	return answer, authority
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
	FromLocal                  // an endpoint or record of the asker's network, a copy of a zone, or a policy that it is held to
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

// Asker is on whose behalf a question is asked outside. It is no part of the
// question: what upstreams are sent, and what is remembered, never depends on it.
// What is scarce is shared out by it. The zero value is this program itself.
type Asker struct {
	Network string        // by name
	Client  netip.Prefix  // the addresses that count as one client
	Worker  *udpio.Worker // that works on it in a batch, and calls Start; nil for everybody else
	AtOnce  bool          // nothing is asked: what is not known already is [ErrUnknown]
}

// ErrUnknown is why there is no reply for an [Asker] who does not wait for one.
var ErrUnknown = errors.New("nothing is known without asking")

// Exchanger asks the outside. Start gives what is known of q at once, or begins
// to ask and returns without waiting: then pending is true, and done is told what
// came of it, exactly once, at the deadline or soon after at the latest, maybe
// before Start has returned. A zero deadline stands for one of the Exchanger's own.
// Done is called by whoever learnt the outcome, often on behalf of many others, so
// it must not wait for anything.
//
// An error means that nothing usable was said; SERVFAIL and REFUSED of an upstream
// are Replies. Start is called by many goroutines at once.
type Exchanger interface {
	Start(q Question, from Asker, deadline time.Time, done func(Reply, error)) (reply Reply, pending bool, err error)
}

// Exchange is Start for those who wait: until ctx ends, or the deadline that it has. The
// reply is in the form of records. The error is that of the Exchanger, or says that ctx
// has ended.
func Exchange(ctx context.Context, to Exchanger, q Question, from Asker) (Reply, error) {
	type outcome struct {
		reply Reply
		err   error
	}
	told := make(chan outcome, 1)
	deadline, _ := ctx.Deadline()
	reply, pending, err := to.Start(q, from, deadline, func(reply Reply, err error) { told <- outcome{reply, err} })
	if !pending {
		return reply.Unpacked(), err
	}
	select {
	case o := <-told:
		return o.reply.Unpacked(), o.err
	case <-ctx.Done():
		return Reply{}, fmt.Errorf("ask about %s: %w", q.Name, context.Cause(ctx))
	}
}
