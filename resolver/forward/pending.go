package forward

import (
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
)

// reading is what a reply turned out to say: one of the first three.
type reading struct {
	plain []byte // as readPlain gives it
	msg   *dns.Msg
	err   error

	private bool // plain has an address that is not public
	same    bool // over a connection: the letter case of the question came back
}

// empty tells whether there is nothing to be told.
func (r reading) empty() bool { return r.plain == nil && r.msg == nil && r.err == nil }

// rcode is the response code of what was read.
func (r reading) rcode() int {
	if r.msg != nil {
		return r.msg.Rcode
	}
	return int(wire.Flags(r.plain) & wire.Rcodes)
}

// truncated tells whether what was read had been cut off.
func (r reading) truncated() bool { return r.msg != nil && r.msg.Truncated }

// certainty is what a packet that came to a pending query is worth.
type certainty uint8

const (
	stray    certainty = iota // not the reply: waiting goes on
	doubtful                  // maybe the reply: it counts if none that is better comes in time
	certain                   // the reply
)

// pendingQuery is a query that was sent and waits for its reply.
type pendingQuery struct {
	query
	attempt *attempt
	over    carrier   // what brings the reply
	listen  time.Time // until when a doubtful reply does not count
	doubt   reading   // the doubtful reply that came; empty if none did
	strays  int       // packets that came meanwhile and were not the reply
	socket  *socket   // of the socket pool; nil over all else
	asked   time.Time // when it was sent, where its reply is to be told of; else zero
	room    [smallQuery]byte
	cookie  [cookieRoom]byte
}

// write is query.write, and tells of the query.
func (p *pendingQuery) write(q resolver.Question, o queryOptions, cookie, room []byte) error {
	err := p.query.write(q, o, cookie, room)
	if err == nil {
		p.asks()
	}
	return err
}

// smallQuery is room in octets for the header and the question of most queries.
const smallQuery = wire.HeaderSize + 80 + 4

// carrier takes queries to a server and tells the exchange what comes back: once
// for each query that was sent, unless it is withdrawn. It never waits.
type carrier interface {
	// withdraw gives a query up: true if nobody will be told anything.
	withdraw(*pendingQuery) bool
	// settleFor gives a query up for the doubtful reply that came; false if none did.
	settleFor(*pendingQuery) (reading, bool)
}

// suspects says that a reply is doubtful, and what to believe of several such. One
// that is asked about over TCP is the better one, because there is nothing to lose.
func (p *pendingQuery) suspects(r reading) {
	if !p.doubted() || r.goesToTCP() || !p.doubt.goesToTCP() {
		p.doubt = r
	}
}

// doubted tells whether a doubtful reply came.
func (p *pendingQuery) doubted() bool { return !p.doubt.empty() }

// goesToTCP tells whether the answer to such a reply is to ask over TCP.
func (r reading) goesToTCP() bool {
	return r.err == errRecased || r.err == errNoCookie || r.err == nil && r.truncated()
}

// told tells the exchange of a query what came of it.
func (p *pendingQuery) told(r reading) { p.attempt.exchange.heard(p, r, time.Now()) }
