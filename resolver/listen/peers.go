package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/primary"
	"pldns/resolver/tsig"
	"pldns/resolver/wire"
	"pldns/zones"
)

// Peers are other servers with which zones are exchanged. Whatever they do not know, and who is
// none of them, is refused as without them: NOTIFY, zone transfers, and what is signed with a key
// that is not known. The zero Peers are none.
type Peers struct {
	// Keys are those that queries may be signed with (RFC 8945); what is signed with one is answered
	// like any query, and the reply is signed.
	Keys tsig.Ring
	// Notified is told that zones have changed elsewhere; nil is nobody.
	Notified Notified
	// Transfers gives zones to other servers; nil gives none.
	Transfers Transfers
}

// Notified is told by NOTIFY (RFC 1996) that a zone has changed. It is called by many goroutines at
// once, on the path of queries, and must not wait for anything.
type Notified interface {
	// Notify is told by whom, and by which key it has signed, the zero Name for none. An address
	// may be forged. It is false if that is no primary of the zone, and then NOTIFY is refused.
	Notify(zone zones.Name, from netip.Addr, key zones.Name) bool
}

// Transfers decides about what other servers ask of zones. It is called by many goroutines at once,
// on the path of queries, and must not wait for anything. A *primary.Server is one.
type Transfers interface {
	// Transfer decides about a request for a zone, or for its SOA record.
	Transfer(primary.Request) primary.Outcome
	// Took is told that what was given is being sent: the whole zone, or changes of it.
	Took(q primary.Request, whole bool)
}

// SetPeers replaces Config.Peers for what is read from here on.
func (s *Server) SetPeers(p Peers) {
	if len(p.Keys) == 0 && p.Notified == nil && p.Transfers == nil {
		s.peers.Store(nil)
		return
	}
	s.peers.Store(&p)
}

// ofPeers tells whether the request may concern other servers: it is signed, NOTIFY, or asks for a
// zone or its SOA record.
func (r *request) ofPeers() bool {
	return r.tsig != nil || r.notify || r.kind == dns.TypeSOA || r.kind == dns.TypeAXFR || r.kind == dns.TypeIXFR
}

// readNotify reads what NOTIFY says (RFC 1996 section 3), if that can be read. What its answer
// section says of the zone is not believed.
func (r *request) readNotify(packet []byte) {
	if !r.scan(packet) || len(r.question) == 0 || r.edns && (r.version != 0 || !r.readOptions()) {
		return
	}
	r.readType()
	r.notify = r.kind == dns.TypeSOA && r.class == dns.ClassINET && r.flags&wire.Opcodes>>11 == dns.OpcodeNotify
}

// readType reads the type and the class in the question.
func (r *request) readType() {
	fixed := r.question[len(r.question)-4:]
	r.kind = binary.BigEndian.Uint16(fixed)
	r.class = binary.BigEndian.Uint16(fixed[2:])
}

// fromPeer deals with what concerns other servers. It says what is to become of a query that is none
// of theirs, or has dealt with it. Queries that are signed are neither looked for among those that are
// remembered nor remembered.
func (s *Server) fromPeer(q *query, x *scratch, r *request, p *Peers, why Refusal) (Refusal, outcome, bool) {
	if r.tsig != nil && (why == BadKey || r.notify && why == NotAllowed) {
		why = r.verify(p.Keys, q, why)
	}
	switch {
	case r.notify && why == NotAllowed && p.Notified != nil:
		return s.notified(q, x, r, p.Notified)
	case why != Accepted || r.class != dns.ClassINET || p.Transfers == nil || x.memory.network == nil:
		return why, outcome{}, false
	case r.kind == dns.TypeSOA || r.kind == dns.TypeAXFR || r.kind == dns.TypeIXFR:
		return s.taken(q, x, r, p.Transfers)
	}
	return why, outcome{}, false
}

// verify verifies the signature of a request, at the price of one HMAC. It gives what becomes of the
// request: as it was, if nothing is wrong with that, and Accepted in the place of BadKey.
func (r *request) verify(keys tsig.Ring, q *query, why Refusal) Refusal {
	signature, err := keys.Receive(bytes.Clone(q.message), q.began)
	if err != nil {
		return Malformed
	}
	signature.Plain = nil // so that it is not kept with the query
	r.signature = signature
	if fault := signature.Fault; fault != nil {
		switch fault.Code {
		case dns.RcodeBadKey:
			return BadKey
		case dns.RcodeBadTime:
			return BadTime
		}
		return BadSig
	}
	r.key = signature.Key.Name
	if why == BadKey {
		why = Accepted
	}
	return why
}

// signRoom is what the signature of the reply takes, in octets.
func (r *request) signRoom() int {
	if r.signature == nil {
		return 0
	}
	const fixed = 10 + 16 + 6 + 2*wire.LengthSize + len(".hmac-sha256.")
	room := fixed + 2*len(r.key.FQDN())
	if key := r.signature.Key; key != nil {
		room = fixed + len(r.key.FQDN()) + key.Size()
	}
	return room
}

// sign signs a reply that is complete, if the request was signed.
func (r *request) sign(reply []byte) []byte {
	if r.signature == nil {
		return reply
	}
	return r.signature.Sign(reply, time.Now())
}

// notified answers NOTIFY (RFC 1996 section 3.7). Nothing that is served changes with it.
func (s *Server) notified(q *query, x *scratch, r *request, to Notified) (Refusal, outcome, bool) {
	if r.readName() != Accepted || !to.Notify(zones.NameOf(r.name), q.client.Addr, r.key) {
		return NotAllowed, outcome{}, false
	}
	reply := s.complete(q, r, r.appendBare(x.buf[:0], wire.QR|wire.AA|r.flags&wire.Opcodes, dns.RcodeSuccess))
	answer := resolver.Answer{Network: q.network, Source: resolver.FromLocal}
	s.tally(q, &answer, false).Add(1, max(time.Since(q.began), 1))
	return Accepted, outcome{reply: reply}, true
}

// taken deals with a request for a zone or its SOA record. It leaves those of everybody who may take
// no zone to what is said to anybody.
func (s *Server) taken(q *query, x *scratch, r *request, from Transfers) (Refusal, outcome, bool) {
	if r.subnet.given { // which says who asks: somebody behind a forwarder
		return Accepted, outcome{}, false
	}
	if why := r.readName(); why != Accepted {
		return why, outcome{}, false
	}
	request := primary.Request{
		Zone: zones.NameOf(r.name), Network: q.network, From: q.client.Addr, Key: r.key, Type: r.kind,
	}
	if r.kind == dns.TypeIXFR {
		serial, known := serialOf(q.message)
		if !known {
			return Malformed, outcome{}, false
		}
		request.Serial = serial
	}
	out := from.Transfer(request)
	switch {
	case out.Verdict == primary.Stranger, r.kind == dns.TypeSOA && (out.Verdict == primary.Denied || out.Verdict == primary.NotHeld):
		return Accepted, outcome{}, false
	}
	q.asked = r.query(q.client)
	q.asked.Stream = q.stream
	answer, whole := answerOf(&request, &out, q)
	if !whole {
		return Accepted, s.finish(q, x, r, answer), true
	}
	return Accepted, s.transfer(q, x, r, from, &request, &out), true
}

// answerOf is the answer to a request for a zone, or says that the zone itself is to be sent.
func answerOf(request *primary.Request, out *primary.Outcome, q *query) (answer resolver.Answer, whole bool) {
	answer = resolver.Answer{Network: q.network, Zone: request.Zone, Source: resolver.FromLocal}
	refuse := func(rcode int, code uint16, why string) (resolver.Answer, bool) {
		answer.Rcode, answer.Errors = rcode, []resolver.Error{{Code: code, Text: why}}
		return answer, false
	}
	_, streams := q.to.(*conn)
	switch {
	case out.Verdict == primary.Denied:
		return refuse(dns.RcodeRefused, dns.ExtendedErrorCodeProhibited, out.Why)
	case out.Verdict == primary.NotHeld:
		return refuse(dns.RcodeNotAuth, dns.ExtendedErrorCodeNotAuthoritative, out.Why)
	case out.Verdict == primary.NotReady:
		return refuse(dns.RcodeServerFailure, dns.ExtendedErrorCodeNotReady, out.Why)
	case out.Verdict == primary.Expired:
		return refuse(dns.RcodeServerFailure, dns.ExtendedErrorCodeInvalidData, out.Why)
	case request.Type == dns.TypeSOA, request.Type == dns.TypeIXFR && !q.stream: // RFC 1995 section 2
		answer.Records, answer.Authoritative = []dns.RR{out.SOA}, true
		return answer, false
	case !streams:
		return refuse(dns.RcodeRefused, dns.ExtendedErrorCodeNotSupported, "zones are sent over TCP and TLS")
	}
	return answer, true
}

// serialOf is the serial of what the client of an IXFR request has: of the SOA record in its
// authority section (RFC 1995 section 3).
func serialOf(message []byte) (uint32, bool) {
	m, ok := wire.ReadRecords(message)
	if !ok || wire.Count(message, wire.Answer) != 0 || wire.Count(message, wire.Authority) != 1 {
		return 0, false
	}
	soa, ok := m.Record()
	if !ok || soa.Type != dns.TypeSOA {
		return 0, false
	}
	data := wire.Reader{Message: message[:soa.End], At: soa.Data}
	for range 2 { // the primary, and the mailbox
		if _, ok := data.Name(); !ok {
			return 0, false
		}
	}
	const numbers = 5 * 4
	if soa.End-data.At != numbers {
		return 0, false
	}
	return binary.BigEndian.Uint32(message[data.At:]), true
}

// errTorn is a record that no message can hold.
var errTorn = errors.New("a record of the zone is larger than a DNS message can be")
