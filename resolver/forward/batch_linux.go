//go:build !portable

package forward

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pldns/resolver"
	"pldns/resolver/udpio"
)

// lanePlaces is how many places the socket pool of a worker has for a server.
const lanePlaces = 256

// lanes are the socket pools of the workers for one server. Only what a worker sends in
// a batch leaves from its own: what others send, for clients over connections, again, or
// to look how a server is, leaves from the pool for everybody. So a worker for which
// nothing is under way need not listen for anything but its clients.
type lanes struct {
	sync.Mutex                               // held to change all
	all        atomic.Pointer[[]*socketPool] // nil for none
	outboxes   sync.Pool                     // of *outbox
}

// queue has the query for q sent at the end of the batch of a worker, which calls it. The
// error is errNoSocket if none can be had for that.
func (s *server) queue(w *udpio.Worker, p *pendingQuery, q resolver.Question, o queryOptions, now time.Time) error {
	lane := s.lanes.of(w)
	if lane == nil {
		if lane = s.newLane(w); lane == nil {
			return errNoSocket
		}
	}
	return lane.queue(p, q, o, now)
}

// of is the socket pool of a worker; nil if it has none yet.
func (l *lanes) of(w *udpio.Worker) *socketPool {
	if all := l.all.Load(); all != nil {
		for _, lane := range *all {
			if lane.worker == w {
				return lane
			}
		}
	}
	return nil
}

// newLane makes the socket pool of a worker, if sockets are kept.
func (s *server) newLane(w *udpio.Worker) *socketPool {
	s.lanes.Lock()
	defer s.lanes.Unlock()
	if !s.sockets.ready() {
		return nil
	}
	lane := newSocketPool(s, s.sockets.limit, w)
	lane.size, lane.every, lane.unused, lane.kept = min(lanePlaces, s.sockets.size), s.sockets.every, s.sockets.unused, true
	var all []*socketPool
	if before := s.lanes.all.Load(); before != nil {
		all = append(all, *before...)
	}
	all = append(all, lane)
	s.lanes.all.Store(&all)
	return lane
}

// keepSockets allows sockets to be kept.
func (s *server) keepSockets() { s.sockets.keep() }

// closeSockets stops keeping sockets, and returns when all are closed: those in use when
// their last query has ended.
func (s *server) closeSockets() {
	s.sockets.close()
	s.lanes.Lock()
	all := s.lanes.all.Swap(nil)
	s.lanes.Unlock()
	if all == nil {
		return
	}
	for _, lane := range *all {
		lane.close()
	}
}

// outbox is the queries of one batch of a worker to one server, which leave at its end.
// So many as it holds leave from one socket, which is drawn as for a single query: a
// forger who knows the port of one query, by whatever means, knows that of no more, and
// under load several are open at once, as RFC 5452 section 9.2 asks for.
type outbox struct {
	pool    *socketPool
	socket  *socket // that all leave from; nil if there are none
	filled  int
	queries [udpio.OutboxSize]*pendingQuery
	packets udpio.Outbox
}

// queue has the query for q sent at the end of the batch of the worker. Its worker calls
// it. The error is errNoSocket if there is none to be had.
func (sp *socketPool) queue(p *pendingQuery, q resolver.Question, o queryOptions, now time.Time) error {
	if !sp.enter() {
		return errNoSocket
	}
	if sp.out == nil {
		sp.worker.Listen()
		if sp.out, _ = sp.server.lanes.outboxes.Get().(*outbox); sp.out == nil {
			sp.out = new(outbox)
		}
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
	sk := out.lock(now)
	if sk == nil {
		return errNoSocket
	}
	defer sk.mu.Unlock()
	if err := out.pool.write(sk, p, q, o, out.packets.Rooms[out.filled][:], now); err != nil {
		return err
	}
	out.packets.Sizes[out.filled] = len(p.packet)
	out.pool.expect(sk, p, now)
	out.queries[out.filled] = p
	out.filled++
	return nil
}

// lock gives the socket that the next query leaves from, locked; nil if none can be had.
func (out *outbox) lock(now time.Time) *socket {
	if sk := out.socket; sk != nil {
		sk.mu.Lock()
		if !sk.closed {
			return sk
		}
		sk.mu.Unlock()
		out.send() // nobody waits any more for what was to leave from it
	}
	out.socket = out.pool.take(now)
	return out.socket
}

// Flush sends the queries and ends the batch.
func (out *outbox) Flush() {
	sp := out.pool
	sp.out = nil // whatever happens
	out.send()
	out.pool = nil
	sp.server.lanes.outboxes.Put(out)
}

// send sends the queries. Those that cannot be sent are told so, like all that waits: by
// an event.
func (out *outbox) send() {
	var unsent []*pendingQuery
	var why error
	if sk := out.socket; sk != nil {
		sk.mu.Lock()
		if !sk.closed {
			out.packets.Send(sk.fd, out.filled, func(i int, errno syscall.Errno) {
				if p := out.queries[i]; sk.remove(p) {
					unsent, why = append(unsent, p), errno
				}
			})
		}
		sk.mu.Unlock()
	}
	clear(out.queries[:out.filled])
	out.socket, out.filled = nil, 0
	for _, p := range unsent {
		p.told(reading{err: &Failure{out.pool.server.Text, Unreachable, why}})
		out.pool.gone()
	}
}
