//go:build !linux || portable

package upstream

import (
	"time"

	"pldns/resolver"
)

// stock is empty: each query has a socket of its own.
type stock struct{ limit int }

// socket is a socket of a stock; there is none.
type socket struct{}

func newStock(*server) *stock                                 { return &stock{stockSize} }
func (*stock) keep()                                          {}
func (*stock) close()                                         {}
func (*stock) sweep(time.Time)                                {}
func (*stock) ready() bool                                    { return false }
func (*stock) leave()                                         {}
func (*stock) withdraw(*ticket) bool                          { return false }
func (*stock) send(*ticket, resolver.Question, manners) error { return errNoStock }
