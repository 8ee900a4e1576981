package cache

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// The timers of RFC 8767 section 5 that are not for operators to set.
const (
	// answerTimer is how long a client waits for news before it is told what is
	// stale (the client response timer).
	answerTimer = 1800 * time.Millisecond
	// answerMargin is left of a client's deadline when it is told what is stale.
	answerMargin = 200 * time.Millisecond
	// staleTTL is the TTL in seconds that an expired record is told with.
	staleTTL = 30

	minRecheck = 5 * time.Second
	maxRecheck = 30 * time.Second
)

// What it takes to be refreshed ahead of expiry: to have been asked for
// prefetchHits times in this life, and to have less than 1/prefetchPart of it left.
const (
	prefetchHits = 3
	prefetchPart = 10
)

// What is said to people in extended errors.
const (
	staleText   = "the upstream does not answer; this is what it said last"
	failureText = "the upstream failed a moment ago and has not been asked again"
)

// moment is a time as the span since the Cache was made: small, monotonic, and
// never zero, so that zero can say "never".
type moment = time.Duration

// entry is one thing that an upstream said, or failed to say. It belongs to the
// shard that holds it: all of it is read and changed under that shard's lock. The
// slices in reply are replaced, never written to, since readers share them.
type entry struct {
	reply    resolver.Reply // its TTLs are those of the moment asOf
	err      error          // of a remembered failure that has no reply
	asOf     moment
	expires  moment
	lifetime time.Duration
	failed   moment // when a refresh last failed
	tried    moment // when a refresh in the background was last called for
	failure  bool   // there is no answer here, only the memory of having asked
	outdated bool   // reply is in the form in which it is told when stale
	hits     uint32 // in this life
	size     int64
}

// newEntry makes an entry of an answer that lasts for so long from now.
func newEntry(reply resolver.Reply, now moment, lifetime time.Duration) *entry {
	reply.Source = resolver.FromCache
	return &entry{reply: reply, asOf: now, expires: now + lifetime, lifetime: lifetime}
}

// newFailure makes an entry of a failure, which is a reply, or an error. Who is
// told of it later is told that it is remembered (RFC 8914 section 4.14).
func newFailure(reply resolver.Reply, err error, now moment, lifetime time.Duration) *entry {
	e := newEntry(reply, now, lifetime)
	e.failure = true
	switch {
	case err != nil:
		e.err = fmt.Errorf("remembered: %w", err)
	case reply.Rcode == dns.RcodeServerFailure:
		e.reply.Errors = slices.Concat(reply.Errors,
			[]resolver.Error{{Code: dns.ExtendedErrorCodeCachedError, Text: failureText}})
	}
	return e
}

// ageing is the part of a Config that says how answers grow old.
type ageing struct {
	stale    time.Duration // how long an answer may be used after it has expired
	recheck  time.Duration // how long a failed refresh keeps clients from waiting for another
	quiet    time.Duration // the least time between two refreshes in the background
	prefetch bool
}

// state is what an entry is good for at some moment.
type state uint8

const (
	absent state = iota // nothing, or nothing that may be used
	fresh               // an answer
	stale               // an answer if there is no better one
)

// found is what a look at the store gives.
type found struct {
	state   state
	reply   resolver.Reply
	err     error
	failing bool // a refresh failed not long ago: do not wait for another
	due     bool // whoever gets this should have it refreshed in the background
}

// at tells what e is good for now. It brings the TTLs of e forward, so that all
// who ask in the same second share one set of records.
func (e *entry) at(now moment, rules ageing) found {
	switch {
	case now < e.expires:
		e.hits++
		e.countDown(now)
		return found{state: fresh, reply: e.reply, err: e.err, due: rules.prefetch && e.ending(now) && e.call(now, rules)}
	case e.usable(now, rules):
		e.outdate(now)
		failing := e.failed != 0 && now < e.failed+rules.recheck
		return found{state: stale, reply: e.reply, failing: failing, due: failing && e.call(now, rules)}
	default:
		return found{}
	}
}

// usable tells whether e holds an answer that may still be told, fresh or stale.
func (e *entry) usable(now moment, rules ageing) bool {
	return !e.failure && now < e.expires+rules.stale
}

// ending tells whether e is wanted enough, and old enough, to be prefetched.
func (e *entry) ending(now moment) bool {
	return !e.failure && e.hits >= prefetchHits && e.expires-now <= e.lifetime/prefetchPart
}

// call tells whether it is time for a refresh in the background, and if so takes
// it as done, so that only one of many callers is told.
func (e *entry) call(now moment, rules ageing) bool {
	if last := max(e.failed, e.tried); last != 0 && now < last+rules.quiet {
		return false
	}
	e.tried = now
	return true
}

// countDown lowers the TTLs of e by the whole seconds that have gone by since it
// was last done.
func (e *entry) countDown(now moment) {
	passed := uint32((now - e.asOf) / time.Second)
	if passed == 0 {
		return
	}
	lower := func(ttl uint32) uint32 { return ttl - min(ttl, passed) }
	e.reply.Answer = withTTL(e.reply.Answer, lower)
	e.reply.Authority = withTTL(e.reply.Authority, lower)
	e.asOf += seconds(passed)
}

// outdate brings e into the form in which it is told when stale: with the TTL of
// RFC 8767 section 4 for what has expired and never more for the rest, with the
// extended error of RFC 8914 sections 4.4 and 4.20, and not vouched for.
func (e *entry) outdate(now moment) {
	if e.outdated {
		return
	}
	e.countDown(now)
	e.outdated = true
	relabel := func(ttl uint32) uint32 {
		if ttl == 0 || ttl > staleTTL {
			return staleTTL
		}
		return ttl
	}
	e.reply.Answer = withTTL(e.reply.Answer, relabel)
	e.reply.Authority = withTTL(e.reply.Authority, relabel)
	e.reply.Source = resolver.FromStale
	e.reply.Authenticated = false
	code := dns.ExtendedErrorCodeStaleAnswer
	if e.reply.Rcode == dns.RcodeNameError {
		code = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
	}
	e.reply.Errors = slices.Concat(e.reply.Errors, []resolver.Error{{Code: code, Text: staleText}})
}

// outlast answers q where old, which has expired, is all there is in memory: with
// news if they come in time, else with old.
func (g *group) outlast(ctx context.Context, q resolver.Question, old found) (resolver.Reply, error) {
	if old.failing {
		g.count(Stale)
		if old.due {
			g.refresh(q, false)
		}
		return old.reply, nil
	}
	wait := answerTimer
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-answerMargin)
	}
	limit, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	reply, err := g.ask(ctx, limit, q)
	if err == nil && answered(reply) {
		g.count(Miss)
		return reply, nil
	}
	if wait == answerTimer && limit.Err() != nil && ctx.Err() == nil {
		// Whoever asks next need not wait as long to learn the same.
		g.cache.store.fail(key{g.name, q}, g.cache.now())
	}
	g.count(Stale)
	return old.reply, nil
}

// refresh asks q in the background, for nobody in particular, unless it is being
// asked already, or half of what may be under way is, or nothing is done in the
// background. Ahead says that the answer in memory has not expired.
func (g *group) refresh(q resolver.Question, ahead bool) {
	g.cache.spawn(func(ctx context.Context) {
		f, first, err := g.board(q, (g.cache.config.Flights+1)/2, 0, time.Now().Add(g.cache.config.Timeout))
		if err != nil || !first {
			return
		}
		if ahead {
			g.count(Prefetch)
		}
		f.ahead = ahead
		g.fly(ctx, f.deadline, f)
	})
}
