package listen

import (
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/tsig"
	"pldns/resolver/wire"
	"pldns/zones"
)

// request is what a message asks for, read from its bytes.
type request struct {
	id    uint16
	flags uint16 // the second two octets of the header as they came

	// question is the question section as it came, part of the packet; empty if
	// there is none that can be read, or more than one.
	question []byte
	name     string // the name in it, as the DNS library writes names
	kind     uint16
	class    uint16

	edns bool // there is an OPT record
	// size is what a reply over UDP may have, in octets: what the client can take, 512 at
	// the least (RFC 6891 section 6.2.3) and if it says nothing (RFC 1035 section 4.2.1), and
	// never more than what passes unfragmented.
	size      int
	version   uint8
	do        bool
	padding   bool // it has the padding option
	keepalive bool // it has the edns-tcp-keepalive option
	wantsNSID bool // it has the NSID option
	hasCookie bool // it has a cookie, that of the client is
	cookie    [clientCookieSize]byte
	// serverCookie is what came behind it, if proof says that its length is that of ours.
	serverCookie [serverCookieSize]byte
	proof        bool
	// nsid is what the client is told by NSID (RFC 5001); nil for nothing.
	nsid    *resolver.Identity
	options []byte // the data of the OPT record, part of the packet
	subnet  subnet

	tsig []byte // the TSIG record that belongs into the reply where no key is known; nil if the message is not signed
	// signature signs the reply, if the keys of peers have been asked about that of the message; nil if not.
	signature *tsig.Request
	key       zones.Name // that the message is signed with, and nothing is wrong with it; zero for none
	notify    bool       // it is NOTIFY, and well-formed
}

// read reads all of a packet but the name in its question, which it leaves as it came, into
// a zero request. It decides for every transport what is a query that the Handler answers,
// what is answered here, and what is not answered at all. It keeps no state, allocates
// nothing for what it accepts, and costs time in proportion to the length of the packet; the
// request refers to the packet and is filled as far as it could be read.
//
// The body is scanned, not unpacked: records of a query are ignored (a client
// has nothing to tell a resolver), so all that is asked of them is that their
// lengths add up to the whole message. Octets after the last record make it
// malformed, because then its counts and its length disagree.
func (r *request) read(packet []byte) Refusal {
	if len(packet) < wire.HeaderSize {
		return Short
	}
	r.id, r.flags, r.size = wire.ID(packet), wire.Flags(packet), dns.MinMsgSize
	if r.flags&wire.QR != 0 {
		return Response
	}
	switch int(r.flags & wire.Opcodes >> 11) {
	case dns.OpcodeQuery:
	case dns.OpcodeNotify, dns.OpcodeUpdate:
		// Nobody may change anything here, and who may tell of changes elsewhere is decided
		// later (RFC 1996 section 3.10, RFC 2136 section 3.3). Their bodies have the layout of
		// a query's, so the reply can repeat the question and have an OPT record; the rest of an
		// UPDATE is not judged.
		r.readNotify(packet)
		return NotAllowed
	default:
		// IQUERY (RFC 3425), STATUS, DSO (RFC 8490) and what is not assigned.
		// Only the header of such a message has a known form (RFC 8906).
		return NotImplemented
	}
	switch wellFormed := r.scan(packet); {
	case !wellFormed || len(r.question) == 0: // RFC 9619: one question, or FORMERR
		return Malformed
	case r.edns && r.version != 0:
		return BadVersion // before the options, which belong to that version
	case len(r.options) > 0 && !r.readOptions():
		return Malformed
	}
	r.readType()
	if r.tsig != nil {
		return BadKey
	}
	return Accepted
}

// scan walks over all sections, picks the question and the OPT and TSIG records,
// and tells whether the message is what its counts say. It goes on as long as
// the lengths can be followed, so that the reply to a malformed message has an
// OPT record if the message has one (RFC 6891 section 7).
func (r *request) scan(packet []byte) bool {
	m := wire.Reader{Message: packet, At: wire.HeaderSize}
	questions := wire.Count(packet, wire.Question)
	for range questions {
		question, ok := m.Question()
		if !ok {
			return false
		}
		if questions == 1 {
			r.question = question
		}
	}
	for range wire.Count(packet, wire.Answer) + wire.Count(packet, wire.Authority) {
		if _, ok := m.Record(); !ok {
			return false
		}
	}
	wellFormed := true
	for left := wire.Count(packet, wire.Additional); left > 0; left-- {
		rec, ok := m.Record()
		if !ok {
			return false
		}
		if !r.readAdditional(packet, rec, left == 1) {
			wellFormed = false
		}
	}
	return wellFormed && m.At == len(packet)
}

// readAdditional takes what matters from a record of the additional section. It
// refuses a second OPT record and one that is not at the root (RFC 6891 section
// 6.1), and a TSIG record that is not the last (RFC 8945 section 5.2). SIG(0)
// (RFC 2931) is ignored, as by anybody who does not know it.
func (r *request) readAdditional(packet []byte, rec wire.Record, last bool) bool {
	switch rec.Type {
	case dns.TypeOPT:
		if r.edns || packet[rec.Owner] != 0 {
			return false
		}
		r.edns = true
		r.size = min(max(int(rec.Class), dns.MinMsgSize), resolver.UDPSize)
		r.version = uint8(rec.TTL >> 16)
		r.do = rec.TTL&wire.DO != 0
		r.options = packet[rec.Data:rec.End]
	case dns.TypeTSIG:
		if !last {
			return false
		}
		r.tsig = badKey(packet, rec, r.id)
		return r.tsig != nil
	}
	return true
}

// readOptions walks over the EDNS options and tells whether they are well
// formed. Of what they say only two things matter: that a cookie has a legal
// length (RFC 7873 section 5.2.2), and that keepalive is asked for (RFC 7828).
// Of several client subnets only the last counts, because a forwarder adds its own
// behind what its client sent. Whether it means anything is not decided here.
func (r *request) readOptions() bool {
	options := wire.ReadOptions(r.options)
	for option, more := options.Next(); more; option, more = options.Next() {
		data, size := option.Data, len(option.Data)
		switch option.Code {
		case dns.EDNS0SUBNET:
			r.subnet.data = data
		case dns.EDNS0PADDING:
			r.padding = true
		case dns.EDNS0COOKIE:
			// Of several cookies only the first counts (RFC 7873 section 5.2).
			if r.hasCookie {
				continue
			}
			if size != clientCookieSize && (size < 16 || size > 40) {
				return false
			}
			r.hasCookie, r.cookie = true, [clientCookieSize]byte(data)
			if r.proof = size == clientCookieSize+serverCookieSize; r.proof {
				r.serverCookie = [serverCookieSize]byte(data[clientCookieSize:])
			}
		case dns.EDNS0TCPKEEPALIVE:
			r.keepalive = true
		case dns.EDNS0NSID:
			r.wantsNSID = true // whatever is in it (RFC 5001 section 2.1)
		}
	}
	return !options.Broken()
}

// readName reads the name in the question.
func (r *request) readName() Refusal {
	name, ok := wire.Text(r.question, 0)
	if !ok {
		return Malformed
	}
	r.name = name
	return Accepted
}
