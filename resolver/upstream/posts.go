package upstream

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
)

// maxPosts is how many goroutines wait for the answers of one server at once. What
// exceeds it waits for one of them.
const maxPosts = 1024

// posts are the queries to one server for which goroutines wait, because that is
// how a library wants to be asked.
type posts struct {
	mu      sync.Mutex
	running int
	waiting []*post
	ended   sync.WaitGroup
}

// post is such a query.
type post struct {
	posts   *posts
	pending *pendingQuery
	ask     func(context.Context) reading
	ctx     context.Context
	cancel  context.CancelFunc

	over bool // guarded by the mutex of posts: it was told of, or withdrawn
}

// sendBy sends a query by a function that waits for its answer, at most for as long
// as the exchange lasts.
func (s *server) sendBy(p *pendingQuery, x *exchange, ask func(context.Context) reading) error {
	ctx, cancel := context.WithDeadline(context.Background(), x.ends)
	made := &post{posts: &s.posts, pending: p, ask: ask, ctx: ctx, cancel: cancel}
	p.over = made
	s.posts.mu.Lock()
	defer s.posts.mu.Unlock()
	if s.posts.running == maxPosts {
		s.posts.waiting = append(s.posts.waiting, made)
		return nil
	}
	s.posts.running++
	s.posts.ended.Go(func() { s.posts.run(made) })
	return nil
}

// run asks, and goes on with what waits.
func (ps *posts) run(next *post) {
	for next != nil {
		next.run()
		ps.mu.Lock()
		next = nil
		if len(ps.waiting) > 0 {
			next, ps.waiting = ps.waiting[0], slices.Delete(ps.waiting, 0, 1)
		} else {
			ps.running--
		}
		ps.mu.Unlock()
	}
}

// run asks and tells what came of it.
func (p *post) run() {
	defer p.cancel()
	r := p.answer()
	p.posts.mu.Lock()
	tell := !p.over
	p.over = true
	p.posts.mu.Unlock()
	if tell {
		p.pending.told(r)
	}
}

// answer is what came of asking, which costs no more than the question if it
// panics.
func (p *post) answer() (r reading) {
	defer func() {
		if fault := recover(); fault != nil {
			p.pending.attempt.server.pool.panicked(fault, debug.Stack())
			r = reading{err: errFault}
		}
	}()
	return p.ask(p.ctx)
}

func (p *post) withdraw(*pendingQuery) bool {
	p.posts.mu.Lock()
	defer p.posts.mu.Unlock()
	was := p.over
	p.over = true
	p.cancel()
	if at := slices.Index(p.posts.waiting, p); at >= 0 {
		p.posts.waiting = slices.Delete(p.posts.waiting, at, at+1)
	}
	return !was
}

func (p *post) settleFor(*pendingQuery) (reading, bool) { return reading{}, false }
