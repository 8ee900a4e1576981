package cache

import (
	"errors"
	"runtime/debug"
	"time"

	"pldns/resolver"
)

// group is the view of one upstream group.
type group struct {
	cache *Cache
	name  string
	next  resolver.Exchanger
	late  error // for whoever has waited in vain
	hasher
}

// What those are told who wait for a question of which nothing comes.
var (
	errGivenUp = errors.New("the question was given up")
	errStopped = errors.New("the program stops and waits for no more replies")
)

// request is one question that somebody asks.
type request struct {
	key      key
	from     resolver.Asker
	deadline time.Time
	began    time.Time // by the clock by which is waited
	now      moment    // by the clock by which what is remembered ages
	seen     uint64    // how often the shard had changed when it was looked at
	waiter   waiter
}

// Start answers q from memory, or by way of the upstream, which is asked on behalf
// of whoever is the first to ask.
func (g *group) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (reply resolver.Reply, pending bool, err error) {
	c := g.cache
	r := request{
		key: g.key(q), from: from, deadline: deadline, now: c.now(), waiter: waiter{done: done},
	}
	seen := c.store.look(&r.key, r.now)
	r.seen = seen.changes
	if seen.state == fresh {
		g.count(Hit)
		if seen.due {
			g.refresh(&r.key, from, true)
		}
		reply, err := seen.entry.reply(r.now, false)
		return reply, false, err
	}
	if from.AtOnce {
		return resolver.Reply{}, false, resolver.ErrUnknown
	}
	r.began = time.Now()
	if deadline.IsZero() {
		r.deadline = r.began.Add(c.config.Timeout)
	}
	if seen.state == stale {
		return g.outlast(&r, seen)
	}
	g.count(Miss)
	if !r.deadline.After(r.began) {
		return resolver.Reply{}, false, g.late
	}
	return g.ask(&r, r.deadline)
}

// ask puts the question of r to the upstream, or waits with others that have, until a time.
func (g *group) ask(r *request, until time.Time) (resolver.Reply, bool, error) {
	c := g.cache
	f, first, gave := c.pending.join(g, &r.key, &r.waiter, until)
	if gave != nil {
		gave.flight.group.count(Busy)
		gave.told(resolver.Reply{}, ErrBusy)
	}
	if !first {
		g.count(Coalesced)
		return resolver.Reply{}, true, nil
	}
	// Another flight may have landed since the caller looked.
	if e := c.store.fresh(&r.key, r.now, r.seen); e != nil {
		return f.landHere(e.reply(r.now, false))
	}
	ends := r.began.Add(c.config.Late)
	if r.deadline.After(ends) {
		ends = r.deadline
	}
	reply, pending, err := f.start(r.from, ends)
	if pending {
		return resolver.Reply{}, true, nil
	}
	return f.landHere(reply, err)
}

// begin puts the question of k to the upstream, for nobody who waits, unless it is
// being asked already. Ahead says that the answer in memory has not expired.
func (g *group) begin(k *key, from resolver.Asker, ahead bool) {
	f, first, _ := g.cache.pending.join(g, k, nil, time.Time{})
	if !first {
		return
	}
	if ahead {
		g.count(Prefetch)
	}
	if reply, pending, err := f.start(from, time.Now().Add(g.cache.config.Late)); !pending {
		f.land(reply, err)
	}
}

// start asks the upstream. What it says at once is remembered; else the flight is not to be
// used by whoever started it any more.
func (f *flight) start(from resolver.Asker, ends time.Time) (reply resolver.Reply, pending bool, err error) {
	err = errGivenUp // unless something better comes
	defer f.group.cache.guard()
	reply, pending, err = f.group.next.Start(f.key.question, from, ends, f.replied)
	if !pending {
		reply, err = f.settle(reply, err)
	}
	return reply, pending, err
}

// reply takes what came of a question that was started.
func (f *flight) reply(reply resolver.Reply, err error) {
	f.land(f.settle(reply, err))
}

// settle has what came of a question remembered, and gives what the askers are
// told. It comes before the flight lands, so that whoever finds no flight finds the
// answer.
func (f *flight) settle(reply resolver.Reply, err error) (told resolver.Reply, fault error) {
	fault = errGivenUp
	defer f.group.cache.guard()
	if errors.Is(err, resolver.ErrOverload) {
		return reply, err // it was not even asked
	}
	f.group.cache.remember(&f.key, &reply, err, f.epoch)
	return reply, err
}

// land ends the flight and tells all who wait for it.
func (f *flight) land(reply resolver.Reply, err error) {
	p := f.group.cache.pending
	waiters := p.land(f)
	if waiters == nil && f.left && err == nil && answered(reply) {
		f.group.count(Late)
	}
	for w := waiters; w != nil; {
		next := w.after
		w.told(reply, err)
		w = next
	}
	if err != errGivenUp { // else the upstream may still say something
		p.done(f)
	}
}

// landHere ends a flight whose outcome is known before its opener has begun to
// wait, and gives what the opener is told.
func (f *flight) landHere(reply resolver.Reply, err error) (resolver.Reply, bool, error) {
	p, here := f.group.cache.pending, false
	for w := p.land(f); w != nil; {
		next := w.after
		if w == &f.opener {
			here = true
		} else {
			w.told(reply, err)
		}
		w = next
	}
	if !here { // it has been told already that its time was up
		return resolver.Reply{}, true, nil
	}
	over := err != errGivenUp // else the upstream may still say something
	reply, err = f.opener.outcome(reply, err)
	if over {
		p.done(f)
	}
	return reply, false, err
}

// told ends the wait of w. A panic of what it calls costs this one question.
func (w *waiter) told(reply resolver.Reply, err error) {
	defer w.flight.group.cache.guard()
	w.done(w.outcome(reply, err))
}

// outcome is what w is told where this came of its question.
func (w *waiter) outcome(reply resolver.Reply, err error) (resolver.Reply, error) {
	if w.old == nil {
		return reply, err
	}
	g := w.flight.group
	if err == nil && answered(reply) {
		g.count(Miss)
		return reply, nil
	}
	g.count(Stale)
	return g.outdated(w.old), nil
}

// timeUp tells w that its time is up.
func (w *waiter) timeUp() {
	g := w.flight.group
	if c := g.cache; w.old != nil && w.full { // whoever asks next need not wait as long to learn the same
		c.store.fail(&w.flight.key, w.old, c.now())
	}
	w.told(resolver.Reply{}, g.late)
}

// guard keeps a panic from ending the program: it is deferred around the work for
// one question.
func (c *Cache) guard() {
	fault := recover()
	if fault == nil {
		return
	}
	c.config.Observer.Panicked("cache")
	c.config.Log.Error("a question was given up after a panic: report this", "panic", fault, "stack", string(debug.Stack()))
}

func (g *group) count(event Event) { g.cache.config.Observer.CacheEvent(g.name, event) }
