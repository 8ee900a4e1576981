package listen

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

const (
	headerSize = 12 // octets, RFC 1035 section 4.1.1

	flagQR     = 1 << 15
	flagTC     = 1 << 9
	flagRD     = 1 << 8
	flagRA     = 1 << 7
	flagAD     = 1 << 5
	flagCD     = 1 << 4
	flagDO     = 1 << 15 // of the flags in an OPT record
	maskOpcode = 0xF << 11

	recordHead = 10 // octets of a record between its owner and its data
	nameSize   = 255
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

	edns      bool // there is an OPT record
	size      uint16
	version   uint8
	do        bool
	padding   bool // it has the padding option
	keepalive bool // it has the edns-tcp-keepalive option
	hasCookie bool // it has a cookie, that of the client is
	cookie    [clientCookieSize]byte
	// serverCookie is what came behind it, if proof says that its length is that of ours.
	serverCookie [serverCookieSize]byte
	proof        bool
	options      []byte // the data of the OPT record, part of the packet
	subnet       subnet

	tsig []byte // the TSIG record that belongs into the reply
}

// accept reads a packet. It decides for every transport what is a query that
// the Handler answers, what is answered here, and what is not answered at all.
// It keeps no state and costs time in proportion to the length of the packet;
// the request refers to the packet and is filled as far as it could be read.
//
// The body is scanned, not unpacked: records of a query are ignored (a client
// has nothing to tell a resolver), so all that is asked of them is that their
// lengths add up to the whole message. Octets after the last record make it
// malformed, because then its counts and its length disagree.
func accept(packet []byte) (request, Refusal) {
	r, why := glance(packet)
	if why == Accepted {
		why = r.readName()
	}
	return r, why
}

// glance reads all of a packet but the name in its question, which it leaves as
// it came. It allocates nothing for what it accepts.
func glance(packet []byte) (request, Refusal) {
	if len(packet) < headerSize {
		return request{}, Short
	}
	r := request{
		id:    binary.BigEndian.Uint16(packet),
		flags: binary.BigEndian.Uint16(packet[2:]),
	}
	if r.flags&flagQR != 0 {
		return r, Response
	}
	switch r.opcode() {
	case dns.OpcodeQuery:
		return r, r.read(packet)
	case dns.OpcodeNotify, dns.OpcodeUpdate:
		// Nobody may change anything here (RFC 1996 section 3.10, RFC 2136
		// section 3.3). Their bodies have the layout of a query's, so the reply
		// can repeat the question and have an OPT record; the rest is not judged.
		r.scan(packet)
		return r, NotAllowed
	default:
		// IQUERY (RFC 3425), STATUS, DSO (RFC 8490) and what is not assigned.
		// Only the header of such a message has a known form (RFC 8906).
		return r, NotImplemented
	}
}

// read takes the body of a standard query apart.
func (r *request) read(packet []byte) Refusal {
	switch wellFormed := r.scan(packet); {
	case !wellFormed || len(r.question) == 0: // RFC 9619: one question, or FORMERR
		return Malformed
	case r.edns && r.version != 0:
		return BadVersion // before the options, which belong to that version
	case !r.readOptions():
		return Malformed
	case r.tsig != nil:
		return BadKey
	}
	fixed := r.question[len(r.question)-4:]
	r.kind = binary.BigEndian.Uint16(fixed)
	r.class = binary.BigEndian.Uint16(fixed[2:])
	return Accepted
}

// readName reads the name in the question.
func (r *request) readName() Refusal {
	name, _, err := dns.UnpackDomainName(r.question, 0)
	if err != nil {
		return Malformed
	}
	r.name = name
	return Accepted
}

// opcode is the opcode of the message.
func (r *request) opcode() int { return int(r.flags & maskOpcode >> 11) }

// scan walks over all sections, picks the question and the OPT and TSIG records,
// and tells whether the message is what its counts say. It goes on as long as
// the lengths can be followed, so that the reply to a malformed message has an
// OPT record if the message has one (RFC 6891 section 7).
func (r *request) scan(packet []byte) bool {
	count := func(section int) int { return int(binary.BigEndian.Uint16(packet[4+2*section:])) }
	s := scanner{packet: packet, at: headerSize}
	for range count(0) {
		question, ok := s.question()
		if !ok {
			return false
		}
		if count(0) == 1 {
			r.question = question
		}
	}
	for range count(1) + count(2) {
		if _, ok := s.record(); !ok {
			return false
		}
	}
	wellFormed := true
	for left := count(3); left > 0; left-- {
		rec, ok := s.record()
		if !ok {
			return false
		}
		if !r.readAdditional(packet, rec, left == 1) {
			wellFormed = false
		}
	}
	return wellFormed && s.at == len(packet)
}

// readAdditional takes what matters from a record of the additional section. It
// refuses a second OPT record and one that is not at the root (RFC 6891 section
// 6.1), and a TSIG record that is not the last (RFC 8945 section 5.2). SIG(0)
// (RFC 2931) is ignored, as by anybody who does not know it.
func (r *request) readAdditional(packet []byte, rec record, last bool) bool {
	switch rec.kind {
	case dns.TypeOPT:
		if r.edns || packet[rec.owner] != 0 {
			return false
		}
		r.edns = true
		r.size = rec.class
		r.version = uint8(rec.ttl >> 16)
		r.do = rec.ttl&flagDO != 0
		r.options = rec.data
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
	for rest := r.options; len(rest) > 0; {
		if len(rest) < 4 {
			return false
		}
		code, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if rest = rest[4:]; len(rest) < size {
			return false
		}
		data := rest[:size]
		rest = rest[size:]
		switch code {
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
		}
	}
	return true
}

// record is where a resource record lies in a packet.
type record struct {
	owner int // offset of its owner
	kind  uint16
	class uint16
	ttl   uint32
	data  []byte
}

// scanner walks over a packet and never looks beyond its end (RFC 9267). It
// follows no compression pointer: none leads to anything that is needed.
type scanner struct {
	packet []byte
	at     int
}

// question moves over one question. Its name must not be compressed: in front
// of the first question is nothing that a pointer could point to.
func (s *scanner) question() ([]byte, bool) {
	start := s.at
	if compressed, ok := s.name(); compressed || !ok || len(s.packet)-s.at < 4 {
		return nil, false
	}
	s.at += 4
	return s.packet[start:s.at], true
}

// record moves over one record.
func (s *scanner) record() (record, bool) {
	rec := record{owner: s.at}
	if _, ok := s.name(); !ok || len(s.packet)-s.at < recordHead {
		return rec, false
	}
	head := s.packet[s.at:]
	rec.kind = binary.BigEndian.Uint16(head)
	rec.class = binary.BigEndian.Uint16(head[2:])
	rec.ttl = binary.BigEndian.Uint32(head[4:])
	size := int(binary.BigEndian.Uint16(head[8:]))
	s.at += recordHead
	if len(s.packet)-s.at < size {
		return rec, false
	}
	rec.data = s.packet[s.at : s.at+size]
	s.at += size
	return rec, true
}

// name moves over one name and tells whether it ends in a pointer. It refuses
// names and labels that are too long, pointers that lead nowhere earlier, and
// the label types that are not in use (RFC 1035 section 4.1.4, RFC 6891 section 5).
func (s *scanner) name() (compressed, ok bool) {
	start := s.at
	for s.at < len(s.packet) && s.at-start < nameSize {
		octet := int(s.packet[s.at])
		switch octet & 0xC0 {
		case 0:
			s.at += 1 + octet
			if octet == 0 {
				return false, true
			}
		case 0xC0:
			if len(s.packet)-s.at < 2 {
				return true, false
			}
			target := int(binary.BigEndian.Uint16(s.packet[s.at:])) & 0x3FFF
			s.at += 2
			return true, headerSize <= target && target < start
		default:
			return false, false
		}
	}
	return false, false
}
