package forward

import (
	"encoding/binary"
	"net"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// Most replies are a few addresses of the very name that was asked for. They are
// read here without the work for everything else that a reply may hold; what comes
// out is what the library and scrub would have made of them (FuzzPlain).

const (
	// maxPlain is how many records a plain reply has at most.
	maxPlain = 16
	// plainHead is the length of a record up to its data, if its owner is a pointer.
	plainHead = 12
)

// The two forms of what a record may begin with here: a pointer to the name in the
// question, and the root, which is the owner of an OPT record.
const (
	toQuestion = 0xC000 | headerSize
	optSize    = 11
)

// readPlain reads a reply whose header and question match, nil if it is not plain.
func (q *query) readPlain(packet []byte) *dns.Msg {
	be := binary.BigEndian
	answers, additional := int(be.Uint16(packet[6:])), be.Uint16(packet[10:])
	if packet[2]&bitTC != 0 || packet[3]&rcodeBits != 0 || answers == 0 || answers > maxPlain || be.Uint16(packet[8:]) != 0 ||
		additional > 1 {
		return nil
	}
	records := make([]dns.RR, 0, answers)
	at := q.question
	for range answers {
		rr, size := q.plainRecord(packet[at:])
		if rr == nil {
			return nil
		}
		records = append(records, rr)
		at += size
	}
	if additional == 1 && !emptyOPT(packet[at:]) || additional == 0 && at != len(packet) {
		return nil
	}
	return &dns.Msg{
		MsgHdr: dns.MsgHdr{
			Id: be.Uint16(packet), Response: true, Authoritative: packet[2]&bitAA != 0, RecursionDesired: packet[2]&bitRD != 0,
			RecursionAvailable: packet[3]&bitRA != 0, Zero: packet[3]&bitZ != 0,
			AuthenticatedData: packet[3]&bitAD != 0, CheckingDisabled: packet[3]&bitCD != 0,
		},
		Answer: records,
	}
}

// plainRecord reads an address of the asked name, nil if there is none, and its
// length.
func (q *query) plainRecord(packet []byte) (rr dns.RR, size int) {
	be := binary.BigEndian
	if len(packet) < plainHead || be.Uint16(packet) != toQuestion || be.Uint16(packet[4:]) != dns.ClassINET {
		return nil, 0
	}
	length := int(be.Uint16(packet[10:]))
	size = plainHead + length
	kind := be.Uint16(packet[2:])
	if len(packet) < size || kind != be.Uint16(q.packet[q.question-4:]) {
		return nil, 0
	}
	header := dns.RR_Header{Name: q.name, Rrtype: kind, Class: dns.ClassINET, Ttl: be.Uint32(packet[6:]), Rdlength: uint16(length)}
	switch {
	case kind == dns.TypeA && length == net.IPv4len:
		held := &struct { // one piece of memory for both
			dns.A
			addr [net.IPv4len]byte
		}{A: dns.A{Hdr: header}}
		copy(held.addr[:], packet[plainHead:])
		held.A.A = held.addr[:]
		return &held.A, size
	case kind == dns.TypeAAAA && length == net.IPv6len:
		held := &struct {
			dns.AAAA
			addr [net.IPv6len]byte
		}{AAAA: dns.AAAA{Hdr: header}}
		copy(held.addr[:], packet[plainHead:])
		held.AAAA.AAAA = held.addr[:]
		return &held.AAAA, size
	}
	return nil, 0
}

// emptyOPT tells whether the rest of a packet is an OPT record without options
// that says nothing about the reply: no extended response code.
func emptyOPT(rest []byte) bool {
	be := binary.BigEndian
	return len(rest) == optSize && rest[0] == 0 && be.Uint16(rest[1:]) == dns.TypeOPT && rest[5] == 0 && be.Uint16(rest[9:]) == 0
}

// plainAnswer tells whether all of a message is addresses of the name that was
// asked for.
func plainAnswer(q resolver.Question, msg *dns.Msg) bool {
	if msg.Rcode != dns.RcodeSuccess || len(msg.Answer) == 0 || len(msg.Ns) > 0 || q.Type != dns.TypeA && q.Type != dns.TypeAAAA {
		return false
	}
	for _, rr := range msg.Answer {
		if h := rr.Header(); h.Rrtype != q.Type || h.Class != dns.ClassINET || h.Name != q.Name.FQDN() {
			return false
		}
	}
	return true
}
