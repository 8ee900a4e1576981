package upstream

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"pldns/resolver"
)

// Pool is one group of servers. All methods may be called by many goroutines at
// once.
type Pool struct {
	config   Config
	servers  []*server
	inFlight atomic.Int64
}

var _ resolver.Exchanger = (*Pool)(nil)

// New makes a group of servers; it asks nobody and starts nothing.
func New(c Config) (*Pool, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	p := &Pool{config: c}
	for _, s := range c.Servers {
		p.servers = append(p.servers, newServer(s, c))
	}
	return p, nil
}

// Exchange asks the group. It goes from server to server until one gives a
// usable answer, and returns before ctx ends or soon after. If all that answered
// refused or failed, that is the Reply; if none answered, the error is an
// [Error]; if the group has too much under way, it is [ErrShed].
func (p *Pool) Exchange(ctx context.Context, q resolver.Question) (resolver.Reply, error) {
	defer p.inFlight.Add(-1)
	if p.inFlight.Add(1) > int64(p.config.MaxInFlight) {
		p.config.Observer.UpstreamShed(p.config.Name)
		return resolver.Reply{}, fmt.Errorf("ask upstream %s about %s: %w", p.config.Name, q.Name, ErrShed)
	}
	return newRace(p, q).run(ctx)
}

// Run looks after the servers until ctx ends, and then returns nil. Exchange
// works without it.
func (p *Pool) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// ServerState is what is known of one server, for operators.
type ServerState struct {
	Server    string
	Transport Transport
	Healthy   bool
	RTT       time.Duration // smoothed; 0 as long as nothing is known
}

// State is what is known of the servers, in the order of the configuration.
func (p *Pool) State() []ServerState {
	states := make([]ServerState, len(p.servers))
	for i, s := range p.servers {
		states[i] = ServerState{Server: s.Text, Transport: s.Transport, Healthy: true}
	}
	return states
}
