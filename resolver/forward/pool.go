package forward

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pldns/resolver"
	"pldns/resolver/forward/share"
	"pldns/resolver/timers"
)

const (
	// queueTime is how long a question may wait for its turn where MaxQPS is a limit.
	queueTime = time.Second
	// timerStep is by how much retries, and turns before a limit of queries a second, may
	// be late, and timerSpacing and turnSpacing are the same under load: they ring in
	// batches. For a turn somebody is kept waiting.
	timerStep    = 250 * time.Microsecond
	timerSpacing = 5 * time.Millisecond
	turnSpacing  = time.Millisecond
)

// Pool is one group of servers. All methods may be called by many goroutines at
// once.
type Pool struct {
	config    Config
	patience  time.Duration // the longest that one attempt is waited for before the next
	servers   []*server
	inFlight  *share.Quota // the places of questions under way
	queue     *share.Queue // before the limit of queries a second; nil if there is none
	turns     timers.Alarm // when the queue has something to do
	hedges    allowance
	extra     atomic.Int64 // queries under way beyond the first of each question
	shedCount atomic.Int64
	timers    *timers.Wheel
	turnTimer *timers.Wheel // of turns
	running   atomic.Bool   // Run looks after the servers
	owed      count         // questions that Run waits for
	exchanges sync.Pool     // of *exchange
}

var _ resolver.Exchanger = (*Pool)(nil)

// New makes a group of servers; it asks nobody and starts nothing. The error names what
// of c cannot be used.
func New(c Config) (*Pool, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	p := &Pool{config: c, patience: maxPatience, inFlight: share.NewQuota(c.MaxInFlight), timers: timers.New(timerStep, timerSpacing)}
	if c.MaxQPS > 0 {
		p.queue = share.NewQueue(c.MaxQPS, queueTime)
		p.turns.Rings, p.turnTimer = turns{p}, timers.New(timerStep, turnSpacing)
	}
	p.hedges.left.Store(hedgeStore)
	for _, s := range c.Servers {
		made := newServer(p, s)
		p.servers = append(p.servers, made)
		c.Observer.UpstreamHealth(c.Name, made.Text, true)
	}
	return p, nil
}

// Start asks the group. It goes from server to server until one gives a
// usable answer. If all that answered refused or failed, that is the Reply; if none
// answered, the error is an [Error]. It is [ErrShed] if the question had to make
// room: the group had too much under way, and most of it was of the same network,
// client or domain (see [share.Quota]).
func (p *Pool) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (reply resolver.Reply, pending bool, err error) {
	if from.AtOnce {
		return resolver.Reply{}, false, resolver.ErrUnknown
	}
	now := time.Now()
	x := p.newExchange(q, p.order(now, q.Name), now, deadline, done)
	key := share.Key{Network: from.Network, Client: from.Client, Name: q.Name}
	if p.queue != nil && !p.queue.Take(now) && !p.queue.TakeNew(key, now) {
		return p.wait(x, key, now)
	}
	x.starting, x.worker = true, from.Worker
	if !p.enter(x, key, now) {
		p.settle(x.owed)
		return resolver.Reply{}, false, p.shed(q)
	}
	if owed := x.owed; x.begin(now) {
		defer p.settle(owed)
		reply, err = x.leave()
		return reply, false, err
	}
	return resolver.Reply{}, true, nil
}

// Spare takes a turn of the group's for a query that its servers are sent besides those of
// the pool, if there is one that no question needs. Without MaxQPS there always is.
func (p *Pool) Spare() bool { return p.queue == nil || p.queue.TakeSpare(time.Now()) }

// enter takes a place for an exchange.
func (p *Pool) enter(x *exchange, key share.Key, now time.Time) bool {
	usual := x.patience
	if len(x.candidates) > 0 {
		usual = x.candidates[0].health.usual(hedgeUnknown, x.patience)
	}
	return p.inFlight.Enter(&x.slot, key, now, usual, x)
}

// turn is an exchange that waits for its turn to be sent.
type turn struct {
	exchange *exchange
	key      share.Key
}

// GiveWay is the end of a wait that was too long, or that others need more.
func (t *turn) GiveWay() { t.exchange.GiveWay() }

// wait puts an exchange into the queue.
func (p *Pool) wait(x *exchange, key share.Key, now time.Time) (reply resolver.Reply, pending bool, err error) {
	x.queued = true
	p.timers.Set(&x.alarm, x.ends)
	if !p.queue.Add(&x.slot, key, now, &turn{x, key}) {
		p.timers.Stop(&x.alarm)
		p.settle(x.owed)
		return resolver.Reply{}, false, p.shed(x.question)
	}
	turns{p}.set(now)
	return resolver.Reply{}, true, nil
}

// turns gives those in the queue of a group their turn.
type turns struct{ *Pool }

// set sets the alarm for the next turn, if anybody waits.
func (t turns) set(now time.Time) {
	if wait, any := t.queue.Wait(now); any {
		t.turnTimer.Set(&t.turns, now.Add(wait))
	}
}

// Ring sends those whose turn it is.
func (t turns) Ring(now time.Time) {
	for next := t.queue.Next(now); next != nil; next = t.queue.Next(now) {
		next.(*turn).begin(now)
	}
	t.set(now)
}

// begin is the end of a wait whose turn has come.
func (t *turn) begin(now time.Time) {
	if x := t.exchange; !x.pool.enter(x, t.key, now) {
		x.GiveWay()
	} else if x.begin(now) {
		x.tell()
	}
}

// shed counts a question that is not asked and makes its error.
func (p *Pool) shed(q resolver.Question) error {
	p.shedCount.Add(1)
	p.config.Observer.UpstreamShed(p.config.Name)
	return fmt.Errorf("ask upstream %s about %s: %w", p.config.Name, q.Name, ErrShed)
}

// owes tells whether Run waits for a question that begins now.
func (p *Pool) owes() bool {
	p.owed.add()
	if p.running.Load() {
		return true
	}
	p.owed.done()
	return false
}

// settle is the end of a question for which Run waits.
func (p *Pool) settle(owed bool) {
	if owed {
		p.owed.done()
	}
}

// Run looks after the servers until ctx ends, and then returns nil, when all that
// was asked meanwhile is answered: it keeps sockets for them and connections to
// them, tries those that are unhealthy, and looks for loops. Start works without
// it, over sockets and connections of its own.
func (p *Pool) Run(ctx context.Context) error {
	for _, s := range p.servers {
		s.keep()
	}
	p.running.Store(true)
	var checking sync.WaitGroup
	for _, s := range p.servers {
		checking.Go(func() { p.checkHealth(ctx, s) })
		checking.Go(func() { p.checkLoops(ctx, s) })
	}
	checking.Wait()
	p.running.Store(false)
	p.owed.wait()
	for _, s := range p.servers {
		s.close()
	}
	p.timers.Wait()
	if p.queue != nil {
		p.turnTimer.Wait()
	}
	return nil
}

// The following are how exchanges tell what they learnt of a server.

// rose says that a server is healthy again.
func (p *Pool) rose(s *server) {
	p.config.Observer.UpstreamHealth(p.config.Name, s.Text, true)
	p.config.Log.Info("upstream server answers again", "group", p.config.Name, "server", s.Text)
}

// dropped says that a server is unhealthy from now on.
func (p *Pool) dropped(s *server, why string) {
	s.why.Store(&why)
	p.config.Observer.UpstreamHealth(p.config.Name, s.Text, false)
	p.config.Log.Warn("upstream server fails and is asked last", "group", p.config.Name, "server", s.Text, "reason", why)
	select {
	case s.fell <- struct{}{}:
	default:
	}
}

// panicked counts and logs a fault of this program. It cost one question.
func (p *Pool) panicked(fault any, stack []byte) {
	p.config.Observer.UpstreamPanicked(p.config.Name)
	p.config.Log.Error("a fault of this program: report it", "group", p.config.Name, "panic", fmt.Sprint(fault), "stack", string(stack))
}

// learned says that a server is asked without something for a while.
func (p *Pool) learned(s *server, what lack) {
	p.config.Log.Warn("upstream server is asked without something for a minute: several unrelated names could not be asked with it",
		"group", p.config.Name, "server", s.Text, "without", what.String())
}
