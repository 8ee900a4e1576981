package resolvertest

import (
	"context"
	"time"

	"pldns/resolver"
)

// Outside is an exchanger that is written as a function which may wait: every
// question has a goroutine of its own.
type Outside func(ctx context.Context, q resolver.Question) (resolver.Reply, error)

var _ resolver.Exchanger = Outside(nil)

// Start has the function answer q, with a context that ends at the deadline. The error is
// what the function, or the answer, says.
func (o Outside) Start(q resolver.Question, _ resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (reply resolver.Reply, pending bool, err error) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if !deadline.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, deadline)
	}
	go func() { // ends with the function
		defer cancel()
		done(o(ctx, q))
	}()
	return resolver.Reply{}, true, nil
}

// Known is an exchanger that knows every answer at once.
type Known func(q resolver.Question) (resolver.Reply, error)

var _ resolver.Exchanger = Known(nil)

// Start gives the answer. The error is what the function, or the answer, says.
func (k Known) Start(q resolver.Question, _ resolver.Asker, _ time.Time,
	_ func(resolver.Reply, error)) (reply resolver.Reply, pending bool, err error) {
	reply, err = k(q)
	return reply, false, err
}
