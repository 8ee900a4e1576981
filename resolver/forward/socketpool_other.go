//go:build !linux || portable

package forward

import (
	"math"
	"time"

	"pldns/resolver"
	"pldns/resolver/udpio"
)

// socketPool is empty: each query has a socket of its own.
type socketPool struct {
	size          int
	every, unused time.Duration
}

// socket is a socket of a pool; there is none.
type socket struct{}

// maxFiles is how many files the process may open: this build does not ask.
func maxFiles() int64 { return math.MaxInt32 }

// lanes are the socket pools of single workers; there are none.
type lanes struct{}

func newSocketPool(*server, *SocketLimit, *udpio.Worker) *socketPool {
	return &socketPool{size: poolPlaces}
}
func (*socketPool) sweep(time.Time) {}
func (*socketPool) ready() bool     { return false }
func (*server) keepSockets()        {}
func (*server) closeSockets()       {}

func (*socketPool) send(*pendingQuery, resolver.Question, queryOptions, time.Time) error {
	return errNoSocket
}

func (*server) queue(*udpio.Worker, *pendingQuery, resolver.Question, queryOptions, time.Time) error {
	return errNoSocket
}
