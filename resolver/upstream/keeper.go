package upstream

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// maxStreams is how many connections to one server are kept.
	maxStreams = 4
	// fullStream is how many questions on each connection are a reason for one more.
	fullStream = 32
)

// keeper keeps the connections to one server. While it is not open it keeps none
// longer than they are used.
type keeper struct {
	dial func(context.Context) (net.Conn, error)

	mu      sync.Mutex
	streams []*stream
	dialing chan struct{} // closed when the dial under way has ended; nil if there is none
	kept    bool
}

// ask asks over a connection. One that was there already may have died without
// anybody knowing; then the question is asked once more over a new one.
func (k *keeper) ask(ctx context.Context, asked *query) ([]byte, error) {
	began := time.Now()
	packet, reused, err := k.attempt(ctx, asked, time.Time{})
	if reused && ctx.Err() == nil && errors.Is(err, errBroken) {
		packet, _, err = k.attempt(ctx, asked, began)
	}
	return packet, err
}

// attempt asks over a connection that is newer than a time.
func (k *keeper) attempt(ctx context.Context, asked *query, newer time.Time) (packet []byte, reused bool, err error) {
	s, reused, err := k.get(ctx, newer)
	if err != nil {
		return nil, false, err
	}
	defer k.put(s)
	packet, err = s.ask(ctx, asked, func() { k.drop(s) })
	return packet, reused, err
}

// get finds a connection with room, or dials one. One dial at a time is under
// way, however many wait for it.
func (k *keeper) get(ctx context.Context, newer time.Time) (s *stream, reused bool, err error) {
	for {
		k.mu.Lock()
		if s := k.best(newer); s != nil {
			s.users++
			k.mu.Unlock()
			return s, true, nil
		}
		dialing := k.dialing
		if dialing == nil {
			k.dialing = make(chan struct{})
			k.mu.Unlock()
			return k.open(ctx, newer)
		}
		k.mu.Unlock()
		select {
		case <-dialing:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// best is the connection with the fewest questions, unless another should be
// dialled.
func (k *keeper) best(newer time.Time) *stream {
	best, least := k.least(newer)
	if least >= fullStream && len(k.streams) < maxStreams {
		return nil
	}
	return best
}

// least is the connection with the fewest questions. It forgets those that ended.
func (k *keeper) least(newer time.Time) (best *stream, least int) {
	k.streams = slices.DeleteFunc(k.streams, func(s *stream) bool {
		questions, alive := s.load()
		if alive && s.born.After(newer) && (best == nil || questions < least) {
			best, least = s, questions
		}
		return !alive
	})
	return best, least
}

// open dials, and starts the reader of the new connection. If no more can be had,
// one that is there must do.
func (k *keeper) open(ctx context.Context, newer time.Time) (s *stream, reused bool, err error) {
	conn, err := k.dial(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.dialing)
	k.dialing = nil
	if err != nil {
		if s, _ = k.least(newer); s == nil {
			return nil, false, err
		}
		s.users++
		return s, true, nil
	}
	s = newStream(conn)
	s.users = 1
	k.streams = append(k.streams, s)
	go s.read() // waited for by whoever closes it: put or close
	return s, false, nil
}

// put gives a connection back. It is closed if it is not to be kept.
func (k *keeper) put(s *stream) {
	k.mu.Lock()
	s.users--
	_, alive := s.load()
	over := s.users == 0 && !(alive && k.kept && slices.Contains(k.streams, s))
	if over {
		k.remove(s)
	}
	k.mu.Unlock()
	if over {
		s.end(nil)
		<-s.ended
	}
}

// drop puts no more questions on a connection.
func (k *keeper) drop(s *stream) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remove(s)
}

func (k *keeper) remove(s *stream) {
	k.streams = slices.DeleteFunc(k.streams, func(other *stream) bool { return other == s })
}

// keep begins to keep connections.
func (k *keeper) keep() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = true
}

// close stops keeping connections, and returns when all that were kept are
// closed: those in use when their last question has ended.
func (k *keeper) close() {
	k.mu.Lock()
	k.kept = false
	streams := slices.Clone(k.streams)
	var idle []*stream
	for _, s := range streams {
		if s.users == 0 {
			idle = append(idle, s)
			k.remove(s)
		}
	}
	k.mu.Unlock()
	for _, s := range idle {
		s.end(nil)
	}
	for _, s := range streams {
		<-s.ended
	}
}
