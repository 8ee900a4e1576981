package resolvertest

import (
	"context"

	"pldns/resolver"
	"pldns/zones"
)

// Handler is a handler of listeners that is written as a function which may wait: every
// query has a goroutine of its own. It knows no networks.
type Handler func(ctx context.Context, q resolver.Query) resolver.Answer

// Snapshot is none.
func (Handler) Snapshot() *resolver.Snapshot { return nil }

// Begin has the function answer q, with a context that ends when nobody waits for the
// answer any longer. A panic of it is one of Resume. A query that is AtOnce would wait.
func (h Handler) Begin(_ *resolver.Snapshot, q resolver.Query, _ *zones.Network, wake func()) (resolver.Answer, resolver.Pending) {
	if q.AtOnce {
		return resolver.Answer{Waits: true}, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &answering{cancel: cancel}
	go func() { // ends with the function
		defer wake()
		defer func() { p.fault = recover() }()
		p.answer = h(ctx, q)
	}()
	return resolver.Answer{}, p
}

// answering is a function that answers.
type answering struct {
	answer resolver.Answer
	fault  any
	cancel context.CancelFunc
}

func (a *answering) Resume() (resolver.Answer, resolver.Pending) {
	a.cancel()
	if a.fault != nil {
		panic(a.fault)
	}
	return a.answer, nil
}

func (a *answering) GiveUp(error) resolver.Answer {
	a.cancel()
	return resolver.Answer{Rcode: 2}
}
