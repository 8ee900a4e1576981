package cache

import (
	"time"

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

// outlast answers r where what is seen has expired and is all there is in memory:
// with news if they come in time, else with that.
func (g *group) outlast(r *request, seen found) (resolver.Reply, bool, error) {
	if seen.failing {
		g.count(Stale)
		if seen.due {
			g.refresh(&r.key, r.from, false)
		}
		return g.outdated(seen.entry), false, nil
	}
	w, until := &r.waiter, r.began.Add(answerTimer)
	w.old, w.full = seen.entry, true
	if own := r.deadline.Add(-answerMargin); own.Before(until) {
		until, w.full = own, false
	}
	if !until.After(r.began) {
		g.begin(&r.key, r.from, false)
		g.count(Stale)
		return g.outdated(seen.entry), false, nil
	}
	return g.ask(r, until)
}

// outdated is what e, which has expired, says now.
func (g *group) outdated(e *entry) resolver.Reply {
	reply, _ := e.reply(g.cache.now(), true)
	return reply
}

// refresh asks the question of k in the background, if anything is done there. It
// is asked on behalf of whoever called for it.
func (g *group) refresh(k *key, from resolver.Asker, ahead bool) {
	if g.cache.running.Load() {
		g.begin(k, from, ahead)
	}
}
