package forward

import (
	"sync/atomic"
	"time"
)

// The socket pool. To open a socket for each query, and to close it again,
// costs more than all the rest of asking. So a server that is asked often is asked
// over sockets that are there already: each query takes one of poolPlaces places at
// random, and only if there is no socket in it yet, or one that is worn, opens one
// on a port drawn from all (see minPort).
//
// What a forger has to guess for one query (RFC 5452 section 4): the id, 16 bits;
// the letter case of the name, one bit for each letter; the server's cookie, if it
// has one; and the port. As long as he does not know which ports are in the pool,
// that is one of some 49,000, 15.6 bits, no less than with a socket for each query:
// any port is as likely as any other to be in it, and any place as likely to be
// taken. If he knew all of them, he would still have to guess the place: 10 bits in
// a full pool. To know them takes seeing the queries, and who sees those need not
// guess at all. To find them by probing takes packets that claim to come from the
// server, because the sockets are connected and the kernel answers nobody else;
// and it has to be done before the sockets are worn, after socketUses queries or
// socketLife. A socket to which a strange packet comes is worn at once.
//
// A query takes a place that no other query waits at, as long as it finds one, so
// that a forger who floods one port has one question to hit.
const (
	// poolPlaces is how many places the socket pool of a server has; a power of two.
	poolPlaces = 1024
	// placeDraws is how many places a query draws before it takes one where another
	// query waits.
	placeDraws = 4
	// socketUses is how many queries a socket is good for, and socketLife for how
	// long.
	socketUses = 64
	socketLife = time.Minute
	// socketIdle is how long a socket is kept that nobody uses, and sweepEvery how
	// often such are looked for.
	socketIdle = 10 * time.Second
	sweepEvery = 5 * time.Second
	// leastSockets is how many sockets the pool of each server may have, whatever all
	// others have.
	leastSockets = 4
)

// SocketLimit bounds how many sockets several groups keep open together. It may be
// used by many goroutines at once.
type SocketLimit struct {
	most int64
	open atomic.Int64
}

// socketShare is the part of the files that the process may open that its sockets
// to upstream servers take at most: one in so many.
const socketShare = 4

// NewSocketLimit makes a limit that follows from how many files the process may
// open.
func NewSocketLimit() *SocketLimit {
	return &SocketLimit{most: max(maxFiles()/socketShare, leastSockets)}
}

// take asks for room for one more socket. A server that has hardly any is given it
// anyway.
func (l *SocketLimit) take(has int64) bool {
	for {
		open := l.open.Load()
		if open >= l.most && has >= leastSockets {
			return false
		}
		if l.open.CompareAndSwap(open, open+1) {
			return true
		}
	}
}

// give gives the room of a socket back.
func (l *SocketLimit) give() { l.open.Add(-1) }

// Open is how many sockets are open, and Most how many may be.
func (l *SocketLimit) Open() int { return int(l.open.Load()) }

// Most is how many sockets may be open.
func (l *SocketLimit) Most() int { return int(l.most) }
