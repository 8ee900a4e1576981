// Package upstream asks the outside: groups of servers, which of them is asked,
// over what, for how long, and what of their words counts.
//
// A [Pool] is one group and a [resolver.Exchanger]. Where each decision is made:
// what leaves in query.go; which packet is the reply in match.go; what is kept of
// it in scrub.go; how one server is asked in server.go, over datagrams in udp.go
// and over connections in stream.go; which server, how often and how long in
// race.go. A question that goes well over UDP takes the short way of call.go, by
// the stock of sockets in stock.go.
//
// Forged answers are kept out by what RFC 5452 asks for and a little more. Each
// query over UDP has a connected socket, so that the kernel drops what comes from
// elsewhere; its port and id, and the letter case of its name, are drawn from
// crypto/rand (stock.go says how the port is). That generator and not a seeded
// one: each value is the secret of one query, and no number of values that an
// attacker has seen, of queries that he provoked, may tell him the next.
package upstream
