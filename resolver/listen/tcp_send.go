package listen

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"pldns/resolver"
	"pldns/resolver/wire"
)

// repliesSize is how many octets of replies are put together before they are sent, at
// least.
const repliesSize = 8192

// flush sends the replies that were there at once.
func (c *conn) flush() {
	if len(c.prompt) == 0 {
		return
	}
	c.send(c.prompt, time.Now())
	c.prompt = c.prompt[:0]
	c.x.counts.tell()
}

// rest sends what there is, before c waits, and lets go of what it does not need then.
func (c *conn) rest() {
	c.flush()
	if c.begun {
		c.begun = false
		c.server.conns.end(c)
	}
	if c.x != nil {
		if c.x.frames = c.prompt; cap(c.x.frames) > 4*repliesSize {
			c.x.frames = nil
		}
		c.x.tidy()
		c.server.scratches.Put(c.x)
		c.x, c.prompt = nil, nil
	}
}

// work gets what c needs to work on a message.
func (c *conn) work() {
	if c.x == nil {
		c.x = c.server.scratches.Get().(*scratch)
		if c.x.frames == nil {
			c.x.frames = make([]byte, 0, repliesSize+wire.LengthSize+resolver.UDPSize)
		}
		c.prompt = c.x.frames[:0]
	}
	if c.query == nil {
		c.query = c.server.query()
	}
}

// late are the replies that had to be waited for.
type late struct {
	mu      sync.Mutex
	frames  []byte    // that are ready to be sent
	queries int       // that they answer
	ready   time.Time // when the first of them was
	sending bool      // somebody sends them
}

// deliver sends a reply that had to be waited for, behind those that are ready before it.
func (c *conn) deliver(_ *query, reply []byte) {
	c.late.mu.Lock()
	defer c.late.mu.Unlock()
	if len(c.late.frames) == 0 {
		c.late.ready = time.Now()
	}
	c.late.frames = wire.AppendFrame(c.late.frames, reply)
	c.late.queries++
	if !c.late.sending {
		c.late.sending = true
		c.server.work.Go(c.sendLate)
	}
}

// sendLate sends late replies as long as there are any: no more than Config.Pipeline at
// a time, because their slots are given back when they are sent.
func (c *conn) sendLate() {
	var frames []byte
	for {
		c.late.mu.Lock()
		frames, c.late.frames = c.late.frames, frames[:0]
		queries, ready := c.late.queries, c.late.ready
		if c.late.queries = 0; queries == 0 {
			c.late.sending, c.late.frames = false, nil
			c.late.mu.Unlock()
			return
		}
		c.late.mu.Unlock()
		c.send(frames, ready)
		for range queries {
			c.answered()
			c.server.conns.end(c)
			c.queries.Done()
		}
	}
}

// send writes one frame in one piece (RFC 7766 section 8). A client that has
// not taken it within Config.Send (or a little later) after it was ready loses its connection,
// because whatever comes after it would have to be kept for as long.
func (c *conn) send(frame []byte, ready time.Time) {
	if err := c.write(frame, ready.Add(c.server.config.Send)); errors.Is(err, os.ErrDeadlineExceeded) {
		c.server.refused(c.transport, Stalled, c.peer)
	}
}

// write writes one frame in one piece, by a time or a little later; if that fails, c ends. The
// error that follows one is [net.ErrClosed].
func (c *conn) write(frame []byte, by time.Time) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.broken {
		return net.ErrClosed
	}
	if patience := c.server.config.Send / slack; c.writeBy.Before(by) || c.writeBy.After(by.Add(patience)) {
		c.writeBy = by.Add(patience)
		_ = c.SetWriteDeadline(c.writeBy)
	}
	_, err := c.stream.Write(frame)
	if err != nil {
		c.broken = true
		c.Close()
	}
	return err
}
