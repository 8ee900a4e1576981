//go:build !portable

package listen

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"pldns/resolver/udpio"
)

const (
	// behind is for how long a reader has found more than it could take, each time, when it
	// does not keep up. What clients send at once and wait for comes to an end before that.
	behind = 10 * time.Millisecond
	// longer is how often it takes four times as long at most, once more for each time that
	// all readers have read no more than the one before: where there is no processor for
	// them, they only take from it what it has.
	longer = 3
	// calm is over which time it is counted what all read.
	calm = 100 * time.Millisecond
	// unread is after which time packets are noticed that nobody reads.
	unread = time.Second
)

// spread decides which readers of an address are sent packets: one alone as long as it
// keeps up, else all, each client's packets to the same. One that reads alone wakes up less
// often and finds more each time, and what it works on stays with one processor: a query
// takes two thirds of the time that it takes of two. The methods of a nil spread do
// nothing: then it is the system that spreads, at all times.
type spread struct {
	first *udpSocket // whose reader may be alone
	steer func(fd int, alone bool) error
	lost  func(fd int) uint32
	start time.Time // times are counted from here

	all    atomic.Bool
	seen   atomic.Int64 // when somebody last read, while it was one
	most   atomic.Int64 // packets a second of the one reader when it did not keep up
	short  atomic.Bool  // and then some found no room
	read   atomic.Int64 // packets of all readers
	from   atomic.Int64 // since then
	vainly atomic.Int64 // how often in a row all have read no more than one

	crowded atomic.Bool // one of them has lost packets since then
}

// backlog is what one reader has found since it last emptied its socket.
type backlog struct {
	batches int // full ones
	since   time.Time
	lost    uint32 // packets of the socket, as far as is known
}

// newSpread has all packets of an address sent to one of its readers, the first; nil where
// there are no others, or where the system cannot do that.
func newSpread(readers []*udpSocket) *spread {
	if len(readers) < 2 || readers[0].conn.Steer(true) != nil {
		return nil
	}
	return &spread{first: readers[0], steer: udpio.Steer, lost: udpio.Lost, start: time.Now()}
}

// saw learns that the reader of a socket has read so many packets at a time.
func (s *spread) saw(u *udpSocket, fd, packets int, at time.Time, b *backlog) {
	if s == nil {
		return
	}
	full := b.lasts(packets, at)
	if s.all.Load() {
		s.read.Add(int64(packets))
		if full >= behind {
			b.batches = 0
			if b.loses(s.lost(fd)) {
				s.crowded.Store(true)
			}
		}
		if u == s.first && s.enough(at) && s.steer(fd, true) == nil {
			s.seen.Store(s.passed(at))
			s.all.Store(false)
		}
		return
	}
	s.seen.Store(s.passed(at))
	if full >= behind<<(2*s.vainly.Load()) && s.widen(perSecond((b.batches-1)*udpio.BatchSize, full), b.loses(s.lost(fd)), at) {
		b.batches = 0
		_ = s.steer(fd, false) // if that fails, it goes on with one, until all are tried again
	}
}

// lasts is for how long the reader, which has read so many packets, has found more than it
// could take.
func (b *backlog) lasts(packets int, at time.Time) time.Duration {
	if packets < udpio.BatchSize {
		b.batches = 0
		return 0
	}
	if b.batches++; b.batches == 1 {
		b.since = at
	}
	return at.Sub(b.since)
}

// loses tells whether packets have been lost since it was last asked.
func (b *backlog) loses(lost uint32) bool {
	before := b.lost
	b.lost = lost
	return lost != before
}

// widen is the change to all readers. One has read so many packets a second, and fell short
// of what came if some of that was lost.
func (s *spread) widen(most int64, short bool, at time.Time) bool {
	if !s.all.CompareAndSwap(false, true) {
		return false
	}
	s.most.Store(most)
	s.short.Store(short)
	s.read.Store(0)
	s.crowded.Store(false)
	s.from.Store(s.passed(at))
	return true
}

// enough tells whether one reader would be: if all have read less than the one did, or,
// where their clients wait for answers before they ask on, hardly more; and none of them has
// lost any, as where one client floods its own: the others are to be spared that. It is for
// the first to say, so that it is sent everything only if it reads.
func (s *spread) enough(at time.Time) bool {
	since := time.Duration(s.passed(at) - s.from.Load())
	if since < calm {
		return false
	}
	rate, most, short := perSecond(int(s.read.Swap(0)), since), s.most.Load(), s.short.Load()
	s.from.Store(s.passed(at))
	worth := most + most/4
	if short {
		worth = most - most/4
	}
	switch crowded := s.crowded.Swap(false); {
	case crowded:
		return false
	case rate > worth:
		s.vainly.Store(0)
		return false
	case rate > most/2 && !short: // else there is less to read than there was
		s.vainly.Store(min(s.vainly.Load()+1, longer))
	}
	return true
}

// watch looks, from time to time, whether packets wait in a socket of the address and
// nobody reads: what keeps one reader is not to keep the clients of all others.
func (s *spread) watch(u *udpSocket, at time.Time) {
	if s == nil || s.all.Load() || s.passed(at)-s.seen.Load() < int64(unread) || !u.conn.Waiting() {
		return
	}
	if s.widen(math.MaxInt64/2, true, at) {
		_ = u.conn.Steer(false)
	}
}

// watchReaders watches over the readers of all addresses until ctx ends.
func (s *Server) watchReaders(ctx context.Context) {
	tick := time.NewTicker(unread)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			for _, u := range s.sockets.udp {
				u.spread.watch(u, at)
			}
		}
	}
}

func (s *spread) passed(at time.Time) int64 { return int64(at.Sub(s.start)) }

func perSecond(packets int, in time.Duration) int64 {
	return int64(float64(packets) / max(in, time.Microsecond).Seconds())
}
