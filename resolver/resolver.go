package resolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pldns/zones"
	"pldns/zones/content"
	"pldns/zones/policy"
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

// Policies are those that networks are held to, each once.
func (s *Snapshot) Policies() []*policy.Policy {
	var all []*policy.Policy
	for _, list := range s.policies {
		for _, p := range list {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// Explain decides as [Resolver.Resolve] does, by the same code, and says how.
func (r *Resolver) Explain(ctx context.Context, q Query) (Answer, *Trace) {
	return r.current.Load().Explain(ctx, q)
}

// DefaultDeadline is the time within which every query is answered: below the
// patience of every stub resolver and of the forwarders in front of us.
const DefaultDeadline = 2500 * time.Millisecond

// Route sends the questions about a suffix to an upstream group.
type Route struct {
	Suffix zones.Name // the root for the rest
	Group  string
	To     Exchanger
}

// Options are what a [Snapshot] is made of.
type Options struct {
	// Table says who sees which records. It must not be nil.
	Table *zones.Table
	// Routes are the routes of each network of the table, by its name. A network
	// without routes, and a name that no route covers, are not forwarded.
	Routes map[string][]Route
	// Policies are those that the clients of each network are held to, by its name, in
	// the order in which they count. Nil is none.
	Policies map[string][]*policy.Policy
	// Copies are what is held of the zones that are answered from copies, by the id that the
	// table has for each. One that is not among them is as one of which there is none yet.
	Copies map[string]content.Copy
	// Health tells which addresses of endpoints can be reached; nil stands for all.
	Health Health
	// Loops recognises questions that this program itself has sent out; nil knows
	// none.
	Loops Loops
	// Deadline bounds the whole of a query; zero stands for DefaultDeadline.
	Deadline time.Duration
	// Identity is what is told of the server itself.
	Identity Identity
	// Designated are the encrypted ways to the server itself.
	Designated Designated
	// Release names the release of a fleet's store that all of it is made of, for those
	// who are told of answers; empty for none.
	Release string
	// Origin says in one line where an endpoint of a network comes from, for
	// explanations; empty where that is not known. Nil knows nothing.
	Origin func(network string, endpoint zones.Name) string
}

// Snapshot is everything compiled from one configuration. It is immutable.
type Snapshot struct {
	table     *zones.Table
	routes    map[*zones.Network]routes
	policies  map[*zones.Network][]*policy.Policy // nil where there is none
	copies    map[string]content.Copy
	health    Health
	loops     Loops
	deadline  time.Duration
	identity  Identity
	encrypted Designated
	release   string
	origin    func(network string, endpoint zones.Name) string // nil knows nothing
	chains    sync.Pool                                        // of *chain
}

// Health knows how the addresses of endpoints are. Its methods are called by many
// goroutines at once.
type Health interface {
	// Healthy is called on the path of queries, and must be quick.
	Healthy(zones.Target) bool
	// Fault says in one line what is wrong with a target that is not healthy.
	Fault(zones.Target) string
}

// Loops recognises the questions that this program sends out to find servers that
// lead back to it. Caught is called for every query, and must be quick.
type Loops interface {
	Caught(zones.Name) bool
}

// NewSnapshot compiles a snapshot. It refuses two routes of one network for the
// same suffix, and routes and policies of a network that the table does not have.
func NewSnapshot(options Options) (*Snapshot, error) {
	s := &Snapshot{
		table:     options.Table,
		routes:    make(map[*zones.Network]routes),
		copies:    options.Copies,
		health:    options.Health,
		loops:     options.Loops,
		deadline:  cmp.Or(options.Deadline, DefaultDeadline),
		identity:  options.Identity,
		encrypted: options.Designated,
		release:   options.Release,
		origin:    options.Origin,
		chains:    sync.Pool{New: func() any { return new(chain) }},
	}
	var faults []error
	for name, list := range options.Routes {
		network, known := options.Table.Network(name)
		if !known {
			faults = append(faults, fmt.Errorf("routes of network %s, which does not exist", name))
			continue
		}
		compiled, err := newRoutes(list)
		if err != nil {
			faults = append(faults, fmt.Errorf("network %s: %w", name, err))
		}
		s.routes[network] = compiled
	}
	for name, list := range options.Policies {
		network, known := options.Table.Network(name)
		switch {
		case !known:
			faults = append(faults, fmt.Errorf("policies of network %s, which does not exist", name))
		case s.policies == nil:
			s.policies = make(map[*zones.Network][]*policy.Policy)
			fallthrough
		default:
			s.policies[network] = list
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return s, nil
}

// WithCopies is s with other copies of zones. Everything else is shared, so that it costs
// nothing to have one for each version of a zone.
func (s *Snapshot) WithCopies(copies map[string]content.Copy) *Snapshot {
	return &Snapshot{
		table: s.table, routes: s.routes, policies: s.policies, copies: copies, health: s.health, loops: s.loops,
		deadline: s.deadline, identity: s.identity, encrypted: s.encrypted, release: s.release, origin: s.origin,
		chains: sync.Pool{New: s.chains.New},
	}
}

// WithPolicies is s with others in the place of the policies of the same names.
func (s *Snapshot) WithPolicies(made map[string]*policy.Policy) *Snapshot {
	next := s.WithCopies(s.copies)
	if s.policies == nil {
		return next
	}
	next.policies = make(map[*zones.Network][]*policy.Policy, len(s.policies))
	for network, list := range s.policies {
		list = slices.Clone(list)
		for i, p := range list {
			list[i] = cmp.Or(made[p.Name()], p)
		}
		next.policies[network] = list
	}
	return next
}

// Copies are what is held of the zones that are answered from copies. They must not be
// changed.
func (s *Snapshot) Copies() map[string]content.Copy { return s.copies }

// Release is that of a fleet's store that all of it is made of; empty for none.
func (s *Snapshot) Release() string { return s.release }

// Table says who sees which records.
func (s *Snapshot) Table() *zones.Table { return s.table }

// Explain decides as the server does, by the same code, and says how.
func (s *Snapshot) Explain(ctx context.Context, q Query) (Answer, *Trace) {
	trace := &Trace{origin: s.origin}
	answer := s.wait(ctx, q, trace)
	return answer, trace
}

// routes are the routes of one network by suffix.
type routes map[zones.Name]Route

func newRoutes(list []Route) (routes, error) {
	compiled := make(routes, len(list))
	for _, route := range list {
		if _, twice := compiled[route.Suffix]; twice {
			return nil, fmt.Errorf("two routes for %s", route.Suffix)
		}
		compiled[route.Suffix] = route
	}
	return compiled, nil
}

// to finds the route of a name: the longest suffix wins.
func (r routes) to(name zones.Name) (Route, bool) {
	for at, more := name, true; more; at, more = at.Parent() {
		if route, found := r[at]; found {
			return route, true
		}
	}
	return Route{}, false
}
