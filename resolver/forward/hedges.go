package forward

import "sync/atomic"

// What follows counts in parts of a hedge.
const (
	hedgeParts = 5
	// hedgeShare is what a question earns. A server that loses a third of its packets
	// can be made up for; one that becomes slow as a whole does not get twice the load.
	hedgeShare = 2
	// hedgeStore is what may be saved up.
	hedgeStore = 20 * hedgeParts
)

// allowance is how many hedges may be sent. Questions earn it, not time: it is no
// limiter of golang.org/x/time/rate. Its methods may be called by many goroutines at once.
type allowance struct{ left atomic.Int64 }

// earn adds what one question earns. As long as nothing is spent it changes nothing.
func (a *allowance) earn() {
	for left := a.left.Load(); left < hedgeStore; left = a.left.Load() {
		if a.left.CompareAndSwap(left, min(left+hedgeShare, hedgeStore)) {
			return
		}
	}
}

// spend takes one hedge, if there is one.
func (a *allowance) spend() bool {
	for left := a.left.Load(); left >= hedgeParts; left = a.left.Load() {
		if a.left.CompareAndSwap(left, left-hedgeParts) {
			return true
		}
	}
	return false
}
