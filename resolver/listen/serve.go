package listen

import (
	"errors"
	"net/netip"
	"runtime/debug"
	"time"

	"pldns/resolver"
	"pldns/resolver/listen/replycache"
	"pldns/resolver/wire"
	"pldns/zones"
)

// query is one query, from its message to its reply. It is kept small, because it is
// what is left of a message while the outside is being asked.
type query struct {
	origin
	client  zones.Client // who asks: as the transport knows it, or a client subnet says
	began   time.Time    // when it was read
	message []byte       // as it came; once the query is pending, only if a tap wants it
	size    int          // of the message, in octets
	asked   resolver.Query
	network string  // of the client; empty for none, or while it is not known
	request request // the message, once the query is pending
	control []byte  // control message of the reply, over UDP; a part of the packet until the query is pending
	sample  sample
	usage   usage
	wait    wait
}

// origin is what a transport knows of a query before it is read.
type origin struct {
	transport string          // as an Observer and a Tap are told
	kind      replycache.Asks // keeps apart what is counted apart
	stream    bool            // the address of the client is proven, and nothing is truncated
	encrypted bool            // padding is worth something
	idle      *connections    // whose idle time a client may be told; nil for none
	peer      netip.AddrPort  // at the other end
	cookieFor netip.Addr      // who is told a cookie; not valid for nobody
	to        sink
	atOnce    bool     // there is no room for it to be pending
	mail      *mailbox // of the worker that alone goes on with the query; nil for none
}

// sink takes the reply to a query that was pending. It is called by whoever learnt the
// answer, so it must not wait for anything. The reply is valid until it returns.
type sink interface {
	deliver(q *query, reply []byte)
}

// shedder is a sink that has a way of its own to say that a query had to make room.
type shedder interface{ shed() }

// scratch is what a query needs only while it is worked on.
type scratch struct {
	worker *worker // whose it is; nil if it is used elsewhere
	memory memory
	buf    []byte // where replies are packed
	out    []byte // where replies from the reply cache are written
	frames []byte // where replies of a connection are put together
	counts counts // queries that were answered from the reply cache, and not counted yet

	exchange Exchange // what a tap is being told
}

func newScratch() *scratch {
	buf := make([]byte, replyRoom)
	return &scratch{buf: buf, out: buf}
}

// tidy drops what should not be kept while nothing is worked on.
func (x *scratch) tidy() {
	x.memory.close()
	x.counts.tell()
}

// outcome is what is to be done about a message.
type outcome struct {
	reply     []byte  // to be sent; nil if nothing is said, or nothing yet
	inScratch bool    // the reply is in a buffer of the scratch
	waits     bool    // the reply is yet to come
	later     bool    // nothing was done: it would be pending, and there is no room for that
	taken     bool    // the query is in use further on, or may be: it serves no other
	why       Refusal // Accepted, or why there is silence or a refusal
}

// serve deals with one message, over any transport. Each step of every query is here,
// in order: what it asks, who asks, how much that one may ask, whether the reply is
// known, and what is decided. A reply that is there at once is given for the transport
// to send, in one of the buffers of x; one that has to be waited for is given to the sink
// of q. Those who observe queries have been told of it then.
func (s *Server) serve(q *query, x *scratch, message []byte) outcome {
	q.message, q.size = message, len(message)
	q.sample.begin(s.tap.Load(), q)
	var r request
	why := r.read(message)
	if (why == Accepted || why == BadKey) && r.subnet.data != nil && !s.subnetOf(q.transport, &r, &q.client) {
		why = Malformed
	}
	if why == Accepted && r.keepalive && q.transport == doq {
		why = Unfit
	}
	if why.silent() {
		return s.ignore(q, why)
	}
	x.memory.locate(q.client)
	q.network = x.memory.network.Name()
	if r.wantsNSID {
		r.nsid = x.memory.identity()
	}
	if !q.stream {
		why = s.limited(q, &x.memory, &r, why)
	}
	if r.ofPeers() {
		if peers := s.peers.Load(); peers != nil {
			var out outcome
			var done bool
			if why, out, done = s.fromPeer(q, x, &r, peers, why); done {
				return out
			}
		}
	}
	if why == Accepted {
		if known := x.memory.recall(&r, q); known == nil {
			why = r.readName()
		} else if why = s.overdone(q, &r, account(known.Account), q.network); why == Accepted {
			return s.repeat(q, x, &r, known)
		}
	}
	switch {
	case why == Accepted:
		return s.decide(q, x, &r)
	case why.silent():
		return s.ignore(q, why)
	default:
		return s.refuse(q, x, &r, why)
	}
}

// ignore meets a message with silence.
func (s *Server) ignore(q *query, why Refusal) outcome {
	s.refused(q.transport, why, q.peer)
	return outcome{why: why}
}

// repeat gives a reply that is remembered.
func (s *Server) repeat(q *query, x *scratch, r *request, known *replycache.Reply) outcome {
	reply := s.complete(q, r, known.Write(x.out, r.id, r.question, x.memory.now))
	x.counts.add(known.Tally, q.began)
	if q.sample.remembered {
		q.asked = r.query(q.client)
		answer := resolver.Answer{Network: q.network, Rcode: int(wire.Flags(reply) & wire.Rcodes), Source: known.Source}
		if known.Verdict != nil {
			answer.Verdict = *known.Verdict
		}
		s.tell(q, x, r, Exchange{Remembered: true, Answer: answer, Reply: reply})
	}
	return outcome{reply: reply, inScratch: true}
}

// decide has the Handler decide, once. A fault of this program costs the query that
// meets it and no other.
func (s *Server) decide(q *query, x *scratch, r *request) (out outcome) {
	defer func() {
		if fault := recover(); fault != nil {
			out = s.refuse(q, x, r, Panicked, "panic", fault, "stack", string(debug.Stack()), "name", r.name, "type", r.kind)
			out.taken = true // it may be woken yet
		}
	}()
	q.asked = r.query(q.client)
	q.asked.Stream = q.stream
	if q.asked.AtOnce = q.atOnce; q.mail != nil {
		q.asked.Worker = q.mail.worker
	}
	if q.wait.state.Store(isRunning); q.wait.wake == nil {
		q.wait.server, q.wait.wake = s, q.awake
	}
	answer, pending := s.config.Handler.Begin(x.memory.snapshot, q.asked, x.memory.network, q.wait.wake)
	switch {
	case answer.Waits:
		return outcome{later: true}
	case pending == nil:
		return s.finish(q, x, r, answer)
	}
	return s.park(q, x, r, pending)
}

// finish makes the reply that says an answer, and has it remembered.
func (s *Server) finish(q *query, x *scratch, r *request, answer resolver.Answer) outcome {
	reply, whole, err := q.pack(x, r, answer)
	if errors.Is(err, errTooLarge) {
		answer = tooLarge(answer)
		reply, whole, err = q.pack(x, r, answer)
	}
	if err != nil {
		return s.refuse(q, x, r, Unpackable, "error", err, "name", r.name, "type", r.kind)
	}
	about := account(0)
	if !q.stream {
		about = s.accountOf(&q.asked, &answer)
	}
	if whole {
		s.remember(q, x, reply, &answer, about)
	} else if q.held(r) {
		s.config.Observer.Limited(answer.Network, ReleaseLimit, Slipped)
	}
	switch s.overdone(q, r, about, answer.Network) {
	case Limited:
		return s.ignore(q, Limited)
	case Slipped:
		return s.refuse(q, x, r, Slipped)
	}
	reply = s.complete(q, r, reply)
	if !answer.Own {
		s.tell(q, x, r, Exchange{Answer: answer, Reply: reply})
	}
	if answer.Silent && !q.stream {
		return outcome{}
	}
	return outcome{reply: reply}
}

// refuse makes the reply that refuses a query.
func (s *Server) refuse(q *query, x *scratch, r *request, why Refusal, details ...any) outcome {
	q.asked = r.query(q.client)
	limit := q.limit(r)
	reply := r.appendRefusal(x.buf[:0], why, limit)
	switch {
	case why == Panicked || why == Unpackable || why == Shed:
		reply = s.complete(q, r, reply)
	case len(reply) <= limit:
		reply = r.sign(reply)
	}
	s.tell(q, x, r, Exchange{Why: why, Answer: resolver.Answer{Network: q.network, Rcode: why.rcode()}, Reply: reply}, details...)
	return outcome{reply: reply, why: why}
}

// complete adds to a reply what only this client is told, behind everything else: the
// scope of its subnet, the identity of the server, its cookie, and over an encrypted
// transport padding if the query was padded too (RFC 7830 section 4). Behind all of it goes
// the signature, if the query was signed.
func (s *Server) complete(q *query, r *request, reply []byte) []byte {
	if r.signature != nil {
		return r.sign(s.extend(q, r, reply))
	}
	return s.extend(q, r, reply)
}

// extend is complete without the signature.
func (s *Server) extend(q *query, r *request, reply []byte) []byte {
	proves, pads := r.hasCookie && q.cookieFor.IsValid(), r.padding && q.encrypted
	if !r.subnet.given && r.nsid == nil && !proves && !pads {
		return reply
	}
	opt, found := wire.LastOPT(reply)
	if !found {
		return reply
	}
	if r.subnet.given {
		reply = r.subnet.append(reply, opt)
	}
	if r.nsid != nil {
		reply = r.appendNSID(reply, opt)
	}
	if proves {
		reply = s.cookies.add(reply, opt, r, q.cookieFor, q.began)
	}
	if pads {
		reply = pad(reply, opt)
	}
	return reply
}
