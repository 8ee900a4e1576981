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

// ResolveInside decides as [Resolver.Resolve] does, by the same code, if nothing has
// to be asked outside; else it is false. So it waits for nothing.
func (r *Resolver) ResolveInside(q Query) (Answer, bool) {
	return r.current.Load().decide(context.Background(), q, nil, true)
}

// Explain decides as [Resolver.Resolve] does, by the same code, and says how.
func (r *Resolver) Explain(ctx context.Context, q Query) (Answer, *Trace) {
	return r.current.Load().Explain(ctx, q)
}

// resolve decides, whatever has to be asked for it.
func (s *Snapshot) resolve(ctx context.Context, q Query, trace *Trace) Answer {
	answer, _ := s.decide(ctx, q, trace, false)
	return answer
}

// decide walks the rooms in their order: who asks, what may be asked at all,
// and then the chain. A question that has gone round is cut here, before all. Nothing about a name is looked at before the network is
// known (DESIGN part 3, rule 1). What is to be decided inside and cannot is not
// decided: then it is false.
func (s *Snapshot) decide(ctx context.Context, q Query, trace *Trace, inside bool) (Answer, bool) {
	if s.loops != nil && s.loops.Caught(q.Name) { // whoever brings it: it is our own
		return refused(dns.ExtendedErrorCodeOther, "this question went round in a circle"), true
	}
	match, found := s.table.NetworkFor(q.Client)
	trace.network(q.Client, match, found)
	answer, decided := refused(dns.ExtendedErrorCodeProhibited, "this client belongs to no network"), true
	if found {
		if answer, decided = s.answerIn(ctx, q, match.Network, trace, inside); !decided {
			return Answer{}, false
		}
		answer.Network = match.Network.Name()
	}
	answer.memo = s.memo
	trace.answer(answer)
	return answer, true
}
