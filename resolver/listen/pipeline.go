package listen

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

// heldRoom is how many octets of messages a connection holds that have to wait for room
// in its pipeline.
const heldRoom = 8 << 10

// pipeline is what of a connection is pending, and what waits for that. While it is full,
// nothing more is asked outside for the connection. It is read nevertheless: private
// names and what is cached are answered at once. Other messages are held, and when that
// is too much, nothing is read until there is room.
type pipeline struct {
	slots    chan struct{} // one for each query that is pending
	siblings *clientConns  // of the same client; nil where the connection does not tell who asks

	// Of the goroutine that reads.
	slot   bool // one of slots is taken, for the next query
	waited bool // the last query is pending
	held   [][]byte
	octets int // of held

	roomy chan struct{} // there may be room

	mu     sync.Mutex
	hungry bool // room is waited for
	woken  bool // and there may be some, so that reading has to end
}

func newPipeline(length int) pipeline {
	return pipeline{slots: make(chan struct{}, length), roomy: make(chan struct{}, 1)}
}

// errRoom is that there is room in the pipeline for a message that is held.
var errRoom = errors.New("there is room for what is held")

// room takes a place in the pipeline for the next query, if there is one. There is none
// while the client has too much pending over all its connections, if c has just added to
// it.
func (c *conn) room() bool {
	if c.waited && c.siblings != nil && c.siblings.full(c) {
		return false
	}
	c.waited = false
	if c.slot {
		return true
	}
	select {
	case c.slots <- struct{}{}:
		c.slot = true
	default:
	}
	return c.slot
}

// waits notes that the query that was read last is pending.
func (c *conn) waits() {
	c.waited, c.slot = true, false
	if c.siblings != nil {
		c.siblings.begin()
	}
}

// answered gives back what a pending query has taken.
func (c *conn) answered() {
	<-c.slots
	c.wake()
	if c.siblings != nil {
		c.siblings.end()
	}
}

// next is the next message: one that is held if there is room for it, else one that is
// read.
func (c *conn) next() ([]byte, error) {
	if len(c.held) > 0 && c.room() {
		return c.unhold(), nil
	}
	return c.read()
}

// hold keeps a message until there is room for it; false if that is too much.
func (c *conn) hold(message []byte) bool {
	if c.octets+len(message) > heldRoom {
		return false
	}
	c.held, c.octets = append(c.held, bytes.Clone(message)), c.octets+len(message)
	return true
}

func (c *conn) unhold() []byte {
	message := c.held[0]
	c.held, c.octets = c.held[1:], c.octets-len(message)
	if len(c.held) == 0 {
		c.held = nil
	}
	return message
}

// serveHeld works on what is held, at the end of reading, unless nobody wants the
// replies any more.
func (c *conn) serveHeld(end error) {
	if !errors.Is(end, io.EOF) && !errors.Is(end, errIdle) {
		return
	}
	for len(c.held) > 0 {
		c.rest()
		c.awaitRoom()
		if !c.receive(c.unhold()) {
			return
		}
	}
}

// awaitRoom waits until there is room. All that is pending ends in time.
func (c *conn) awaitRoom() {
	for !c.hungers() {
		<-c.roomy
	}
	c.settles()
}

// hopes tells, before reading, whether there is room for a message that is held. If not,
// reading ends when there may be.
func (c *conn) hopes() bool { return len(c.held) > 0 && c.hungers() }

// hungers has c be woken when there may be room, and tells whether there is some.
func (c *conn) hungers() bool {
	c.mu.Lock()
	c.hungry = true
	c.mu.Unlock()
	if !c.room() {
		return false
	}
	c.settles()
	return true
}

// wake is called when there may be room, by others than the one that reads. It is false
// if c does not wait for any.
func (c *conn) wake() (hungry bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hungry {
		return false
	}
	c.woken = true
	_ = c.SetReadDeadline(time.Unix(1, 0))
	select {
	case c.roomy <- struct{}{}:
	default:
	}
	return true
}

// settles has c be woken no more, and tells whether it was.
func (c *conn) settles() (woken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if woken = c.woken; woken {
		c.readBy = time.Time{} // the deadline has to be set anew
	}
	c.hungry, c.woken = false, false
	return woken
}

// setReadDeadline sets the deadline of reading, unless c was woken.
func (c *conn) setReadDeadline(deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.woken {
		_ = c.SetReadDeadline(deadline)
	}
}
