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

// server is one server of a group and what is known of it.
type server struct {
	Server
	pool    *Pool
	group   string
	buffers sync.Pool   // of *[receiveSize]byte
	sockets *socketPool // for UDP
	streams *keeper     // over TCP or TLS
	web     *web        // nil unless it is asked over HTTPS
	posts   posts       // queries for which a goroutine waits
	network network     // instead of all these, in tests
	cookies cookies
	learned *learned
	health  health
	silent  *Failure      // that it said nothing in time
	fell    chan struct{} // holds a token when the server became unhealthy
	loop    atomic.Bool   // it leads back to this program

	inFlight atomic.Int64
}

// network asks a server and waits for its answer.
type network func(context.Context, resolver.Question) (*dns.Msg, error)

// newServer makes a server of a group.
func newServer(p *Pool, s Server) *server {
	c := p.config
	s.Text = s.name()
	made := &server{
		pool: p, group: c.Name, learned: newLearned(time.Now()),
		buffers: sync.Pool{New: func() any { return new([receiveSize]byte) }},
		silent:  &Failure{Server: s.Text, Reason: TimedOut},
		fell:    make(chan struct{}, 1),
	}
	if s.Transport == HTTPS {
		s.ServerName, _, _ = s.origin()
		made.web = c.newWeb(s)
	}
	made.Server, made.streams = s, &keeper{dial: c.dialer(s)}
	made.sockets = newSocketPool(made, c.Sockets)
	return made
}

// send sends the query for the question of an exchange: over the transport of the
// server, or, if that is UDP, on request over TCP.
func (s *server) send(p *pendingQuery, x *exchange, o queryOptions, stream bool) error {
	switch {
	case s.network != nil:
		return s.sendBy(p, x, func(ctx context.Context) reading {
			msg, err := s.network(ctx, x.question)
			return reading{msg: msg, err: err}
		})
	case s.Transport == HTTPS:
		return s.sendWeb(p, x, o)
	case stream || s.Transport != Plain:
		return s.sendStream(p, x, o)
	}
	if err := s.sockets.send(p, x.question, o); err != errNoSocket {
		return err
	}
	return s.sendAlone(p, x.question, o)
}

// reply makes a reply to q of what was read.
func (s *server) reply(q resolver.Question, read reading) (resolver.Reply, *Failure) {
	if err := read.err; err != nil {
		var failure *Failure
		if !errors.As(err, &failure) {
			failure = &Failure{s.Text, Malformed, err}
		}
		return resolver.Reply{}, failure
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

// suspect counts what looks like an attack on the server's answers.
func (s *server) suspect(what Suspicion) {
	s.pool.config.Observer.UpstreamSuspicious(s.group, s.Text, what)
}

// sendStream sends a query over a connection (RFC 7766, RFC 7858).
func (s *server) sendStream(p *pendingQuery, x *exchange, o queryOptions) error {
	asked, err := writeQuery(x.question, o)
	if err != nil {
		return err
	}
	return s.sendBy(p, x, func(ctx context.Context) reading {
		packet, err := s.streams.ask(ctx, asked)
		if err != nil {
			return reading{err: s.failure(ctx, err)}
		}
		return s.open(asked, packet)
	})
}

// sendWeb sends a query over HTTPS, with id 0 (RFC 8484 section 4.1).
func (s *server) sendWeb(p *pendingQuery, x *exchange, o queryOptions) error {
	asked, err := writeQuery(x.question, o)
	if err != nil {
		return err
	}
	asked.packet[0], asked.packet[1] = 0, 0
	return s.sendBy(p, x, func(ctx context.Context) reading {
		packet, err := s.web.ask(ctx, asked.packet)
		if err != nil {
			return reading{err: s.failure(ctx, err)}
		}
		return s.open(asked, packet)
	})
}

// errNotReply says that a message from a sure source is no reply to the query.
var errNotReply = errors.New("the message is not the reply to the query")

// errIncomplete says that a message was cut off where nothing needs to be (RFC
// 2181 section 9).
var errIncomplete = errors.New("the message is cut off, although it came over a connection")

// open reads a message that surely comes from the server, where letter case is no
// proof of anything.
func (s *server) open(asked *query, packet []byte) reading {
	switch found := asked.match(packet); found {
	case foreign:
		return reading{err: &Failure{s.Text, Malformed, errNotReply}}
	case noQuestion:
		return reading{msg: rcodeOnly(packet), same: true}
	default:
		msg, err := asked.read(packet)
		if err == nil && msg.Truncated {
			err = errIncomplete
		}
		if err != nil {
			return reading{err: &Failure{s.Text, Malformed, err}}
		}
		return reading{msg: msg, same: found == matching}
	}
}

// failure makes a Failure of an error of the network. When ctx has ended it was
// the wait that ended.
func (s *server) failure(ctx context.Context, err error) error {
	var web *httpError
	switch {
	case ctx.Err() != nil:
		return s.silent
	case errors.As(err, &web):
		return &Failure{s.Text, Malformed, err}
	default:
		return &Failure{s.Text, Unreachable, err}
	}
}

// looping tells whether the server leads back to this program.
func (s *server) looping() bool { return s.loop.Load() }
