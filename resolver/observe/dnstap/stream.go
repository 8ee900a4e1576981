package dnstap

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	dnstap "github.com/dnstap/golang-dnstap"
	framestream "github.com/farsightsec/golang-framestream"
)

const (
	// batch is how many queries are sent in one piece at most, and kept until the
	// system has taken them.
	batch = 64
	// farewell is how long a receiver may take for what is left at the end.
	farewell = time.Second
)

// errGone is a receiver that has closed its connection.
var errGone = errors.New("the receiver has closed the connection")

// stream is one connection to a receiver that has agreed to take dnstap.
type stream struct {
	tap    *Tap
	conn   net.Conn
	frames *framestream.Writer
	gone   chan struct{} // closed when the receiver says something, or nothing more
	ending atomic.Bool   // the deadline is the last one
}

// connect opens a connection and makes the handshake of Frame Streams. The receiver
// is watched from then on: it has nothing more to say until the end.
func (t *Tap) connect(ctx context.Context) (*stream, error) {
	dialer := net.Dialer{Timeout: t.config.Patience}
	conn, err := dialer.DialContext(ctx, t.config.Network, t.config.Address)
	if err != nil {
		return nil, err
	}
	abandon := context.AfterFunc(ctx, func() { conn.Close() })
	defer abandon()
	s := &stream{tap: t, conn: conn, gone: make(chan struct{})}
	_ = conn.SetDeadline(time.Now().Add(t.config.Patience))
	s.frames, err = framestream.NewWriter(conn, &framestream.WriterOptions{
		ContentTypes: [][]byte{dnstap.FSContentType}, Bidirectional: true,
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	go func() { // ends with the connection, which close waits for
		defer close(s.gone)
		_, _ = conn.Read(make([]byte, 1))
	}()
	return s, nil
}

// send sends what was left of the connection before, then what is in the queue,
// until ctx ends or the receiver is gone. It gives what was not taken.
func (s *stream) send(ctx context.Context, left []exchange) ([]exchange, error) {
	hurry := context.AfterFunc(ctx, func() {
		s.ending.Store(true)
		_ = s.conn.SetWriteDeadline(time.Now().Add(farewell))
	})
	defer hurry()
	for {
		if len(left) == 0 {
			next, err := s.next(ctx)
			if err != nil {
				return nil, err
			}
			left = append(left, next)
		}
		left = s.more(left)
		if err := s.write(left); err != nil {
			return left, err
		}
		s.tap.config.Observer.Tapped(Sent, count(left))
		left = left[:0]
	}
}

// next waits for the next query. At the end of ctx it gives what is there, and then
// an error.
func (s *stream) next(ctx context.Context) (exchange, error) {
	select {
	case e := <-s.tap.queue:
		s.tap.size.Add(-e.size())
		return e, nil
	case <-s.gone:
		return exchange{}, errGone
	case <-ctx.Done():
	}
	select {
	case e := <-s.tap.queue:
		s.tap.size.Add(-e.size())
		return e, nil
	default:
		return exchange{}, ctx.Err()
	}
}

// more takes what else is in the queue, as much as is sent at once.
func (s *stream) more(left []exchange) []exchange {
	for len(left) < batch {
		select {
		case e := <-s.tap.queue:
			s.tap.size.Add(-e.size())
			left = append(left, e)
		default:
			return left
		}
	}
	return left
}

// write sends a batch, within the patience that there is for a receiver.
func (s *stream) write(exchanges []exchange) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.tap.config.Patience))
	if s.ending.Load() {
		_ = s.conn.SetWriteDeadline(time.Now().Add(farewell))
	}
	for _, e := range exchanges {
		for _, message := range e[:e.count()] {
			if _, err := s.frames.WriteFrame(message); err != nil {
				return err
			}
		}
	}
	return s.frames.Flush()
}

// close ends the stream, in order if every frame was taken: the receiver is told to
// stop, and says that it has.
func (s *stream) close(orderly bool) {
	_ = s.conn.SetDeadline(time.Now().Add(farewell))
	stop := framestream.ControlStop
	if orderly && stop.EncodeFlush(bufio.NewWriter(s.conn)) == nil {
		<-s.gone
	}
	s.conn.Close()
	<-s.gone
}
