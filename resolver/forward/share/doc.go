// Package share shares out what is scarce between those who ask: the places of
// pending queries ([Quota]) and the turns before a limit of queries a second
// ([Queue]). It knows who asks by network and client, and what is asked by the
// domain that a name is registered under ([Suffix]).
//
// The rule is the same everywhere: as long as there is enough, everybody gets
// what they want; when there is not, the largest share gets less, so that whoever
// takes little never notices (longest queue drop, RFC 7567 section 3). Shares are
// counted along two ways that both lead to a question:
//
//	network ─┬─ client ───────────┬─ client and suffix
//	         └─ suffix in network ┘
//	suffix ──── suffix in network
//
// One busy client is large by the first way. A domain that nobody answers, asked by
// thousands of clients of which each asks little, is large by the second, within a
// network and over all of them; a forwarder that is one client for a whole site
// stays small beside it.
//
// Nothing here reads a clock, starts a goroutine or asks anybody. All types may be
// used by many goroutines at once.
package share
