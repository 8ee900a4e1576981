package forward

import (
	"time"

	"github.com/miekg/dns"
)

// attempt is one try to have a question answered by one server. It takes more than
// one query where the server wants to be asked in another way: without an OPT
// record (RFC 6891 section 6.2.2), with the cookie that it just gave (RFC 7873
// section 5.3), or over TCP (RFC 7766). All but the fields of the pending query are
// guarded by the exchange.
type attempt struct {
	exchange  *exchange
	server    *server
	candidate *candidate
	began     time.Time
	usual     time.Duration // within which the server usually answers

	extra   bool // it is not the first of the exchange
	late    bool // it was given up waiting for, but may still be answered
	settled bool // it was answered, or failed
	refused bool // its answer was that the server failed or refused

	options queryOptions  // of the query that is pending
	stream  bool          // which went over a connection
	why     confirmation  // and for what
	cookies uint8         // queries that were answered by BADCOOKIE
	bare    bool          // EDNS was given up in this attempt
	slowly  bool          // what it took says nothing of how long the server takes
	pending *pendingQuery // nil when none is
	first   pendingQuery
}

// confirmation is why something that came over UDP is asked again over TCP, where
// a forger has nothing to guess.
type confirmation uint8

const (
	confirmNothing confirmation = iota
	confirmCase                 // the letter case of the name did not come back
	confirmCookie               // the cookie did not come back
)

// send sends the query of the attempt as it is to be sent now.
func (a *attempt) send(now time.Time) error {
	p := &a.first
	if p.attempt != nil {
		p = new(pendingQuery) // somebody may still be reading the other one
	}
	p.attempt, a.pending = a, p
	if a.server.Transport == Plain && !a.stream {
		p.listen = now.Add(a.server.health.usual(listenUnknown, a.exchange.patience))
	}
	return a.server.send(p, a.exchange, a.options, a.stream, now)
}

// goOn takes what came of the query of the attempt, and sends another one if the
// server is to be asked in another way. If not, the attempt has ended.
func (a *attempt) goOn(r reading, now time.Time) (last reading, ended bool) {
	for {
		a.pending = nil
		if !a.asksAgain(r, now) {
			return r, true
		}
		err := a.send(now)
		if err == nil {
			// The next query takes its time, too, before anybody else is asked.
			a.slowly = true
			if q := a.exchange.pool.queue; q != nil {
				q.Spend(now)
			}
			a.exchange.nextAttempt = now.Add(min(2*a.usual, a.exchange.patience))
			return r, false
		}
		r = reading{err: err}
	}
}

// asksAgain decides whether the server is to be asked in another way, and in which.
func (a *attempt) asksAgain(r reading, now time.Time) bool {
	if a.server.Transport == Plain {
		if a.stream {
			if a.backToUDP(r, now) {
				return true
			}
		} else if a.overTCP(r, now) {
			return true
		}
	}
	switch {
	case r.err != nil:
		return false
	case a.options.noEDNS:
		if a.bare && !puzzled(r.rcode()) {
			a.server.learn(noEDNS, a.exchange.question, now)
		}
		return false
	case r.rcode() == dns.RcodeBadCookie:
		a.cookies++
		a.options.noCookie = false
		a.stream = a.stream || a.server.Transport == Plain && a.cookies == 2
		return a.cookies <= 2
	case puzzled(r.rcode()):
		a.options.noEDNS, a.bare = true, true
		a.stream = a.stream && a.server.Transport != Plain
		return true
	}
	return false
}

// overTCP decides whether what came over UDP is to be asked again over TCP: it was
// cut off, or looks forged.
func (a *attempt) overTCP(r reading, now time.Time) bool {
	switch {
	case r.err == errRecased:
		a.server.suspect(WrongCase)
		a.why = confirmCase
	case r.err == errNoCookie:
		a.server.suspect(NoCookie)
		a.server.learn(noCookie, a.exchange.question, now)
		a.why = confirmCookie
	case r.err == errSuspect:
		a.server.suspect(NearMiss)
		a.why = confirmNothing
	case r.err == nil && r.truncated():
		a.why = confirmNothing
	default:
		return false
	}
	a.stream = true
	return true
}

// backToUDP decides whether, after TCP was asked, UDP is asked once more. A reply
// that was right but for its letter case may be forged, or come from a server that
// does not keep the case. TCP tells which: a server that breaks the case there too,
// or has no TCP, is asked in lower case for a while. Likewise one that sent no
// cookie and has no TCP is no longer expected to.
func (a *attempt) backToUDP(r reading, now time.Time) bool {
	switch {
	case a.why == confirmCase && (r.err != nil || !r.same):
		a.server.learn(sameCase, a.exchange.question, now)
		a.options.sameCase = true
	case a.why == confirmCookie && r.err != nil:
		a.options.noCookie = true
	default:
		return false
	}
	a.why = confirmNothing
	if r.err == nil {
		return false
	}
	a.stream = false
	return true
}

// puzzled tells whether a server says that it did not understand the query.
func puzzled(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
}

// withdraw gives the attempt up; false if its query may still be told of.
func (a *attempt) withdraw() bool {
	p := a.pending
	a.pending = nil
	return p == nil || p.over == nil || p.over.withdraw(p)
}
