package forward

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pldns/resolver/forward/share"
	"pldns/zones"
)

// Conditional forwarders are by suffix: a server may be right for all names but those
// of one zone, which it forwards back to here. Nobody could find that out by asking
// for names of our own, and a client that asks what another one has just asked looks
// the same as a question that comes back. So where a name got no answer, the server is
// asked for a name below it that nobody else can know. Only if that name is asked here
// is it a loop: what clients ask never makes one.

const (
	// loopSuspects is how many names without an answer wait to be looked into.
	loopSuspects = 16
	// loopSeen is of how many domains it is remembered when they were looked into.
	loopSeen = 256
	// loopSpacing is how long it takes at least from one name that is looked into to
	// the next, so that many names without an answer make little traffic.
	loopSpacing = time.Second
)

// suffixLoops are the suffixes whose names a server leads back to this program.
type suffixLoops struct {
	found    atomic.Pointer[[]zones.Name] // nil or empty for none; never changed
	suspects chan zones.Name              // names that got no answer

	mu   sync.Mutex
	seen map[zones.Name]time.Time // when the names of a domain were suspected last
	last time.Time                // when any was
}

// cover tells which suffix that leads back a name lies in; false if in none.
func (l *suffixLoops) cover(name zones.Name) (zones.Name, bool) {
	if found := l.found.Load(); found != nil {
		for _, suffix := range *found {
			if name.Within(suffix) {
				return suffix, true
			}
		}
	}
	return zones.Name{}, false
}

// all are the suffixes that lead back.
func (l *suffixLoops) all() []zones.Name {
	if found := l.found.Load(); found != nil {
		return *found
	}
	return nil
}

// suspect has a name looked into that got no answer, unless another one of its domain
// was a moment ago.
func (l *suffixLoops) suspect(name zones.Name, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.last) < loopSpacing {
		return
	}
	domain := share.Suffix(name)
	if last, known := l.seen[domain]; known && now.Sub(last) < loopPause {
		return
	}
	select {
	case l.suspects <- name:
	default:
		return
	}
	if len(l.seen) >= loopSeen {
		clear(l.seen)
	}
	l.seen[domain.Clone()], l.last = now, now
}

// set replaces the suffixes that lead back.
func (l *suffixLoops) set(found []zones.Name) { l.found.Store(&found) }

// leadsBack tells whether a server leads a name back to this program.
func (s *server) leadsBack(name zones.Name) bool {
	if s.loop.Load() {
		return true
	}
	_, covered := s.loops.cover(name)
	return covered
}

// loopFailure is what is said of a server that leads a name back.
func (s *server) loopFailure(name zones.Name) *Failure {
	failure := &Failure{Server: s.Text, Reason: Looping}
	if suffix, covered := s.loops.cover(name); covered && !s.loop.Load() {
		failure.Err = suffixLoopError{suffix}
	}
	return failure
}

// suffixLoopError says of which names a loop is.
type suffixLoopError struct{ suffix zones.Name }

func (e suffixLoopError) Error() string { return "the names of " + e.suffix.String() }

// cutLoops gives up the attempts at servers of which it was found out meanwhile that
// they lead the name back here: all that they wait for is this very question.
func (x *exchange) cutLoops(now time.Time) {
	if x.probe {
		return
	}
	for i := range x.candidates {
		c := &x.candidates[i]
		c.out = c.out || c.leadsBack(x.question.Name)
	}
	for _, a := range x.attempts {
		if !a.settled && a.server.leadsBack(x.question.Name) {
			x.ended(a)
			x.kept = !a.withdraw() || x.kept
			x.blame(a.server, a.server.loopFailure(x.question.Name), now)
		}
	}
}

// checkLoops looks for suffixes that a server leads back, until ctx ends.
func (p *Pool) checkLoops(ctx context.Context, s *server) {
	if p.config.Loops == nil {
		return
	}
	again := time.NewTicker(loopRecheck)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case name := <-s.loops.suspects:
			if _, known := s.loops.cover(name); !known && !s.loop.Load() {
				p.seekSuffix(ctx, s, name)
			}
		case <-again.C:
			p.recheckSuffixes(ctx, s)
		}
	}
}

// seekSuffix finds out whether a server leads a name back, and the longest part of
// what is above it that it leads back as well.
func (p *Pool) seekSuffix(ctx context.Context, s *server, name zones.Name) {
	back, _ := p.comesBack(ctx, s, name)
	if !back {
		return
	}
	for parent, ok := name.Parent(); ok && !parent.IsRoot(); parent, ok = parent.Parent() {
		if back, _ = p.comesBack(ctx, s, parent); !back {
			break
		}
		name = parent
	}
	name = name.Clone()
	others := slices.DeleteFunc(slices.Clone(s.loops.all()), func(other zones.Name) bool { return other.Within(name) })
	s.loops.set(append(others, name))
	p.config.Log.Error("upstream server leads the names of a suffix back to this program: remove its forwarder for them",
		"group", p.config.Name, "server", s.Text, "suffix", name)
	p.config.Observer.UpstreamFailed(p.config.Name, s.Text, Looping)
}

// recheckSuffixes forgets the suffixes that do not lead back any more: as of whole
// servers, only an answer shows that.
func (p *Pool) recheckSuffixes(ctx context.Context, s *server) {
	for _, suffix := range s.loops.all() {
		if back, answered := p.comesBack(ctx, s, suffix); back || !answered {
			continue
		}
		s.loops.set(slices.DeleteFunc(slices.Clone(s.loops.all()), func(other zones.Name) bool { return other == suffix }))
		p.config.Log.Info("upstream server does not lead the names of a suffix back to this program any more",
			"group", p.config.Name, "server", s.Text, "suffix", suffix)
	}
}

// comesBack asks a server for a name below another one that only this process knows,
// and tells whether it was asked here, or answered.
func (p *Pool) comesBack(ctx context.Context, s *server, below zones.Name) (back, answered bool) {
	q, ok := p.config.Loops.beginBelow(below)
	if !ok {
		return false, false
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	_, answered = p.probe(ctx, s, q)
	return p.config.Loops.end(q), answered
}

// sorted are suffixes as operators see them.
func sorted(suffixes []zones.Name) []string {
	texts := make([]string, len(suffixes))
	for i, suffix := range suffixes {
		texts[i] = suffix.String()
	}
	slices.SortFunc(texts, cmp.Compare)
	return texts
}
