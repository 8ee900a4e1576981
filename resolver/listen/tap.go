package listen

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"pldns/resolver"
	"pldns/zones"
)

// Tap is told of single queries and what became of them, for logs. Its method is
// called by many goroutines at once, when the reply has been sent, and must not
// wait for anything.
type Tap interface {
	// Exchanged is called for every query that was decided, and for every one that
	// was refused with a reply. Of those that could be answered from memory, which
	// is nearly all, it is called only for the sample that [Server.SetTap] names:
	// these are decided anew. The messages in e are valid until it returns.
	Exchanged(e *Exchange)
}

// Exchange is one query and what became of it.
type Exchange struct {
	Transport string         // as an [Observer] is told
	From      netip.AddrPort // who sent the query; port 0 if a PROXY header names it
	Began     time.Time      // when it was read
	Took      time.Duration  // until its reply was sent
	Why       Refusal        // Accepted if Answer says what was replied
	Query     resolver.Query // without a question if it was refused before that was read
	Answer    resolver.Answer
	Request   []byte // as it came; nil unless the query was drawn for the sample
	Reply     []byte
	lot       uint32
}

// Drawn tells whether e belongs to a sample of one query in so many, which may not
// be fewer than SetTap was told; 0 draws none. It says the same for everybody who
// asks, and a smaller sample is part of a larger one.
func (e *Exchange) Drawn(oneIn uint32) bool { return drawn(e.lot, oneIn) }

// drawn compares in 64 bits: a lot is below 2^32, so all of them are one in one.
func drawn(lot, oneIn uint32) bool { return oneIn > 0 && uint64(lot)*uint64(oneIn) < 1<<32 }

// Rcode is the response code of a refusal.
func (r Refusal) Rcode() int { return r.rcode() }

// tapped is a Tap and its sample.
type tapped struct {
	to    Tap
	oneIn uint32
}

// SetTap says who is told of single queries, nil for nobody, from the next query
// on, and which sample of those that could be answered from memory is drawn for it:
// one query in so many, 1 for all, 0 for none. To decide a query anew costs several
// times as much as to answer it from memory.
func (s *Server) SetTap(tap Tap, oneIn uint32) {
	if tap == nil {
		s.tap.Store(nil)
		return
	}
	s.tap.Store(&tapped{tap, oneIn})
}

// sample is what a tap is told of a query, as far as it is known on reading.
type sample struct {
	tap   *tapped // nil for nobody
	drawn bool    // it is not answered from memory
	lot   uint32
	from  netip.AddrPort
	query []byte // the message, if drawn
}

// begin notes what a query is, for the tap of the moment if there is one, and tells
// whether it is drawn. What a proxy says of its client has been read, a client
// subnet has not.
func (p *sample) begin(tap *tapped, message []byte, peer netip.AddrPort, client zones.Client) bool {
	p.tap, p.drawn = tap, false
	if tap == nil {
		return false
	}
	p.lot = rand.Uint32()
	p.drawn = drawn(p.lot, tap.oneIn)
	p.from = netip.AddrPortFrom(client.Addr, 0)
	if client.Addr == peer.Addr().Unmap().WithZone("") {
		p.from = netip.AddrPortFrom(client.Addr, peer.Port())
	}
	p.query = p.query[:0]
	if p.drawn {
		p.query = append(p.query, message...)
	}
	return p.drawn
}

// end tells the tap what became of the query that p belongs to.
func (p *sample) end(q *query, x *scratch, reply []byte) {
	if p.tap == nil {
		return
	}
	e := &Exchange{
		Transport: q.transport, From: p.from, Began: q.began, Took: time.Since(q.began),
		Why: x.why, Query: q.asked, Answer: x.answer, Reply: reply, lot: p.lot,
	}
	if p.drawn {
		e.Request = p.query
	}
	p.tap.to.Exchanged(e)
	if p.tap = nil; cap(p.query) > replyRoom {
		p.query = nil
	}
}
