package forward

import "sync"

const (
	// hedgeShare is how many hedges a question earns. A server that loses a third
	// of its packets can be made up for; one that becomes slow as a whole does not
	// get twice the load.
	hedgeShare = 0.4
	// hedgeStore is how many hedges may be saved up.
	hedgeStore = 20
)

// allowance is how many hedges may be sent. Questions earn it, not time: it is no
// limiter of golang.org/x/time/rate.
type allowance struct {
	mu   sync.Mutex
	left float64
}

// earn adds what one question earns.
func (a *allowance) earn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = min(a.left+hedgeShare, hedgeStore)
}

// spend takes one hedge, if there is one.
func (a *allowance) spend() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}
