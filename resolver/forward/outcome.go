package forward

import (
	"fmt"
	"slices"
	"time"

	"pldns/resolver"
)

// The following are what becomes of the attempts of a question.

// settleForDoubts takes doubtful replies for what they are worth, where a better one
// was waited for long enough.
func (x *exchange) settleForDoubts(now time.Time) {
	for _, a := range x.attempts {
		p := a.pending
		if a.settled || x.over || p.listen.IsZero() || now.Before(p.listen) {
			continue
		}
		if r, did := p.over.settleFor(p); did {
			a.slowly = true
			x.take(a, r, now)
		}
	}
}

// overdue counts the attempts that were waited for long enough.
func (x *exchange) overdue(now time.Time) {
	for _, a := range x.attempts {
		if !a.settled && !a.late && now.Sub(a.began) >= x.patience {
			a.late = true
			x.blame(a.server, a.server.silent, now)
		}
	}
}

// take takes what came of a query of an attempt. It may end the attempt, and with it
// the exchange.
func (x *exchange) take(a *attempt, r reading, now time.Time) {
	r, ended := a.goOn(r, now)
	if !ended {
		return
	}
	x.ended(a)
	if r.err == errFault {
		x.finish(resolver.Reply{}, errFault)
		return
	}
	if !a.late {
		x.nextAttempt = time.Time{} // the next one may begin at once
	}
	reply, failure := a.server.reply(x.question, r)
	if failure != nil {
		if !a.late || failure.Reason != TimedOut {
			x.blame(a.server, failure, now)
		}
		// What is surely the server's own reply is no better the next time.
		a.candidate.out = failure.Reason == Lame || failure.Reason == Malformed && (a.stream || a.server.Transport != Plain)
		return
	}
	a.server.learned.show(malformed, now)
	took := now.Sub(a.began)
	x.pool.config.Observer.UpstreamAnswered(x.pool.config.Name, a.server.Text, reply.Rcode, took)
	if r.private || holdsPrivate(reply.Answer) {
		a.server.suspect(PrivateAddress)
	}
	if failing(reply.Rcode) {
		last := reply
		x.refused, a.refused, a.candidate.out = &last, true, true
		return
	}
	x.won(a, now, took)
	x.finish(reply, nil)
}

// won credits the server that answered, and tells what that says of the others:
// who refused or failed could have answered, and who was asked before and takes
// longer than usual was overtaken. Only then do these count against a server: a
// question that nobody can answer says nothing about who was asked.
func (x *exchange) won(winner *attempt, now time.Time, took time.Duration) {
	if x.probe {
		return
	}
	p := x.pool
	if winner.slowly {
		took = 0
	}
	if winner.server.health.answered(now, took) {
		p.rose(winner.server)
	}
	for _, a := range x.attempts {
		s := a.server
		elapsed := now.Sub(a.began)
		if !a.settled && s != winner.server && elapsed >= a.usual {
			s.loops.suspect(x.question.Name, now)
		}
		switch {
		case s == winner.server:
		case a.refused && s.health.failed(now, x.question):
			p.dropped(s, "it refuses or fails what others answer")
		case !a.settled && !a.late && elapsed >= a.usual && a.began.Before(winner.began) &&
			s.health.overtaken(now, elapsed, x.question):
			p.dropped(s, "it takes far longer than usual")
		}
	}
}

// blame notes a failure of a server. A reply that cannot be read counts against its
// health only if those for several unrelated names cannot: else it is the name.
func (x *exchange) blame(s *server, f *Failure, now time.Time) {
	x.failures = append(x.failures, f)
	x.pool.config.Observer.UpstreamFailed(x.pool.config.Name, s.Text, f.Reason)
	if f.Reason == TimedOut && !x.probe {
		s.loops.suspect(x.question.Name, now)
	}
	switch {
	case x.probe, f.Err == errFull, f.Reason == Looping, f.Reason == Malformed && !s.learned.agree(malformed, x.question, now):
		return
	}
	if s.health.failed(now, x.question) {
		x.pool.dropped(s, f.Error())
	}
}

// giveUp is the end of an exchange that nobody won.
func (x *exchange) giveUp(late bool) {
	if x.refused != nil {
		x.finish(*x.refused, nil)
		return
	}
	name := x.pool.config.Name
	if late && len(x.attempts) == 0 {
		x.finish(resolver.Reply{}, fmt.Errorf("ask upstream %s about %s: its time was over before it was sent", name, x.question.Name))
		return
	}
	now := time.Now()
	for _, a := range x.attempts {
		if !a.settled && !a.late {
			x.blame(a.server, a.server.silent, now)
		}
	}
	failures := slices.Clip(x.failures)
	if len(x.candidates) == 0 {
		for _, s := range x.pool.servers {
			failures = append(failures, s.loopFailure(x.question.Name))
			x.pool.config.Observer.UpstreamFailed(name, s.Text, Looping)
		}
	}
	x.finish(resolver.Reply{}, &Error{Group: name, Failures: failures})
}
