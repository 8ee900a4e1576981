package forward

import (
	"sync"
	"sync/atomic"
)

// count counts what is waited for before something ends. Unlike with a WaitGroup, others may
// begin meanwhile. To add and to be done takes no lock while nobody waits.
type count struct {
	n      atomic.Int64
	waited atomic.Bool // somebody waits, or has waited

	mu   sync.Mutex
	none chan struct{} // closed when there are none; nil if nobody waits
}

func (c *count) add() { c.n.Add(1) }

func (c *count) done() {
	if c.n.Add(-1) > 0 || !c.waited.Load() { // who sets that looks at n afterwards
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.none != nil {
		close(c.none)
		c.none = nil
	}
}

// wait returns when there are none.
func (c *count) wait() {
	c.waited.Store(true)
	for none := c.left(); none != nil; none = c.left() {
		<-none
	}
}

// left gives what is closed when there are none; nil if there are none now.
func (c *count) left() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n.Load() == 0 {
		return nil
	}
	if c.none == nil {
		c.none = make(chan struct{})
	}
	return c.none
}
