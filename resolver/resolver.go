package resolver

import (
	"context"
	"sync/atomic"

	"github.com/miekg/dns"
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
	return r.current.Load().resolve(ctx, q, nil)
}

// Explain decides as [Resolver.Resolve] does, by the same code, and says how.
func (r *Resolver) Explain(ctx context.Context, q Query) (Answer, *Trace) {
	return r.current.Load().Explain(ctx, q)
}

// resolve walks the rooms in their order: who asks, what may be asked at all,
// and then the chain. A question that has gone round is cut here, before all. Nothing about a name is looked at before the network is
// known (DESIGN part 3, rule 1).
func (s *Snapshot) resolve(ctx context.Context, q Query, trace *Trace) Answer {
	if s.loops != nil && s.loops.Caught(q.Name) { // whoever brings it: it is our own
		return refused(dns.ExtendedErrorCodeOther, "this question went round in a circle")
	}
	match, found := s.table.NetworkFor(q.Client)
	trace.network(q.Client, match, found)
	answer := refused(dns.ExtendedErrorCodeProhibited, "this client belongs to no network")
	if found {
		answer = s.answerIn(ctx, q, match.Network, trace)
		answer.Network = match.Network.Name()
	}
	answer.memo = s.memo
	trace.answer(answer)
	return answer
}
