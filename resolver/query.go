package resolver

import (
	"slices"

	"github.com/miekg/dns"

	"pldns/resolver/udpio"
	"pldns/resolver/wire"
	"pldns/zones"
)

// Query is one question as a client asked it.
type Query struct {
	Question
	Spelling         string // the name in the asker's own letter case (RFC 4343)
	Class            uint16
	Client           zones.Client
	RecursionDesired bool
	WantsAD          bool // the AD bit of the query: it understands the AD bit (RFC 6840 section 5.7)
	Stream           bool // it came over a stream: the client's address is proven, and nothing has to be truncated
	AtOnce           bool // the outside is not asked: what it would have to be asked for is an Answer that [Answer.Waits]

	// Worker reads the client's socket, and alone decides the query, in batches: what is
	// asked outside for it leaves at the end of one. Nil where queries are not so read.
	Worker *udpio.Worker
}

// Answer is what a client is told, and why. It is a value: nothing in it may be
// changed by whoever receives it. What comes from the outside as it was said is in
// Wire, as a message that repeats the question of the query, and then Records and
// Authority are empty; whoever looks into them asks for it Unpacked.
type Answer struct {
	Rcode         int
	Wire          wire.Message
	Records       []dns.RR // the answer section: the chain in order, then what it ends in
	Authority     []dns.RR // the SOA of a negative answer, and its proof; or the servers that it refers to
	Additional    []dns.RR // addresses of the servers that it refers to
	Authoritative bool     // all of it is local data
	Authenticated bool     // the upstream vouched for all of it
	Errors        []Error
	Reuse         Reuse
	Waits         bool // there is none yet: the outside has to be asked, and the query is AtOnce
	Truncated     bool // only the TC bit is said, which sends the client to TCP: a policy wants that
	Silent        bool // over UDP nothing is said at all: a policy wants that
	Own           bool // the program asked itself whether it answers: nobody is told of that

	// Why, for people: none of it is sent.
	Network  string     // the network that was found; empty when there is none
	Zone     zones.Name // the zone that decided a local answer; zero when none did
	Endpoint zones.Name // the mapping that decided; zero when none did
	Owner    zones.Name // what stands here for the asked name: a wildcard, a DNAME or a zone cut; zero for none
	Source   Source     // where the part that decided came from
	Required zones.Name // the suffix below which addresses have to be private, if public ones were left out for it
	Verdict  Verdict    // what a policy has said; zero when none did
	Suffix   zones.Name // the forward entry that was followed last; zero when none was
	Group    string     // the upstream group that was asked last; empty when none was
	Server   string
	Hops     int    // CNAMEs followed
	Release  string // of a fleet's store, that the snapshot is made of; empty for none
}

// Reuse says for how long an Answer may be given again, to clients of the same
// network who ask the same, without being decided anew.
type Reuse uint8

// The reuses of an answer.
const (
	// Once: it was refused, failed, stale or asked for just now, or it follows the
	// health of an endpoint. Only deciding anew tells what comes next.
	Once Reuse = iota
	// WhileFresh: what the outside contributed was remembered by its [Exchanger].
	// The TTLs count down, and the Exchanger wants to be asked before they are
	// over, because it refreshes what is in demand.
	WhileFresh
	// WithSnapshot: all of it follows from the snapshot, and nothing counts down.
	WithSnapshot
)

// Unpacked is the answer in the form of records.
func (a Answer) Unpacked() Answer {
	if !a.Wire.IsZero() {
		a.Records, a.Authority = unpacked(a.Wire)
		a.Wire = wire.Message{}
	}
	return a
}

// Denies is the name of the zone whose SOA record comes with a negative answer; false if
// there is none.
func (a Answer) Denies() (zone zones.Name, found bool) {
	for rec := range a.Wire.In(wire.Authority) {
		if rec.Type == dns.TypeSOA {
			return wire.Name(a.Wire.Octets(), rec.Owner)
		}
	}
	for _, rr := range a.Authority {
		if rr.Header().Rrtype == dns.TypeSOA {
			return zones.NameOf(rr.Header().Name), true
		}
	}
	return zones.Name{}, false
}

// IsNegative tells whether the answer says that there is nothing of the type, or no such
// name.
func (a Answer) IsNegative() bool {
	return a.Wire.Count(wire.Authority) > 0 || slices.ContainsFunc(a.Authority, func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeSOA // else it is a proof for a wildcard, or refers to servers
	})
}

// Rule names what decided the answer: "policy", "endpoint", "zone", "require_private" or
// "forward" and the name of the policy with its entry, of the mapping, the zone, the suffix or
// the forward entry. It is empty when it was none of them, as for a client of no network.
func (a Answer) Rule() string {
	switch {
	case a.Verdict.Decided():
		return "policy " + a.Verdict.Policy + " " + a.Verdict.Entry
	case !a.Endpoint.IsZero():
		return "endpoint " + a.Endpoint.String()
	case !a.Zone.IsZero():
		return "zone " + a.Zone.String()
	case !a.Required.IsZero():
		return "require_private " + a.Required.String()
	case !a.Suffix.IsZero():
		return "forward " + a.Suffix.String()
	default:
		return ""
	}
}
