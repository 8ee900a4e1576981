// Package selfcheck asks a question on each of the program's own sockets, as a
// client does. That a process lives, and even that most of what is asked is
// answered, does not show that each goroutine that reads a socket still does: this
// does, and says which listener does not answer and since when.
package selfcheck

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"pldns/resolver"
)

// Listener is an address at which queries are answered.
type Listener struct {
	Transport resolver.Transport
	Addr      netip.AddrPort
	// Readers is how many sockets share the address, which the system may
	// spread clients over; 0 stands for 1.
	Readers int
}

// Config says what is asked where. A zero duration stands for its default.
type Config struct {
	Listeners []Listener
	// Name is the name that is asked for, in presentation format. Whatever the reply
	// says, it counts: also a refusal, because the asker may be in no network.
	Name string
	// Proxied tells whether what comes from an address must begin with a PROXY
	// header; nil is false.
	Proxied func(netip.Addr) bool
	// Own is told of the sockets that ask over UDP, and over QUIC, before they ask and when
	// they are gone, so that no limit of clients holds for them, and none is taken for a
	// proxy that has no way to say for whom it asks. Nil is nobody.
	Own func(socket netip.AddrPort, asks bool)
	// Interval is how often each listener is asked, default 5 s. What does not answer
	// is asked again every Pause, default 1 s, and Timeout is how long an answer may
	// take, default 1 s.
	Interval, Pause, Timeout time.Duration
	// Log is told when a listener ceases to answer, and when it does again; nil
	// discards.
	Log *slog.Logger
}

// strikes is how often in a row a question may get lost: under a flood some do,
// which is no fault of who answers.
const strikes = 5

// Fault is a listener that does not answer.
type Fault struct {
	Listener
	Since time.Time // of the first question without an answer
	Err   error
}

// Error says which listener, since when, and what was seen.
func (f Fault) Error() string {
	return fmt.Sprintf("nothing is answered over %s at %s since %s: %v", f.Transport, f.Addr, f.Since.UTC().Format(time.RFC3339), f.Err)
}

// Checker asks. Run it once; the other methods may be called at any time.
type Checker struct {
	config Config
	mutex  sync.Mutex
	faults map[netip.AddrPort]map[resolver.Transport]Fault
	// answered is how many questions were answered.
	answered map[resolver.Transport]int
}

// New makes a checker.
func New(c Config) *Checker {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Proxied == nil {
		c.Proxied = func(netip.Addr) bool { return false }
	}
	if c.Own == nil {
		c.Own = func(netip.AddrPort, bool) {}
	}
	c.Interval, c.Pause, c.Timeout = cmp.Or(c.Interval, 5*time.Second), cmp.Or(c.Pause, time.Second), cmp.Or(c.Timeout, time.Second)
	return &Checker{config: c, faults: make(map[netip.AddrPort]map[resolver.Transport]Fault), answered: make(map[resolver.Transport]int)}
}

// Listeners are all that are asked.
func (c *Checker) Listeners() []Listener { return c.config.Listeners }

// Faults are the listeners that do not answer now, those without an answer for the
// longest time first.
func (c *Checker) Faults() []Fault {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var all []Fault
	for _, at := range c.faults {
		for _, fault := range at {
			all = append(all, fault)
		}
	}
	slices.SortFunc(all, func(a, b Fault) int {
		return cmp.Or(a.Since.Compare(b.Since), a.Addr.Compare(b.Addr), cmp.Compare(a.Transport, b.Transport))
	})
	return all
}

// Answered is how many questions were answered over a transport.
func (c *Checker) Answered(transport resolver.Transport) int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.answered[transport]
}

// Stuck gives the listener that has not answered for the longest time, if that is at
// least so long; by the clock of the process, not that of the wall. The error is a
// [Fault], nil where there is none.
func (c *Checker) Stuck(atLeast time.Duration) error {
	if faults := c.Faults(); len(faults) > 0 && time.Since(faults[0].Since) >= atLeast {
		return faults[0]
	}
	return nil
}

// Run asks until ctx ends. The error is always nil.
func (c *Checker) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, listener := range c.config.Listeners {
		group.Go(func() { c.watch(ctx, listener) })
	}
	group.Wait()
	return nil
}

// flow is a way to one reader: over UDP a socket, because its port decides which
// reader gets what it sends; over streams a new connection for each question.
type flow interface {
	// ask asks once. It is [errUnasked] when the question did not leave this side.
	ask(ctx context.Context) error
	close()
}

// suspect is a flow whose last question was not answered.
type suspect struct {
	flow    flow
	since   time.Time
	strikes int
	err     error
}

// watch asks at one listener until ctx ends. A flow that gets no answer is kept and
// asked over, because another one may lead to another reader.
func (c *Checker) watch(ctx context.Context, l Listener) {
	flows := 1
	if l.Transport == resolver.OverUDP {
		flows = 2 * max(1, l.Readers)
	}
	var suspects []*suspect
	defer func() {
		for _, s := range suspects {
			s.flow.close()
		}
	}()
	tick := time.NewTicker(c.config.Pause)
	defer tick.Stop()
	var next time.Time
	for {
		suspects = c.askAgain(ctx, suspects)
		if now := time.Now(); !now.Before(next) {
			next = now.Add(c.config.Interval)
			suspects = append(suspects, c.askAnew(ctx, l, flows-len(suspects))...)
		}
		if ctx.Err() != nil {
			return
		}
		c.conclude(l, suspects)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// askAgain asks those that did not answer, and gives those that still do not.
func (c *Checker) askAgain(ctx context.Context, suspects []*suspect) []*suspect {
	var group sync.WaitGroup
	for _, s := range suspects {
		group.Go(func() {
			switch err := s.flow.ask(ctx); err {
			case nil:
				s.strikes = 0
			case errUnasked: // which says nothing of who would answer
			default:
				s.strikes, s.err = s.strikes+1, err
			}
		})
	}
	group.Wait()
	return slices.DeleteFunc(suspects, func(s *suspect) bool {
		if s.strikes == 0 {
			s.flow.close()
		}
		return s.strikes == 0
	})
}

// askAnew asks over new flows, and gives those that get no answer.
func (c *Checker) askAnew(ctx context.Context, l Listener, flows int) []*suspect {
	all := make([]*suspect, max(0, flows))
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			asked := time.Now()
			way, err := c.open(ctx, l)
			if err == nil {
				err = way.ask(ctx)
			}
			switch {
			case err == nil:
				c.count(l.Transport)
				way.close()
			case way != nil && err == errUnasked:
				way.close()
			case way != nil:
				all[i] = &suspect{flow: way, since: asked, strikes: 1, err: err}
			}
		})
	}
	group.Wait()
	return slices.DeleteFunc(all, func(s *suspect) bool { return s == nil })
}

func (c *Checker) count(transport resolver.Transport) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.answered[transport]++
}

// conclude notes whether a listener answers, and says when that changes.
func (c *Checker) conclude(l Listener, suspects []*suspect) {
	var worst *suspect
	for _, s := range suspects {
		if s.strikes >= strikes && (worst == nil || s.since.Before(worst.since)) {
			worst = s
		}
	}
	c.mutex.Lock()
	at := c.faults[l.Addr]
	before, was := at[l.Transport]
	switch {
	case worst != nil && at == nil:
		c.faults[l.Addr] = map[resolver.Transport]Fault{l.Transport: {l, worst.since, worst.err}}
	case worst != nil:
		at[l.Transport] = Fault{l, worst.since, worst.err}
	case was:
		delete(at, l.Transport)
	}
	c.mutex.Unlock()
	switch {
	case worst != nil && !was:
		c.config.Log.Error("a listener does not answer the program's own question", "transport", l.Transport, "address", l.Addr, "since",
			worst.since, "error", worst.err)
	case worst == nil && was:
		c.config.Log.Info("a listener answers again", "transport", l.Transport, "address", l.Addr, "after",
			time.Since(before.Since).Round(time.Second))
	}
}
