//go:build !portable

package forward

import (
	"crypto/rand"
	"encoding/binary"
	"syscall"
	"time"

	"pldns/resolver"
	"pldns/resolver/udpio"
)

// batchSockets is over how many sockets the queries of one batch of a worker leave. A
// forger who knows the port of one query, by whatever means, knows that of about a
// quarter of the batch; that a server has several ports open at once is what RFC 5452
// section 9.2 asks for.
const batchSockets = 4

// outbox is the queries of one batch of a worker to one server, which leave at its end.
// Each of the first has a socket of its own, drawn at random as for a single query, and
// each further one draws one of those.
type outbox struct {
	pool    *socketPool
	sockets [batchSockets]*socket
	drawn   int
	filled  int
	queries [udpio.OutboxSize]*pendingQuery
	at      [udpio.OutboxSize]uint8 // which of the sockets
	packets udpio.Outbox
}

// outbox is an empty outbox.
func (s *server) outbox() *outbox {
	if out, ok := s.lanes.outboxes.Get().(*outbox); ok {
		return out
	}
	return new(outbox)
}

// queue has the query for q sent at the end of the batch of the worker. Its worker calls
// it. The error is errNoSocket if there is none to be had.
func (sp *socketPool) queue(p *pendingQuery, q resolver.Question, o queryOptions, now time.Time) error {
	if !sp.enter() {
		return errNoSocket
	}
	if sp.out == nil {
		sp.worker.Listen()
		sp.out = sp.server.outbox()
		sp.out.pool = sp
		sp.worker.Later(sp.out)
	} else if sp.out.filled == udpio.OutboxSize {
		sp.out.send()
	}
	if err := sp.out.add(p, q, o, now); err != nil {
		sp.leave()
		return err
	}
	return nil
}

// add writes a query, which waits from now on.
func (out *outbox) add(p *pendingQuery, q resolver.Question, o queryOptions, now time.Time) error {
	at, sk := out.draw(now)
	if sk == nil {
		return errNoSocket
	}
	defer sk.mu.Unlock()
	if err := out.pool.write(sk, p, q, o, out.packets.Rooms[out.filled][:], now); err != nil {
		return err
	}
	out.packets.Fill(out.filled, len(p.packet))
	out.pool.expect(sk, p, now)
	out.queries[out.filled], out.at[out.filled] = p, at
	out.filled++
	return nil
}

// draw gives a socket of the batch, locked; nil if none can be had.
func (out *outbox) draw(now time.Time) (uint8, *socket) {
	if out.drawn < batchSockets {
		if sk := out.pool.take(now); sk != nil {
			out.sockets[out.drawn] = sk
			out.drawn++
			return uint8(out.drawn - 1), sk
		}
	}
	if out.drawn == 0 {
		return 0, nil
	}
	var lot [2]byte
	_, _ = rand.Read(lot[:]) // never fails, by its documentation
	first := int(binary.BigEndian.Uint16(lot[:])) % out.drawn
	for i := range out.drawn { // one may have been closed since, because strange packets came
		at := (first + i) % out.drawn
		sk := out.sockets[at]
		sk.mu.Lock()
		if !sk.closed {
			return uint8(at), sk
		}
		sk.mu.Unlock()
	}
	return 0, nil
}

// Flush sends the queries and ends the batch.
func (out *outbox) Flush() {
	sp := out.pool
	sp.out = nil // whatever happens
	out.send()
	out.pool = nil
	sp.server.lanes.outboxes.Put(out)
}

// send sends the queries.
func (out *outbox) send() {
	for at := range out.drawn {
		out.sendOver(at)
		out.sockets[at] = nil
	}
	clear(out.queries[:out.filled])
	out.drawn, out.filled = 0, 0
}

// sendOver sends those that leave from one of the sockets. Those that cannot be sent are
// told so, like all that waits: by an event.
func (out *outbox) sendOver(at int) {
	sp, sk := out.pool, out.sockets[at]
	var unsent []*pendingQuery
	var why error
	refused := func(i int, errno syscall.Errno) {
		if p := out.queries[i]; sk.remove(p) {
			unsent, why = append(unsent, p), errno
		}
	}
	sk.mu.Lock()
	if !sk.closed {
		out.packets.Send(sk.fd, out.filled, func(i int) bool { return int(out.at[i]) == at }, refused)
	}
	sk.mu.Unlock()
	for _, p := range unsent {
		p.told(reading{err: &Failure{sp.server.Text, Unreachable, why}})
		sp.gone()
	}
}
