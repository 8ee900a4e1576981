package listen

import (
	"errors"
	"iter"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/primary"
	"pldns/resolver/wire"
)

// Zones are sent by goroutines of their own, which are few: a reader that is slow holds up the one
// that writes to it, and what that holds is one message.
const (
	// transferLimit is how many zones are sent at one time, and transferPart how many of them to one
	// client. A server with many zones asks for several at once.
	transferLimit, transferPart = 64, 16
	// transferSize is the length of a message of a transfer, in octets, that is not exceeded but for
	// a record that is longer: names are compressed by those before them up to there (RFC 1035
	// section 4.1.4).
	transferSize = 16 << 10
	// transferTime is how long a reader may take for a zone.
	transferTime = time.Hour
)

// transfers are those that are under way, by who takes them.
type transfers struct {
	mu    sync.Mutex
	of    map[netip.Prefix]int
	conns map[*transfer]struct{}
	until time.Time // when the last of them have to be over, once the server stops
}

// enter counts one more; false if that is too many.
func (t *transfers) enter(one *transfer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.conns) >= transferLimit || t.of[one.client] >= transferPart {
		return false
	}
	if t.of == nil {
		t.of, t.conns = make(map[netip.Prefix]int), make(map[*transfer]struct{})
	}
	t.of[one.client]++
	t.conns[one] = struct{}{}
	return true
}

func (t *transfers) leave(one *transfer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, one)
	if t.of[one.client]--; t.of[one.client] == 0 {
		delete(t.of, one.client)
	}
}

// hurry has all of them be over by a time: readers that are slow are not waited for.
func (t *transfers) hurry(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = until
	for one := range t.conns {
		_ = one.conn.SetWriteDeadline(until)
	}
}

// by is when a message has to be taken that may be taken by a time.
func (t *transfers) by(at time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.until.IsZero() && t.until.Before(at) {
		return t.until
	}
	return at
}

// transfer begins to send a zone. It takes a place in the pipeline of its connection, as a query
// that waits for the outside does.
func (s *Server) transfer(q *query, x *scratch, r *request, from Transfers, request *primary.Request, out *primary.Outcome) outcome {
	if q.atOnce {
		return outcome{later: true}
	}
	to := q.to.(*conn)
	t := &transfer{
		conn: to, query: q, client: s.conns.clientOf(request.From), whole: out.Whole, until: time.Now().Add(transferTime), zone: request,
	}
	if !s.transfers.enter(t) {
		answer := resolver.Answer{Network: q.network, Zone: request.Zone, Rcode: dns.RcodeServerFailure, Source: resolver.FromLocal}
		answer.Errors = []resolver.Error{{Code: dns.ExtendedErrorCodeOther, Text: "too many zones are being sent: ask again"}}
		return s.finish(q, x, r, answer)
	}
	q.keep(r)
	s.work.Go(func() {
		defer func() {
			s.transfers.leave(t)
			to.answered()
			s.conns.end(to)
			to.queries.Done()
		}()
		t.run(from, out.Records)
	})
	return outcome{waits: true, taken: true}
}

// transfer is a zone that is being sent.
type transfer struct {
	conn   *conn
	query  *query
	client netip.Prefix // that it counts to
	zone   *primary.Request
	whole  bool // it is, and not changes
	until  time.Time

	message  []byte // the one that is being made, as long as room
	end      int    // of what is in it
	answers  int
	names    map[string]int // in the message, for compression
	sent     int            // messages
	frame    []byte
	finished bool
}

// run sends the zone. What fails ends the connection: the other end waits for the rest.
func (t *transfer) run(from Transfers, records iter.Seq[dns.RR]) {
	defer func() {
		if fault := recover(); fault != nil {
			t.conn.server.panicked(t.conn.transport, fault)
		}
		if !t.finished {
			t.conn.Close()
		}
	}()
	from.Took(*t.zone, t.whole)
	err := t.send(records)
	switch {
	case err == nil:
		t.finished = true
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.conn.server.refused(t.conn.transport, Stalled, t.conn.peer, "zone", t.zone.Zone)
	case errors.Is(err, errTorn):
		t.conn.server.refused(t.conn.transport, Unpackable, t.conn.peer, "zone", t.zone.Zone, "error", err)
	}
}

func (t *transfer) send(records iter.Seq[dns.RR]) error {
	t.message = make([]byte, wire.MaxMessage)
	t.begin()
	for rr := range records {
		if t.add(rr) {
			continue
		}
		if err := t.flush(); err != nil {
			return err
		}
		if !t.add(rr) {
			return errTorn
		}
	}
	return t.flush()
}

// begin begins a message. The first one repeats the question, and has the OPT record (RFC 5936
// sections 2.2.1 and 2.2.5).
func (t *transfer) begin() {
	t.end, t.answers, t.names = wire.HeaderSize, 0, make(map[string]int)
	if t.sent == 0 {
		t.end += copy(t.message[wire.HeaderSize:], t.query.request.question)
	}
}

// add adds a record; false if there is no room for it. What stands behind the records has its own.
func (t *transfer) add(rr dns.RR) bool {
	room := wire.MaxMessage - t.query.request.signRoom()
	if t.sent == 0 {
		room -= replyRoom
	}
	if t.answers > 0 {
		room = min(room, transferSize)
	}
	end, err := dns.PackRR(rr, t.message[:room], t.end, t.names, true)
	if err != nil {
		return false
	}
	t.end = end
	t.answers++
	return true
}

// flush sends the message, and begins the next.
func (t *transfer) flush() error {
	c, q := t.conn, t.query
	r, now := &q.request, time.Now()
	if now.After(t.until) {
		return os.ErrDeadlineExceeded
	}
	message, additional := t.message[:t.end], 0
	if t.sent == 0 && r.edns {
		message, additional = wire.AppendOPT(message, resolver.UDPSize, dns.RcodeSuccess, r.do), 1
	}
	wire.PutHeader(message, r.id, wire.QR|wire.AA|r.flags&wire.RD, t.answers, 0, additional)
	switch {
	case t.sent == 0:
		message = c.server.complete(q, r, message)
		t.tell(message)
	default:
		clear(message[4:6]) // no question
		message = r.sign(message)
	}
	t.frame = wire.AppendFrame(t.frame[:0], message)
	if err := c.write(t.frame, c.server.transfers.by(now.Add(c.server.config.SendZone))); err != nil {
		return err
	}
	t.sent++
	t.begin()
	return nil
}

// tell tells those who observe queries, with the first message.
func (t *transfer) tell(message []byte) {
	s, x := t.conn.server, t.conn.server.scratches.Get().(*scratch)
	defer s.scratches.Put(x)
	answer := resolver.Answer{Network: t.query.network, Zone: t.zone.Zone, Source: resolver.FromLocal, Authoritative: true}
	s.tell(t.query, x, &t.query.request, Exchange{Answer: answer, Reply: message})
}
