package forward

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// checkTime is how long a health check may take.
const checkTime = time.Second

// checkHealth looks after one server until ctx ends.
func (p *Pool) checkHealth(ctx context.Context, s *server) {
	nextLoop, pause := time.Now(), loopRecheck
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.fell:
		case <-timer.C:
		}
		if p.config.Loops != nil && !time.Now().Before(nextLoop) {
			// Often at first: the server, or our own listeners, may not be ready yet.
			pause = min(2*pause, loopPause)
			if p.seekLoop(ctx, s) {
				pause = loopRecheck
			}
			nextLoop = time.Now().Add(pause)
		}
		healthy, again, q := s.health.healthy()
		if !healthy && !time.Now().Before(again) {
			p.check(ctx, s, q)
			healthy, again, _ = s.health.healthy()
		}
		next := time.Now().Add(loopPause)
		if p.config.Loops != nil {
			next = nextLoop
		}
		if !healthy && again.Before(next) {
			next = again
		}
		timer.Reset(time.Until(next))
	}
}

// check asks an unhealthy server what it failed last, and for the root, which
// every resolver knows: the one because some servers only know a few names, the
// other because nobody may know that name any more. If it has an answer to one of
// them, it is well.
func (p *Pool) check(ctx context.Context, s *server, q resolver.Question) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var asking sync.WaitGroup
	var well atomic.Bool
	for _, q := range []resolver.Question{q, {Name: zones.Root(), Type: dns.TypeNS}} {
		asking.Go(func() {
			if took, good := p.probe(ctx, s, q); good && !well.Swap(true) {
				cancel()
				if s.health.answered(time.Now(), took) {
					p.rose(s)
				}
			}
		})
	}
	asking.Wait()
	if !well.Load() {
		s.health.tried(time.Now())
	}
}

// probe asks one question to see how a server is, and waits.
func (p *Pool) probe(ctx context.Context, s *server, q resolver.Question) (took time.Duration, good bool) {
	type outcome struct {
		took time.Duration
		good bool
	}
	began := time.Now()
	told := make(chan outcome, 1)
	deadline, _ := ctx.Deadline()
	x := p.newExchange(q, []*server{s}, began, deadline, func(reply resolver.Reply, err error) {
		told <- outcome{time.Since(began), err == nil && !failing(reply.Rcode)}
	})
	x.probe, x.kept = true, true
	if x.begin(began) {
		x.tell()
	}
	select {
	case o := <-told:
		return o.took, o.good
	case <-ctx.Done():
		x.cancel()
		return time.Since(began), false
	}
}

// seekLoop asks a server for a name that only this process knows. If the name is
// asked here before the answer comes, the server leads back to here, and is not
// asked any more as long as it does.
func (p *Pool) seekLoop(ctx context.Context, s *server) (found bool) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	q := p.config.Loops.begin()
	_, answered := p.probe(ctx, s, q)
	// Two programs that lead to each other both stop asking, so that the question
	// comes back to neither: a loop is over when there is an answer, not before.
	found = p.config.Loops.end(q) || s.loop.Load() && !answered
	if was := s.loop.Swap(found); was != found {
		log := p.config.Log.With("group", p.config.Name, "server", s.Text)
		if found {
			log.Error("upstream server leads back to this program and is not asked: name another server")
			p.config.Observer.UpstreamFailed(p.config.Name, s.Text, Looping)
		} else {
			log.Info("upstream server does not lead back to this program any more")
		}
	}
	return found
}

// keep begins to keep connections to the server.
func (s *server) keep() {
	s.keepSockets()
	s.streams.keep()
	if s.web != nil {
		s.web.keep()
	}
}

// close stops keeping connections and waits until they are closed.
func (s *server) close() {
	s.streams.close()
	s.closeSockets()
	if s.web != nil {
		s.web.close()
	}
	s.alone.wait()
}
