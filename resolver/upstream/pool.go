package upstream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pldns/resolver"
)

// Pool is one group of servers. All methods may be called by many goroutines at
// once.
type Pool struct {
	config   Config
	patience time.Duration // the longest that one try is waited for before the next
	servers  []*server
	rate     *bucket
	hedges   allowance
	inFlight atomic.Int64 // Exchanges under way
	extra    atomic.Int64 // queries under way beyond the first of each Exchange
	tended   atomic.Bool  // Run looks after the servers
	calls    sync.Pool    // of *call
}

var _ resolver.Exchanger = (*Pool)(nil)

// New makes a group of servers; it asks nobody and starts nothing.
func New(c Config) (*Pool, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	p := &Pool{config: c, patience: maxPatience, rate: newBucket(c.MaxQPS)}
	p.hedges.left = hedgeStore
	for _, s := range c.Servers {
		made := newServer(s, c)
		made.suspect = func(what Suspicion) { p.suspect(made, what) }
		p.servers = append(p.servers, made)
		c.Observer.UpstreamHealth(c.Name, made.Text, true)
	}
	return p, nil
}

// Start asks the group. It goes from server to server until one gives a
// usable answer. If all that answered refused or failed, that is the Reply; if none
// answered, the error is an [Error]; if the group has too much under way, it is
// [ErrShed].
func (p *Pool) Start(q resolver.Question, _ resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (reply resolver.Reply, pending bool, err error) {
	if deadline.IsZero() {
		deadline = time.Now().Add(p.config.Timeout)
	}
	if p.start(deadline, q, done) {
		return resolver.Reply{}, true, nil
	}
	go func() { // ends at the deadline
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		defer cancel()
		done(p.exchange(ctx, q))
	}()
	return resolver.Reply{}, true, nil
}

// exchange asks the group and waits, at most until ctx ends.
func (p *Pool) exchange(ctx context.Context, q resolver.Question) (resolver.Reply, error) {
	defer p.inFlight.Add(-1)
	if p.inFlight.Add(1) > int64(p.config.MaxInFlight) {
		return resolver.Reply{}, p.shed(q)
	}
	if !p.rate.wait(ctx) {
		return resolver.Reply{}, p.shed(q)
	}
	p.hedges.earn()
	return newRace(p, q, p.order(time.Now())).run(ctx, nil)
}

// shed counts a question that is not asked and makes its error.
func (p *Pool) shed(q resolver.Question) error {
	p.config.Observer.UpstreamShed(p.config.Name)
	return fmt.Errorf("ask upstream %s about %s: %w", p.config.Name, q.Name, ErrShed)
}

// Run looks after the servers until ctx ends, and then returns nil: it keeps
// connections to them, tries those that are unhealthy, and looks for loops.
// Exchange works without it, over connections of its own.
func (p *Pool) Run(ctx context.Context) error {
	p.tended.Store(true)
	var tending sync.WaitGroup
	for _, s := range p.servers {
		s.keep()
		tending.Go(func() { p.tend(ctx, s) })
	}
	tending.Wait()
	p.tended.Store(false)
	for _, s := range p.servers {
		s.close()
	}
	return nil
}

// ServerState is what is known of one server, for operators.
type ServerState struct {
	Server    string // as its operator wrote it
	Transport Transport
	Healthy   bool
	Looping   bool          // it leads back to this program and is not asked
	RTT       time.Duration // smoothed; 0 as long as nothing is known
	Failures  float64       // the share of failed queries, recent ones weighing most
	InFlight  int           // queries that wait for a reply
}

// State is what is known of the servers, in the order of the configuration.
func (p *Pool) State() []ServerState {
	states := make([]ServerState, len(p.servers))
	for i, s := range p.servers {
		healthy, _, _ := s.health.healthy()
		rtt, bad := s.health.figures()
		states[i] = ServerState{
			Server: s.Text, Transport: s.Transport, Healthy: healthy, Looping: s.looping(),
			RTT: rtt, Failures: bad, InFlight: int(s.inFlight.Load()),
		}
	}
	return states
}

// The following are how races and probes tell what they learnt of a server.

// sent counts a query that is sent.
func (p *Pool) sent(s *server, why Why) {
	s.inFlight.Add(1)
	p.config.Observer.UpstreamSent(p.config.Name, s.Text, why)
	p.config.Observer.UpstreamInFlight(p.config.Name, s.Text, 1)
}

// ended counts a query that waits no more.
func (p *Pool) ended(s *server) {
	s.inFlight.Add(-1)
	p.config.Observer.UpstreamInFlight(p.config.Name, s.Text, -1)
}

// answered counts an answer.
func (p *Pool) answered(s *server, reply resolver.Reply, took time.Duration) {
	p.config.Observer.UpstreamAnswered(p.config.Name, s.Text, reply.Rcode, took)
	if holdsPrivate(reply.Answer) {
		p.suspect(s, PrivateAddress)
	}
}

// suspect counts what looks like an attack on a server's answers.
func (p *Pool) suspect(s *server, what Suspicion) {
	p.config.Observer.UpstreamSuspicious(p.config.Name, s.Text, what)
}

// rose says that a server is healthy again.
func (p *Pool) rose(s *server) {
	p.config.Observer.UpstreamHealth(p.config.Name, s.Text, true)
	p.config.Log.Info("upstream server answers again", "group", p.config.Name, "server", s.Text)
}

// dropped says that a server is unhealthy from now on.
func (p *Pool) dropped(s *server, why string) {
	p.config.Observer.UpstreamHealth(p.config.Name, s.Text, false)
	p.config.Log.Warn("upstream server fails and is asked last", "group", p.config.Name, "server", s.Text, "reason", why)
	select {
	case s.fell <- struct{}{}:
	default:
	}
}
