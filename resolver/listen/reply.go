package listen

import (
	"encoding/binary"
	"errors"
	"sort"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
	"pldns/zones"
)

const replyRoom = 4096

// errTooLarge is a reply that no truncation brings under its limit. TC over TCP
// would send the client in circles, so there it is an error at once.
var errTooLarge = errors.New("the reply is larger than the transport carries")

// query is what a client asks by r, for package resolver.
func (r *request) query(client zones.Client) resolver.Query {
	q := resolver.Query{
		Question: resolver.Question{Type: r.kind, DNSSEC: r.do, CheckingDisabled: r.flags&wire.CD != 0},
		Spelling: r.name, Class: r.class, Client: client,
		RecursionDesired: r.flags&wire.RD != 0, WantsAD: r.flags&wire.AD != 0,
	}
	if r.name != "" {
		q.Name = zones.NameOf(r.name)
	}
	return q
}

// limit is the size in octets that a reply to q may have before [Server.complete].
func (q *query) limit(r *request) int {
	limit := wire.MaxMessage
	if !q.stream {
		limit = r.size
		if q.wait.pulse != nil {
			limit = q.released(r)
		}
	}
	if r.hasCookie && q.cookieFor.IsValid() {
		limit -= cookieRoom
	}
	if r.subnet.given {
		limit -= r.subnet.size()
	}
	if r.nsid != nil {
		limit -= r.nsidRoom()
	}
	if r.signature != nil {
		limit -= r.signRoom()
	}
	return limit
}

// pack is the reply that says a, in the room of x if that is enough, and whether it is
// the whole of it. An error means that a has no wire form.
//
// What an upstream said, and nobody had to change, stays in wire form. Other answers are
// packed in lower case, then the question is put in as it came. So what is compressed
// against the question follows the asker's letters, and everything else in the reply is
// the same whatever they are.
func (q *query) pack(x *scratch, r *request, a resolver.Answer) (packed []byte, whole bool, err error) {
	limit := q.limit(r)
	if !a.Wire.IsZero() {
		if said := q.appendSaid(x.buf[:0], r, &a); len(said) <= limit {
			return said, true, nil
		}
	}
	asked := q.asked
	asked.Spelling = asked.Name.FQDN()
	reply := a.Unpacked().Message(asked, r.edns)
	if q.idle != nil && r.keepalive {
		offerKeepalive(reply, q.idle.idleTime())
	}
	packed, err = reply.PackBuffer(x.buf)
	if whole = len(packed) <= limit; err == nil && !whole {
		packed, err = q.cut(reply, x.buf, limit)
	}
	if err != nil {
		return nil, false, err
	}
	binary.BigEndian.PutUint16(packed, r.id)
	copy(packed[wire.HeaderSize:], r.question)
	return packed, whole, nil
}

// appendSaid appends the reply that says an answer in wire form.
func (q *query) appendSaid(out []byte, r *request, a *resolver.Answer) []byte {
	out = a.Wire.AppendTo(out)
	copy(out[wire.HeaderSize:], r.question)
	flags, additional := wire.QR|wire.RA|r.flags&(wire.RD|wire.CD)|uint16(a.Rcode)&wire.Rcodes, 0
	if a.Authenticated && (q.asked.WantsAD || r.do) {
		flags |= wire.AD
	}
	if r.edns {
		opt := len(out)
		out, additional = wire.AppendOPT(out, resolver.UDPSize, a.Rcode, r.do), 1
		for _, e := range a.Errors {
			out = appendError(out, opt, e)
		}
		if q.idle != nil && r.keepalive {
			var units [2]byte
			binary.BigEndian.PutUint16(units[:], idleUnits(q.idle.idleTime()))
			out = wire.AppendOption(out, opt, dns.EDNS0TCPKEEPALIVE, units[:])
		}
	}
	wire.PutHeader(out, r.id, flags, a.Wire.Count(wire.Answer), a.Wire.Count(wire.Authority), additional)
	return out
}

// tooLarge is the answer in the place of one that no message can hold, which is nobody's
// fault here: what came from the outside may take more room when it is told.
func tooLarge(a resolver.Answer) resolver.Answer {
	a.Rcode, a.Wire, a.Reuse = dns.RcodeServerFailure, wire.Message{}, resolver.Once
	a.Records, a.Authority, a.Additional = nil, nil, nil
	a.Authoritative, a.Authenticated = false, false
	a.Errors = []resolver.Error{{Code: dns.ExtendedErrorCodeOther, Text: "the answer is larger than a DNS message can be"}}
	return a
}

// offerKeepalive tells a client that asked for it how long its connection may
// be idle (RFC 7828 section 3.2.2), in units of 100 ms; zero asks it to close.
func offerKeepalive(reply *dns.Msg, idle time.Duration) {
	opt := reply.IsEdns0()
	if opt == nil {
		return
	}
	opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{
		// The library's own type cannot say zero.
		Code: dns.EDNS0TCPKEEPALIVE,
		Data: binary.BigEndian.AppendUint16(nil, idleUnits(idle)),
	})
}

func idleUnits(idle time.Duration) uint16 { return uint16(min(idle/(100*time.Millisecond), 1<<16-1)) }

// cut packs a reply that is too large within the limit, in buf if that has room. It loses
// the texts of extended errors first, which are for people, and then whole RRsets from the
// end, with the TC bit (RFC 2181 section 9). The question and the OPT record stay. Over a
// stream nothing is ever truncated.
func (q *query) cut(reply *dns.Msg, buf []byte, limit int) ([]byte, error) {
	if dropTexts(reply) {
		if packed, err := reply.PackBuffer(buf); err != nil || len(packed) <= limit {
			return packed, err
		}
	}
	if q.stream {
		return nil, errTooLarge
	}
	reply.Truncated = true
	reply.Ns = nil
	if opt := reply.IsEdns0(); opt != nil {
		reply.Extra = []dns.RR{opt}
	} else {
		reply.Extra = nil
	}
	truncate(reply, limit, buf)
	packed, err := reply.PackBuffer(buf)
	if err == nil && len(packed) > limit {
		// Even the header, question and options are too much: only a pile of
		// extended errors can do that.
		reply.IsEdns0().Option = nil
		packed, err = reply.PackBuffer(buf)
	}
	return packed, err
}

// dropTexts empties the texts of extended errors and tells whether there were any.
func dropTexts(reply *dns.Msg) bool {
	opt, dropped := reply.IsEdns0(), false
	if opt == nil {
		return false
	}
	for _, option := range opt.Option {
		if ede, ok := option.(*dns.EDNS0_EDE); ok && ede.ExtraText != "" {
			ede.ExtraText, dropped = "", true
		}
	}
	return dropped
}

// truncate leaves as many RRsets of the answer section, from the front, as fit.
// If the end of a chain of aliases is not among them, nothing is left: a client
// that overlooks the TC bit must not take half a chain for the whole.
func truncate(reply *dns.Msg, limit int, buf []byte) {
	answer := reply.Answer
	ends := rrsetEnds(answer)
	tooMany := sort.Search(len(ends), func(i int) bool {
		reply.Answer = answer[:ends[i]]
		wire, err := reply.PackBuffer(buf)
		return err != nil || len(wire) > limit
	})
	reply.Answer = nil
	if tooMany > 0 && hasEnd(answer[:ends[tooMany-1]], reply.Question[0].Qtype) {
		reply.Answer = answer[:ends[tooMany-1]]
	}
}

// rrsetEnds gives the index after each RRset of records. Signatures count to
// the RRset that they stand behind.
func rrsetEnds(records []dns.RR) []int {
	var ends []int
	for i, rr := range records {
		if i == len(records)-1 || !sameRRset(rr, records[i+1]) {
			ends = append(ends, i+1)
		}
	}
	return ends
}

// sameRRset tells whether two records belong to one RRset and its signatures.
func sameRRset(a, b dns.RR) bool {
	return covered(a) == covered(b) && dns.CanonicalName(a.Header().Name) == dns.CanonicalName(b.Header().Name)
}

// covered is the type of rr, and of a signature the type that it signs.
func covered(rr dns.RR) uint16 {
	if signature, ok := rr.(*dns.RRSIG); ok {
		return signature.TypeCovered
	}
	return rr.Header().Rrtype
}

// hasEnd tells whether records hold more than aliases on the way to what was asked.
func hasEnd(records []dns.RR, asked uint16) bool {
	for _, rr := range records {
		kind := covered(rr)
		if kind == asked || kind != dns.TypeCNAME && kind != dns.TypeDNAME {
			return true
		}
	}
	return false
}
