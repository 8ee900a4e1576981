package resolver

import (
	"context"
	"sync/atomic"

	"pldns/zones"
)

// Resolver answers queries from the snapshot that it holds. It may be used by
// any number of goroutines.
type Resolver struct {
	current atomic.Pointer[Snapshot]
}

// New makes a resolver that answers from the snapshot.
func New(snapshot *Snapshot) *Resolver {
	r := new(Resolver)
	r.current.Store(snapshot)
	return r
}

// Swap makes the resolver answer from another snapshot and returns the one
// before. Queries under way end with the one they began with.
func (r *Resolver) Swap(snapshot *Snapshot) *Snapshot { return r.current.Swap(snapshot) }

// Snapshot is the one that answers now.
func (r *Resolver) Snapshot() *Snapshot { return r.current.Load() }

// Resolve decides one answer. It returns within the snapshot's deadline, with
// an answer in every case. Ending ctx gives up early.
func (r *Resolver) Resolve(ctx context.Context, q Query) Answer {
	return r.current.Load().wait(ctx, q, nil)
}

// Begin is [Snapshot.Begin] of the snapshot given, which is one that r has held.
func (r *Resolver) Begin(s *Snapshot, q Query, network *zones.Network, wake func()) (Answer, Pending) {
	return s.Begin(q, network, wake)
}

// Explain decides as [Resolver.Resolve] does, by the same code, and says how.
func (r *Resolver) Explain(ctx context.Context, q Query) (Answer, *Trace) {
	return r.current.Load().Explain(ctx, q)
}
