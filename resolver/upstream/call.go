package upstream

import (
	"context"
	"sync"
	"time"

	"pldns/resolver"
)

// call is a question that was put to one server over UDP and takes no goroutine
// as long as all goes well: the reader of the stock brings its answer. If that is
// late or no answer, it becomes a race in which the first query is sent already.
type call struct {
	pool    *Pool
	servers []*server // in the order in which they are to be asked
	to      func(resolver.Reply, error)

	question resolver.Question
	ticket   ticket
	began    time.Time
	deadline time.Time
	usual    time.Duration // within which the server usually answers
	timer    *time.Timer   // runs out then

	mu      sync.Mutex
	settled bool    // no race is needed
	box     mailbox // for the race; nil as long as there is none
}

// start begins to ask the group about q, if that can be done now over UDP.
func (p *Pool) start(deadline time.Time, q resolver.Question, to func(resolver.Reply, error)) bool {
	if p.inFlight.Add(1) > int64(p.config.MaxInFlight) {
		p.inFlight.Add(-1)
		return false
	}
	now := time.Now()
	c := p.call(now, deadline, q, to)
	if c == nil {
		p.inFlight.Add(-1)
		return false
	}
	s := c.servers[0]
	p.sent(s, First)
	c.mu.Lock() // what is heard already waits until the timer runs
	defer c.mu.Unlock()
	if s.stock.send(&c.ticket, q, s.manners()) != nil {
		p.ended(s)
		p.inFlight.Add(-1)
		return false
	}
	c.began = now
	p.hedges.earn()
	if c.timer == nil {
		c.timer = time.AfterFunc(c.usual, c.overdue)
	} else {
		c.timer.Reset(c.usual)
	}
	return true
}

// call makes a call, nil if the question is one for a race from the beginning.
func (p *Pool) call(now, deadline time.Time, q resolver.Question, to func(resolver.Reply, error)) *call {
	servers := p.order(now)
	if len(servers) == 0 || servers[0].Transport != Plain || !servers[0].stock.ready() {
		return nil
	}
	if _, ok := p.rate.take(now, 0); !ok {
		return nil
	}
	c, _ := p.calls.Get().(*call)
	if c == nil {
		c = new(call)
	}
	c.pool, c.servers, c.to, c.question, c.deadline = p, servers, to, q, deadline
	c.settled, c.box, c.ticket.to = false, nil, c
	_, patience := p.times(now, deadline)
	c.usual = servers[0].usual(patience)
	return c
}

// heard takes what came of the query.
func (c *call) heard(read reading) {
	c.mu.Lock()
	if c.box != nil {
		c.mu.Unlock()
		c.box <- read
		return
	}
	c.settled = true
	spare := c.timer.Stop()
	c.mu.Unlock()
	if !c.won(read) {
		c.mu.Lock()
		c.box = make(mailbox, 1)
		c.mu.Unlock()
		c.box <- read
		go c.race() // waited for by whoever closes the stock
		return
	}
	c.done(spare)
}

// won takes a reply that is all that was wanted; false if it is not.
func (c *call) won(read reading) bool {
	s := c.servers[0]
	if read.err != nil || !final(read.msg, c.ticket.manners) {
		return false
	}
	reply, err := s.reply(c.question, read)
	if err != nil || failing(reply.Rcode) {
		return false
	}
	p, now := c.pool, time.Now()
	p.ended(s)
	p.answered(s, reply, now.Sub(c.began))
	if s.health.answered(now, now.Sub(c.began)) {
		p.rose(s)
	}
	p.inFlight.Add(-1)
	c.to(reply, nil)
	return true
}

// overdue is what happens when the answer is late.
func (c *call) overdue() {
	c.mu.Lock()
	if c.settled {
		c.mu.Unlock()
		return
	}
	c.box = make(mailbox, 1)
	c.mu.Unlock()
	c.race()
}

// race goes on as a race.
func (c *call) race() {
	ctx, cancel := context.WithDeadline(context.Background(), c.deadline)
	defer cancel()
	reply, err := newRace(c.pool, c.question, c.servers).run(ctx, c)
	c.pool.inFlight.Add(-1)
	c.to(reply, err)
	c.done(false)
}

// done is the end of a call; spare says that nothing refers to it any more.
func (c *call) done(spare bool) {
	stock := c.servers[0].stock
	if spare {
		c.to, c.servers, c.ticket.socket, c.ticket.to = nil, nil, nil, nil
		c.pool.calls.Put(c)
	}
	stock.leave()
}
