//go:build !linux || portable

package forward

import (
	"math"
	"time"

	"pldns/resolver"
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

func newSocketPool(*server, *SocketLimit) *socketPool                         { return &socketPool{size: poolPlaces} }
func (*socketPool) keep()                                                     {}
func (*socketPool) close()                                                    {}
func (*socketPool) sweep(time.Time)                                           {}
func (*socketPool) ready() bool                                               { return false }
func (*socketPool) send(*pendingQuery, resolver.Question, queryOptions) error { return errNoSocket }
