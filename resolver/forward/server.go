package forward

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
	"pldns/zones"
)

// server is one server of a group and what is known of it.
type server struct {
	Server
	pool    *Pool
	group   string
	buffers sync.Pool   // of *[receiveSize]byte
	sockets *socketPool // for UDP
	lanes   lanes       // the same for single workers
	streams *connPool   // over TCP, TLS or QUIC
	web     *web        // nil unless it is asked over HTTPS
	alone   count       // goroutines that read sockets of single queries
	network network     // instead of all these, in tests
	cookies cookies
	learned *learned
	health  health
	why     atomic.Pointer[string] // it became unhealthy last
	silent  *Failure               // that it said nothing in time
	fell    chan struct{}          // holds a token when the server became unhealthy
	loop    atomic.Bool            // it leads back to this program
	loops   suffixLoops            // or the names of some suffixes

	inFlight atomic.Int64
}

// network sends the query of an exchange.
type network func(*pendingQuery, *exchange) error

// newServer makes a server of a group.
func newServer(p *Pool, s Server) *server {
	c := p.config
	s.Text = s.name()
	made := &server{
		pool: p, group: c.Name, learned: newLearned(time.Now()),
		buffers: sync.Pool{New: func() any { return new([receiveSize]byte) }},
		silent:  &Failure{Server: s.Text, Reason: TimedOut},
		fell:    make(chan struct{}, 1),
		loops:   suffixLoops{suspects: make(chan zones.Name, loopSuspects), seen: make(map[zones.Name]time.Time)},
	}
	if s.Transport.hasURL() {
		s.ServerName, _, _ = s.origin()
	}
	if s.Transport == HTTPS {
		made.web = c.newWeb(s, p.panicked)
	}
	made.Server, made.streams = s, newConnPool(c.dialer(s), p.panicked)
	made.sockets = newSocketPool(made, c.Sockets, nil)
	return made
}

// send sends the query for the question of an exchange: over the transport of the
// server, or, if that is UDP, on request over TCP. What a worker sends for the batch that
// it works on leaves at the end of that.
func (s *server) send(p *pendingQuery, x *exchange, o queryOptions, stream bool, now time.Time) error {
	switch {
	case s.network != nil:
		return s.network(p, x)
	case s.Transport == HTTPS:
		return s.sendWeb(p, x.question, o)
	case stream || s.Transport != Plain:
		return s.sendStream(p, x.question, o)
	}
	if x.worker != nil {
		if err := s.queue(x.worker, p, x.question, o, now); err != errNoSocket {
			return err
		}
	}
	if err := s.sockets.send(p, x.question, o, now); err != errNoSocket {
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
	var reply resolver.Reply
	if read.plain != nil {
		reply = resolver.Reply{
			Rcode: read.rcode(), Wire: wire.NewMessage(read.plain), Authenticated: wire.Flags(read.plain)&wire.AD != 0,
		}
	} else {
		var err error
		if reply, err = scrub(q, read.msg); err != nil {
			return resolver.Reply{}, &Failure{s.Text, Lame, err}
		}
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

// sendStream sends a query over a connection (RFC 7766, RFC 7858, RFC 9250, RFC 9114).
func (s *server) sendStream(p *pendingQuery, q resolver.Question, o queryOptions) error {
	if err := p.write(q, o, nil, make([]byte, querySize)); err != nil {
		return err
	}
	over, err := s.streams.start(p.packet, p.arrived)
	if err != nil {
		return s.failure(err)
	}
	p.over = overStream{over}
	return nil
}

// sendWeb sends a query over HTTPS, with id 0 (RFC 8484 section 4.1).
func (s *server) sendWeb(p *pendingQuery, q resolver.Question, o queryOptions) error {
	if err := p.write(q, o, nil, make([]byte, querySize)); err != nil {
		return err
	}
	p.packet[0], p.packet[1] = 0, 0
	over, err := s.web.start(p.packet, p.arrived)
	if err != nil {
		return s.failure(err)
	}
	p.over = overStream{over}
	return nil
}

// overStream is a carrier over connections, which surely come from the server.
type overStream struct{ canceler }

func (o overStream) withdraw(*pendingQuery) bool { return o.cancel() }

func (overStream) settleFor(*pendingQuery) (reading, bool) { return reading{}, false }

// arrived takes what came of a query over a connection.
func (p *pendingQuery) arrived(packet []byte, err error) {
	s := p.attempt.server
	if err != nil {
		p.told(reading{err: s.failure(err)})
		return
	}
	p.told(p.open(packet))
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
		r, opt, err := asked.read(packet)
		if err == nil && opt.shown {
			s.learned.show(noEDNS, time.Now())
		}
		if err == nil && r.truncated() {
			err = errIncomplete
		}
		if err != nil {
			return reading{err: &Failure{s.Text, Malformed, err}}
		}
		r.same = found == matching
		return r
	}
}

// failure makes a Failure of an error of a connection.
func (s *server) failure(err error) *Failure {
	if errors.As(err, new(*httpError)) || errors.As(err, new(*protocolError)) {
		return &Failure{s.Text, Malformed, err}
	}
	return &Failure{s.Text, Unreachable, err}
}

// open is server.open for a query that waits for this message. A panic costs no more
// than the question.
func (p *pendingQuery) open(packet []byte) (r reading) {
	s := p.attempt.server
	defer func() {
		if fault := recover(); fault != nil {
			s.pool.panicked(fault, debug.Stack())
			r = reading{err: errFault}
		}
	}()
	if p.isTapped() {
		p.answered(packet, time.Now())
	}
	return s.open(&p.query, packet)
}

// looping tells whether the server leads back to this program.
func (s *server) looping() bool { return s.loop.Load() }
