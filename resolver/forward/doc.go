// Package forward asks the outside: groups of servers, which of them is asked,
// over what, for how long, and what of their words counts.
//
// A [Pool] is one group and a [resolver.Exchanger]. A question is an exchange
// (exchange.go): a state machine that is moved by events. Where each decision is
// made: who may have how much under way in package share; which server is asked,
// how often and how long, in plan.go; what becomes of its answer in outcome.go; how
// one server is asked, and in which other way if it wants that, in attempt.go and
// options.go; what leaves in query.go; which packet is the reply, and whether it is
// believed, in match.go and udp.go; what is kept of it in scrub.go.
//
// Nobody waits: a pending query (pending.go) is brought its reply by the reader of
// the socket pool (socketpool.go), or of a connection (connpool.go), and the times
// of all are kept by one timer (package timers). Who brings something does the work that
// follows from it, up to telling whoever asked.
//
// Forged answers are kept out by what RFC 5452 asks for and a little more. Each
// query over UDP has a connected socket, so that the kernel drops what comes from
// elsewhere; its port and id, and the letter case of its name, are drawn from
// crypto/rand (socketpool.go says how the port is). That generator and not a seeded
// one: each value is the secret of one query, and no number of values that an
// attacker has seen, of queries that he provoked, may tell him the next.
package forward
