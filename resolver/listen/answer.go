package listen

import (
	"context"
	"runtime/debug"
	"sync/atomic"

	"pldns/resolver"
	"pldns/zones"
)

// served is what became of a query.
type served struct {
	frame   []byte // the reply, after its length
	query   resolver.Query
	answer  resolver.Answer
	why     Refusal // Accepted if answer is what the reply says
	details []any   // for the log, if it is not
	whole   bool    // the reply is all of the answer
	about   account // what the reply counts to, over UDP
}

// answer asks the Handler and packs what it says. It never panics: one query
// that meets a fault of this program must not take every name of every client
// down with it, so that query alone is answered SERVFAIL.
func (s *Server) answer(ctx context.Context, x *exchange, client zones.Client, fit fitting) (out served) {
	defer func() {
		if fault := recover(); fault != nil {
			out = x.failed(Panicked, fit, "panic", fault, "stack", string(debug.Stack()))
		}
	}()
	out.query = resolver.NewQuery(&x.asked, client)
	out.answer = s.config.Handler.Resolve(ctx, out.query)
	return x.packed(out, fit)
}

// answerInside is answer for what can be answered without waiting; else it is
// false.
func (s *Server) answerInside(x *exchange, client zones.Client, fit fitting) (out served, decided bool) {
	defer func() {
		if fault := recover(); fault != nil {
			out, decided = x.failed(Panicked, fit, "panic", fault, "stack", string(debug.Stack())), true
		}
	}()
	out.query = resolver.NewQuery(&x.asked, client)
	if out.answer, decided = s.remembered.ResolveInside(out.query); !decided {
		return served{}, false
	}
	return x.packed(out, fit), true
}

// packed is out with the frame of its answer.
func (x *exchange) packed(out served, fit fitting) served {
	frame, err := x.frame(out.answer, fit)
	if err != nil {
		return x.failed(Unpackable, fit, "error", err)
	}
	out.frame, out.whole = frame, x.whole
	return out
}

// failed is the refusal of the request of x.
func (x *exchange) failed(why Refusal, fit fitting, details ...any) served {
	return served{
		frame:   x.refusal(&x.request, why, fit.limit),
		why:     why,
		details: append(details, "name", x.request.name, "type", x.request.kind),
	}
}

// room counts the queries of a transport that are under way.
type room struct {
	limit int64
	taken atomic.Int64
}

// enter takes a place, if there is one.
func (r *room) enter() bool {
	if r.taken.Add(1) > r.limit {
		r.taken.Add(-1)
		return false
	}
	return true
}

// leave gives a place back.
func (r *room) leave() { r.taken.Add(-1) }
