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
	group   string
	now     func() time.Time
	talk    func(context.Context, resolver.Question) (*dns.Msg, error)
	buffers sync.Pool // of *[receiveSize]byte
	stock   *stock    // of sockets for UDP
	streams *keeper   // over TCP or TLS
	web     *web      // nil unless it is asked over HTTPS
	cookies cookies
	health  health
	fell    chan struct{} // holds a token when the server became unhealthy
	loop    atomic.Bool   // it leads back to this program
	suspect func(Suspicion)

	inFlight      atomic.Int64
	plainUntil    atomic.Int64 // no OPT record until then, in Unix nanoseconds
	sameCaseUntil atomic.Int64 // names in lower case until then
}

// newServer makes a server of the group that c describes.
func newServer(s Server, c Config) *server {
	s.Text = s.name()
	made := &server{
		group: c.Name, now: time.Now,
		buffers: sync.Pool{New: func() any { return new([receiveSize]byte) }},
		fell:    make(chan struct{}, 1),
	}
	if s.Transport == HTTPS {
		s.ServerName, _, _ = s.origin()
		made.web = c.newWeb(s)
	}
	made.Server, made.streams = s, &keeper{dial: c.dialer(s)}
	made.stock = newStock(made)
	made.talk = made.converse
	return made
}

// ask asks the server once, and again by the by where it wants to be asked in
// another manner. An error is a [Failure].
func (s *server) ask(ctx context.Context, q resolver.Question) (resolver.Reply, error) {
	msg, err := s.talk(ctx, q)
	return s.reply(q, reading{msg, err})
}

// reply makes a reply to q of what was read. An error is a [Failure].
func (s *server) reply(q resolver.Question, read reading) (resolver.Reply, error) {
	if err := read.err; err != nil {
		if !errors.As(err, new(*Failure)) {
			err = &Failure{s.Text, Malformed, err}
		}
		return resolver.Reply{}, err
	}
	reply, err := scrub(q, read.msg)
	if err != nil {
		return resolver.Reply{}, &Failure{s.Text, Lame, err}
	}
	reply.Source, reply.Group, reply.Server = resolver.FromUpstream, s.group, s.Text
	if failing(reply.Rcode) {
		text := fmt.Sprintf("upstream %s: %s answered %s", s.group, s.Text, dns.RcodeToString[reply.Rcode])
		reply.Errors = append(reply.Errors, resolver.Error{Code: dns.ExtendedErrorCodeOther, Text: text})
	}
	return reply, nil
}

// failing tells whether another server should be asked after this rcode.
func failing(rcode int) bool {
	return rcode == dns.RcodeServerFailure || rcode == dns.RcodeRefused
}

// manners are those in which the server is known to want to be asked.
func (s *server) manners() manners {
	secure := s.Transport == TLS || s.Transport == HTTPS
	return manners{
		plain:    s.remembers(&s.plainUntil),
		sameCase: secure || s.remembers(&s.sameCaseUntil),
		padded:   secure,
	}
}

// converse asks in the manner the server is known to want, and once more in
// another if it turns out that it wants that.
func (s *server) converse(ctx context.Context, q resolver.Question) (*dns.Msg, error) {
	m := s.manners()
	msg, err := s.send(ctx, q, m)
	return s.goOn(ctx, q, m, msg, err)
}

// resume goes on with a conversation whose first query was sent over UDP, once
// its reply has come to box, and gives what ask would have given.
func (s *server) resume(ctx context.Context, q resolver.Question, t *ticket, box mailbox) (resolver.Reply, error) {
	m := t.manners
	m.cookie = nil
	msg, err := s.await(ctx, t, box)
	msg, err = s.verify(ctx, q, m, msg, err)
	msg, err = s.goOn(ctx, q, m, msg, err)
	return s.reply(q, reading{msg, err})
}

// final tells whether a message ends the conversation in which m were the manners
// of the query.
func final(msg *dns.Msg, m manners) bool {
	return !msg.Truncated && (m.plain || msg.Rcode != dns.RcodeBadCookie && !puzzled(msg.Rcode))
}

// goOn asks in another manner if the server wants that: without an OPT record
// (RFC 6891 section 6.2.2), or with the cookie it just gave (RFC 7873 section 5.3).
func (s *server) goOn(ctx context.Context, q resolver.Question, m manners, msg *dns.Msg, err error) (*dns.Msg, error) {
	switch {
	case err != nil || m.plain:
		return msg, err
	case msg.Rcode == dns.RcodeBadCookie:
		if msg, err = s.send(ctx, q, m); err == nil && msg.Rcode == dns.RcodeBadCookie {
			msg, _, err = s.askStream(ctx, q, m)
		}
		return msg, err
	case !puzzled(msg.Rcode):
		return msg, nil
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

// send asks over the server's transport.
func (s *server) send(ctx context.Context, q resolver.Question, m manners) (msg *dns.Msg, err error) {
	switch s.Transport {
	case HTTPS:
		return s.askWeb(ctx, q, m)
	case TCP, TLS:
		msg, _, err = s.askStream(ctx, q, m)
		return msg, err
	}
	msg, err = s.askUDP(ctx, q, m)
	return s.verify(ctx, q, m, msg, err)
}

// verify asks again over TCP if what came over UDP was cut off or looks forged.
func (s *server) verify(ctx context.Context, q resolver.Question, m manners, msg *dns.Msg, err error) (*dns.Msg, error) {
	switch {
	case errors.Is(err, errRecased):
		s.suspect(WrongCase)
		return s.confirm(ctx, q, m)
	case errors.Is(err, errNoCookie):
		s.suspect(NoCookie)
		s.cookies.forget()
		if msg, _, err = s.askStream(ctx, q, m); err != nil && ctx.Err() == nil {
			msg, err = s.askUDP(ctx, q, m)
		}
	case errors.Is(err, errSuspect):
		s.suspect(NearMiss)
		msg, _, err = s.askStream(ctx, q, m)
	case err == nil && msg.Truncated:
		msg, _, err = s.askStream(ctx, q, m)
	}
	return msg, err
}

// confirm deals with a reply that was right but for its letter case: it may be
// forged, or come from a server that does not keep the case. TCP tells which,
// because there is nothing to guess there. A server that breaks the case there
// too, or has no TCP, is asked in lower case for a while.
func (s *server) confirm(ctx context.Context, q resolver.Question, m manners) (*dns.Msg, error) {
	msg, sameCase, err := s.askStream(ctx, q, m)
	if err == nil && sameCase || ctx.Err() != nil {
		return msg, err
	}
	s.remember(&s.sameCaseUntil)
	if err == nil {
		return msg, nil
	}
	m.sameCase = true
	return s.askUDP(ctx, q, m)
}

// askStream asks over a connection (RFC 7766, RFC 7858). It also tells whether
// the server kept the letter case of the question.
func (s *server) askStream(ctx context.Context, q resolver.Question, m manners) (msg *dns.Msg, sameCase bool, err error) {
	asked, err := writeQuery(q, m)
	if err != nil {
		return nil, false, err
	}
	packet, err := s.streams.ask(ctx, asked)
	if err != nil {
		return nil, false, s.failure(ctx, err)
	}
	return s.open(asked, packet)
}

// askWeb asks over HTTPS, with id 0 (RFC 8484 section 4.1).
func (s *server) askWeb(ctx context.Context, q resolver.Question, m manners) (*dns.Msg, error) {
	asked, err := writeQuery(q, m)
	if err != nil {
		return nil, err
	}
	asked.packet[0], asked.packet[1] = 0, 0
	packet, err := s.web.ask(ctx, asked.packet)
	if err != nil {
		return nil, s.failure(ctx, err)
	}
	msg, _, err := s.open(asked, packet)
	return msg, err
}

// errNotReply says that a message from a sure source is no reply to the query.
var errNotReply = errors.New("the message is not the reply to the query")

// errIncomplete says that a message was cut off where nothing needs to be (RFC
// 2181 section 9).
var errIncomplete = errors.New("the message is cut off, although it came over a connection")

// open reads a message that surely comes from the server, where letter case is no
// proof of anything.
func (s *server) open(asked *query, packet []byte) (msg *dns.Msg, sameCase bool, err error) {
	switch found := asked.match(packet); found {
	case foreign:
		return nil, false, &Failure{s.Text, Malformed, errNotReply}
	case noQuestion:
		return rcodeOnly(packet), true, nil
	default:
		if msg, err = asked.read(packet); err == nil && msg.Truncated {
			err = errIncomplete
		}
		if err != nil {
			return nil, false, &Failure{s.Text, Malformed, err}
		}
		return msg, found == matching, nil
	}
}

// remembers tells whether a memory of manners still holds.
func (s *server) remembers(until *atomic.Int64) bool {
	end := until.Load()
	return end != 0 && s.now().UnixNano() < end
}

// remember keeps a memory of manners for a while.
func (s *server) remember(until *atomic.Int64) {
	until.Store(s.now().Add(mannersFor).UnixNano())
}

// failure makes a Failure of an error of the network. When ctx has ended it was
// the wait that ended.
func (s *server) failure(ctx context.Context, err error) error {
	var web *httpError
	switch {
	case ctx.Err() != nil:
		return &Failure{s.Text, TimedOut, ctx.Err()}
	case errors.As(err, &web):
		return &Failure{s.Text, Malformed, err}
	default:
		return &Failure{s.Text, Unreachable, err}
	}
}

// looping tells whether the server leads back to this program.
func (s *server) looping() bool { return s.loop.Load() }
