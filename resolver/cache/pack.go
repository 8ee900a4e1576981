package cache

import (
	"encoding/binary"
	"net"
	"strings"

	"github.com/miekg/dns"

	"pldns/resolver"
)

const (
	// maxWire is the longest message that there can be, and so the largest answer
	// that is kept.
	maxWire = 1<<16 - 1
	// maxPlain is the longest message that is written by the short way.
	maxPlain = 512
	// maxPlainNames is how many names of a message the short way knows again.
	maxPlainNames = 12
	// recordSize is the length of a record without its owner and data.
	recordSize = 10
	// pointer marks a compressed name (RFC 1035 section 4.1.4).
	pointer = 0xC000
)

// pack writes what was said to q as one message, allocated to measure, and tells
// whether it leads over an alias. Nil is for what has no wire form or is too long
// for a message.
func pack(q resolver.Question, reply resolver.Reply) (wire []byte, aliases bool) {
	for _, rr := range reply.Answer {
		switch rr.Header().Rrtype {
		case dns.TypeCNAME, dns.TypeDNAME:
			aliases = true
		}
	}
	var room [maxPlain]byte
	packed := packPlain(room[:0], q, reply)
	if packed == nil {
		packed = packAny(q, reply)
	}
	if packed == nil || len(packed) > maxWire {
		return nil, false
	}
	putHeader(packed, q, reply)
	wire = append([]byte(nil), packed...)
	return wire[:len(wire):cap(wire)], aliases
}

// putHeader writes a header as a client would be sent it.
func putHeader(wire []byte, q resolver.Question, reply resolver.Reply) {
	bits := uint16(headerQR|headerRD|headerRA) | uint16(reply.Rcode&0xF)
	if q.CheckingDisabled {
		bits |= headerCD
	}
	if reply.Authenticated {
		bits |= headerAD
	}
	be := binary.BigEndian
	clear(wire[:headerSize])
	be.PutUint16(wire[2:], bits)
	be.PutUint16(wire[4:], 1)
	be.PutUint16(wire[6:], uint16(len(reply.Answer)))
	be.PutUint16(wire[8:], uint16(len(reply.Authority)))
}

// packAny has the library write the message, and reads it back: what is kept can
// be told.
func packAny(q resolver.Question, reply resolver.Reply) []byte {
	msg := dns.Msg{
		Question: []dns.Question{{Name: q.Name.FQDN(), Qtype: q.Type, Qclass: dns.ClassINET}},
		Answer:   reply.Answer, Ns: reply.Authority, Compress: true,
	}
	packed, err := msg.Pack()
	if err != nil || len(packed) > maxWire || new(dns.Msg).Unpack(packed) != nil {
		return nil
	}
	return packed
}

// writer writes the messages that are most frequent, addresses and the aliases
// that lead to them, without the work for everything else that a message may hold.
// What comes out is read as what the library would have written (FuzzPack).
type writer struct {
	to    []byte
	names [maxPlainNames]written
	known int
}

// written is a name in the message: its text, where it is, and how much of it is
// there before a pointer to the rest.
type written struct {
	text    string
	at      int
	literal int
}

// packPlain writes a message into room, nil if it is not plain or too long.
func packPlain(room []byte, q resolver.Question, reply resolver.Reply) []byte {
	if len(reply.Authority) > 0 {
		return nil
	}
	w := writer{to: room[:headerSize]}
	if !w.name(q.Name.FQDN()) {
		return nil
	}
	w.to = binary.BigEndian.AppendUint16(w.to, q.Type)
	w.to = binary.BigEndian.AppendUint16(w.to, dns.ClassINET)
	for _, rr := range reply.Answer {
		if !w.record(rr) {
			return nil
		}
	}
	return w.to
}

// record writes one record, if it is plain.
func (w *writer) record(rr dns.RR) bool {
	header := rr.Header()
	if header.Class != dns.ClassINET || !w.name(header.Name) || !w.fits(recordSize+net.IPv6len) {
		return false
	}
	be := binary.BigEndian
	w.to = be.AppendUint16(w.to, header.Rrtype)
	w.to = be.AppendUint16(w.to, header.Class)
	w.to = be.AppendUint32(w.to, header.Ttl)
	w.to = be.AppendUint16(w.to, 0)
	start := len(w.to)
	if !w.data(rr) {
		return false
	}
	be.PutUint16(w.to[start-2:], uint16(len(w.to)-start))
	return true
}

// data writes what a record says, if it is plain.
func (w *writer) data(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.A:
		addr := rr.A.To4()
		w.to = append(w.to, addr...)
		return rr.Hdr.Rrtype == dns.TypeA && addr != nil
	case *dns.AAAA:
		w.to = append(w.to, rr.AAAA...)
		return rr.Hdr.Rrtype == dns.TypeAAAA && len(rr.AAAA) == net.IPv6len
	case *dns.CNAME:
		return rr.Hdr.Rrtype == dns.TypeCNAME && w.name(rr.Target)
	}
	return false
}

// name writes a name, compressed against those before it. It is false for names
// that need escapes, or that there is no place for.
func (w *writer) name(text string) bool {
	if w.known == maxPlainNames || text == "." || strings.IndexByte(text, '\\') >= 0 || !dns.IsFqdn(text) {
		return false
	}
	begin := len(w.to)
	for at := 0; at < len(text); {
		if to := w.find(text[at:]); to > 0 {
			if !w.fits(2) {
				return false
			}
			w.to = binary.BigEndian.AppendUint16(w.to, pointer|uint16(to))
			w.learn(text, begin, at)
			return true
		}
		length := strings.IndexByte(text[at:], '.')
		if length < 1 || length > 63 || !w.fits(length+1) {
			return false
		}
		w.to = append(w.to, byte(length))
		w.to = append(w.to, text[at:at+length]...)
		at += length + 1
	}
	if len(text) > 254 || !w.fits(1) {
		return false
	}
	w.to = append(w.to, 0)
	w.learn(text, begin, len(text))
	return true
}

// learn keeps a name that was written from begin on, unless it is known already.
func (w *writer) learn(text string, begin, literal int) {
	if literal > 0 {
		w.names[w.known] = written{text, begin, literal}
		w.known++
	}
}

// find gives where a name is in the message already, whole or as the end of
// another; 0 is nowhere. Without escapes a label is as far from the start of its
// name in the message as in the text.
func (w *writer) find(name string) int {
	for _, known := range w.names[:w.known] {
		at := len(known.text) - len(name)
		if at >= 0 && at < known.literal && known.text[at:] == name && (at == 0 || known.text[at-1] == '.') {
			return known.at + at
		}
	}
	return 0
}

// fits tells whether there is place for so many octets more.
func (w *writer) fits(octets int) bool { return len(w.to)+octets <= cap(w.to) }
