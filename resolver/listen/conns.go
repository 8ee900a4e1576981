package listen

import (
	"container/list"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// connections are the open TCP connections. It decides how many there may be,
// which one gives way, and how long one may be idle.
type connections struct {
	limit     int
	perClient int
	pending   int // of one client's queries
	fullIdle  time.Duration
	first     time.Duration
	lastWord  time.Duration

	draining atomic.Bool
	drained  chan struct{} // closed with draining

	mu       sync.Mutex
	until    time.Time // the end of the last words, with draining
	open     map[*conn]struct{}
	clients  map[netip.Prefix]*clientConns
	ipv6Bits int       // of an IPv6 address: those with the same are one client
	idle     list.List // of *conn, the longest idle in front
	unread   int       // streams of QUIC whose query has not arrived
	unreadOf int       // how many of them all clients may have; beyond half of it each has less
}

// clientPart is the part of Config.InFlight that one client's connections may take
// together before they are slowed down, though never less than the pipeline of one.
// What a connection asks then that is not known here is held until others of its client's
// queries are answered: so a client with many full connections waits for itself, and is
// not answered SERVFAIL as fast as it can ask again.
const clientPart = 8

// unreadLeast is how many streams of QUIC any client may have whose query has not arrived,
// however many all clients have.
const unreadLeast = 16

// clientConns are the connections of one client. The number of them, and that of their
// streams of QUIC whose query has not arrived, are under the lock of connections.
type clientConns struct {
	count   int
	unread  int
	arrived chan struct{} // told when one has arrived, if somebody waits for that

	mu      sync.Mutex
	pending int // queries that wait for the outside
	limit   int
	hungry  []*conn // those that want to add to it, in order
}

func newClientConns(limit int) *clientConns {
	return &clientConns{limit: limit, arrived: make(chan struct{}, 1)}
}

// begin counts a query that waits.
func (c *clientConns) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending++
}

// end is the end of a query that was counted. All that are counted end in time.
func (c *clientConns) end() {
	c.mu.Lock()
	c.pending--
	c.mu.Unlock()
	c.wake()
}

// wake wakes the first connection that wants to add to what waits, if it may. When it
// goes on, it wakes the next.
func (c *clientConns) wake() {
	for {
		c.mu.Lock()
		if c.pending >= c.limit || len(c.hungry) == 0 {
			c.mu.Unlock()
			return
		}
		next := c.hungry[0]
		c.hungry = c.hungry[1:]
		c.mu.Unlock()
		if next.wake() {
			return
		}
	}
}

// full tells whether more would be too many. Then from is woken when it may add more.
func (c *clientConns) full(from *conn) bool {
	c.mu.Lock()
	if c.pending >= c.limit {
		if !slices.Contains(c.hungry, from) {
			c.hungry = append(c.hungry, from)
		}
		c.mu.Unlock()
		return true
	}
	c.hungry = without(c.hungry, from)
	c.mu.Unlock()
	c.wake() // there may be room for another
	return false
}

// leave is the end of a connection.
func (c *clientConns) leave(gone *conn) {
	c.mu.Lock()
	c.hungry = without(c.hungry, gone)
	c.mu.Unlock()
	c.wake()
}

func without(conns []*conn, c *conn) []*conn {
	return slices.DeleteFunc(conns, func(other *conn) bool { return other == c })
}

func newConnections(c Config) *connections {
	return &connections{
		limit:     c.Connections,
		perClient: c.ClientConnections,
		pending:   max(c.InFlight/clientPart, c.Pipeline),
		fullIdle:  c.Idle,
		first:     c.FirstByte,
		lastWord:  c.LastWord,
		drained:   make(chan struct{}),
		open:      make(map[*conn]struct{}),
		clients:   make(map[netip.Prefix]*clientConns),
		ipv6Bits:  newPrefixLengths(c.Limits).ipv6,
		unreadOf:  c.InFlight,
	}
}

// admit takes c in, or says that it must be closed. Over the limit of its
// client it is always refused, because a client can tidy up its own connections;
// over the limit of all, the connection that has been idle the longest gives way,
// and if every one is at work, c is refused. The caller closes the one that gave
// way.
func (t *connections) admit(c *conn) (evicted *conn, admitted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.counted = t.client(c.from)
	client := t.clients[c.counted]
	if client == nil {
		client = newClientConns(t.pending)
	}
	if !c.shared && client.count >= t.perClient {
		return nil, false
	}
	if len(t.open) >= t.limit {
		if evicted = t.removeIdlest(); evicted == nil {
			return nil, false
		}
	}
	t.open[c] = struct{}{}
	t.clients[c.counted] = client
	client.count++
	if !c.shared { // the clients of a proxy are many
		c.siblings = client
	}
	t.rest(c)
	return evicted, true
}

// crowded tells whether a client has as many connections as one may have.
func (t *connections) crowded(client netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.clients[client]
	return known != nil && known.count >= t.perClient
}

// client is who an address counts as: it alone, or its prefix of IPv6, within which a
// single host has as many addresses as it likes.
func (t *connections) client(addr netip.Addr) netip.Prefix {
	length := addr.BitLen()
	if addr.Is6() {
		length = t.ipv6Bits
	}
	return netip.PrefixFrom(addr, length).Masked()
}

// clientOf is client, for who does not hold the lock.
func (t *connections) clientOf(addr netip.Addr) netip.Prefix {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.client(addr)
}

// countBy changes the length of the prefixes of IPv6 that connections taken in from
// here on are counted by.
func (t *connections) countBy(ipv6Bits int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ipv6Bits = ipv6Bits
}

// evict removes the connection that has been idle the longest, if any is idle,
// and gives it to the caller to close.
func (t *connections) evict() *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.removeIdlest()
}

// begin notes that c has a message to work on. It is false if c has given way in
// the meantime.
func (t *connections) begin(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.work(c)
}

// beginStream is beginRequest for a stream of QUIC, whose query has yet to arrive. There
// may be no room for one more: a stream takes memory, and it may be that nothing comes.
func (t *connections) beginStream(c *conn) (begun, room bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	most, half := t.pending, t.unreadOf/2
	if spare := t.unreadOf - t.unread; spare < half {
		most = max(most*spare/half, unreadLeast)
	}
	if c.siblings.unread >= most {
		return false, false
	}
	if !t.work(c) {
		return false, true
	}
	c.requests.Add(1)
	c.siblings.unread++
	t.unread++
	return true, true
}

// arrived notes that the query of a stream of c has arrived, or that none will.
func (t *connections) arrived(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.siblings.unread--
	t.unread--
	select {
	case c.siblings.arrived <- struct{}{}:
	default: // nobody waits, or is told already
	}
}

// awaits undoes arrived.
func (t *connections) awaits(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.siblings.unread++
	t.unread++
}

// beginRequest is begin for a request over HTTPS, which c then waits for: none can
// begin after c is removed.
func (t *connections) beginRequest(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.work(c) {
		return false
	}
	c.requests.Add(1)
	return true
}

func (t *connections) work(c *conn) bool {
	if _, open := t.open[c]; !open {
		return false
	}
	if c.place != nil {
		t.idle.Remove(c.place)
		c.place = nil
	}
	c.asked = true
	c.pending++
	return true
}

// end notes that c is done with a message.
func (t *connections) end(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.pending--
	if _, open := t.open[c]; open && c.pending == 0 {
		t.rest(c)
	}
}

// busy tells whether c has messages to work on.
func (t *connections) busy(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.pending > 0
}

// hasAsked tells whether there ever was a message of c.
func (t *connections) hasAsked(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.asked
}

// remove forgets c and tells whether it was there.
func (t *connections) remove(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.drop(c)
}

// patience is until when c may be without a further message. A connection with
// queries under way is not idle.
func (t *connections) patience(c *conn, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case c.pending > 0:
		return now.Add(t.allowance())
	case !c.asked:
		return c.idleSince.Add(t.first)
	default:
		return c.idleSince.Add(t.allowance())
	}
}

// idleTime is how long a connection may be idle now.
func (t *connections) idleTime() time.Duration {
	if t.draining.Load() {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.allowance()
}

// drain ends the reading of the connections that are open; those that have not
// asked yet still may, for a moment.
func (t *connections) drain() {
	t.mu.Lock()
	t.until = time.Now().Add(t.lastWord)
	open := slices.Collect(maps.Keys(t.open))
	t.mu.Unlock()
	if !t.draining.Swap(true) {
		close(t.drained)
	}
	for _, c := range open {
		c.stopReading()
	}
}

// last is when the reading of c ends, after drain.
func (t *connections) last(c *conn) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.asked {
		return time.Unix(1, 0)
	}
	return t.until
}

// each calls do with every open connection.
func (t *connections) each(do func(*conn)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.open {
		do(c)
	}
}

// allowance is the idle time at the present load: all of it up to half of the
// limit, then evenly less, down to a tenth.
func (t *connections) allowance() time.Duration {
	spare, half := t.limit-len(t.open), t.limit/2
	if spare >= half {
		return t.fullIdle
	}
	tenth := t.fullIdle / 10
	return tenth + (t.fullIdle-tenth)*time.Duration(spare)/time.Duration(half)
}

func (t *connections) rest(c *conn) {
	c.idleSince = time.Now()
	c.place = t.idle.PushBack(c)
}

func (t *connections) removeIdlest() *conn {
	front := t.idle.Front()
	if front == nil {
		return nil
	}
	c := front.Value.(*conn)
	t.drop(c)
	return c
}

func (t *connections) drop(c *conn) bool {
	if _, open := t.open[c]; !open {
		return false
	}
	delete(t.open, c)
	if client := t.clients[c.counted]; client.count > 1 {
		client.count--
	} else {
		delete(t.clients, c.counted)
	}
	if c.place != nil {
		t.idle.Remove(c.place)
		c.place = nil
	}
	return true
}
