package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// mannersFor is how long it is remembered that a server cannot do something.
const mannersFor = 15 * time.Minute

// server is one server of a group and what is known of it.
type server struct {
	Server
	group    string
	observer Observer
	now      func() time.Time
	buffers  sync.Pool // of *[receiveSize]byte

	plainUntil    atomic.Int64 // no OPT record until then, in Unix nanoseconds
	sameCaseUntil atomic.Int64 // names in lower case until then
}

// newServer makes a server of the group that c describes.
func newServer(s Server, c Config) *server {
	if s.Text == "" {
		s.Text = s.Addr.String()
	}
	return &server{
		Server: s, group: c.Name, observer: c.Observer, now: time.Now,
		buffers: sync.Pool{New: func() any { return new([receiveSize]byte) }},
	}
}

// ask asks the server once, and again by the by where it wants to be asked in
// another manner. An error is a [Failure], or of a question that cannot be
// written.
func (s *server) ask(ctx context.Context, q resolver.Question) (resolver.Reply, error) {
	msg, err := s.converse(ctx, q)
	if err != nil {
		if failure := (*Failure)(nil); !errors.As(err, &failure) {
			err = &Failure{s.Text, Malformed, err}
		}
		return resolver.Reply{}, err
	}
	reply, err := scrub(q, msg)
	if err != nil {
		return resolver.Reply{}, &Failure{s.Text, Lame, err}
	}
	reply.Source, reply.Group, reply.Server = resolver.FromUpstream, s.group, s.Text
	if refusal := s.refusal(reply.Rcode); refusal != "" {
		reply.Errors = append(reply.Errors, resolver.Error{Code: dns.ExtendedErrorCodeOther, Text: refusal})
	}
	return reply, nil
}

// refusal says in words that the server refused or failed; empty if it did not.
func (s *server) refusal(rcode int) string {
	if !failing(rcode) {
		return ""
	}
	return fmt.Sprintf("upstream %s: %s answered %s", s.group, s.Text, dns.RcodeToString[rcode])
}

// failing tells whether another server should be asked after this rcode.
func failing(rcode int) bool {
	return rcode == dns.RcodeServerFailure || rcode == dns.RcodeRefused
}

// converse asks in the manner the server is known to want, and once more without
// an OPT record if it turns out not to know them (RFC 6891 section 6.2.2).
func (s *server) converse(ctx context.Context, q resolver.Question) (*dns.Msg, error) {
	m := manners{plain: s.remembers(&s.plainUntil), sameCase: s.remembers(&s.sameCaseUntil)}
	msg, err := s.send(ctx, q, m)
	if err != nil || m.plain || !puzzled(msg.Rcode) {
		return msg, err
	}
	m.plain = true
	msg, err = s.send(ctx, q, m)
	if err == nil && !puzzled(msg.Rcode) {
		s.remember(&s.plainUntil)
	}
	return msg, err
}

// puzzled tells whether a server says that it did not understand the query.
func puzzled(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
}

// send asks over the server's transport. Over UDP, what was cut off or looks
// forged is asked again over TCP.
func (s *server) send(ctx context.Context, q resolver.Question, m manners) (*dns.Msg, error) {
	if s.Transport == TCP {
		msg, _, err := s.askStream(ctx, q, m)
		return msg, err
	}
	msg, err := s.askUDP(ctx, q, m)
	switch {
	case errors.Is(err, errRecased):
		return s.confirm(ctx, q, m)
	case errors.Is(err, errSuspect), err == nil && msg.Truncated:
		msg, _, err = s.askStream(ctx, q, m)
	}
	return msg, err
}

// confirm deals with a reply whose letter case is wrong: it may be forged, or
// come from a server that does not keep the case. TCP tells which. A server that
// breaks the case there too, or has no TCP, is asked in lower case for a while.
func (s *server) confirm(ctx context.Context, q resolver.Question, m manners) (*dns.Msg, error) {
	msg, sameCase, err := s.askStream(ctx, q, m)
	if err == nil && sameCase {
		return msg, nil
	}
	s.remember(&s.sameCaseUntil)
	if err == nil {
		return msg, nil
	}
	m.sameCase = true
	return s.askUDP(ctx, q, m)
}

// remembers tells whether a memory of manners still holds.
func (s *server) remembers(until *atomic.Int64) bool {
	return s.now().UnixNano() < until.Load()
}

// remember keeps a memory of manners for a while.
func (s *server) remember(until *atomic.Int64) {
	until.Store(s.now().Add(mannersFor).UnixNano())
}

// failure makes a Failure of an error of the network. When ctx has ended it was
// the wait that ended.
func (s *server) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &Failure{s.Text, TimedOut, ctx.Err()}
	}
	return &Failure{s.Text, Unreachable, err}
}
