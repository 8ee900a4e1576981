//go:build !portable

package forward

import (
	"sync"
	"sync/atomic"
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
