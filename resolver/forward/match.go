package forward

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

// verdict is what a packet is to a query.
type verdict uint8

const (
	foreign    verdict = iota // not the reply: it is ignored and waiting goes on
	matching                  // the reply
	recased                   // the reply but for the letter case of its question
	noQuestion                // says with the right id that the query was not understood
)

// match tells whether a packet is the reply to q (RFC 5452 section 9.1): its id,
// QR, opcode, and the question octet for octet, which includes the letter case
// of the name. That it came from the server is known by the socket.
func (q *query) match(packet []byte) verdict {
	if len(packet) < wire.HeaderSize || wire.ID(packet) != wire.ID(q.packet) {
		return foreign
	}
	flags, questions := wire.Flags(packet), wire.Count(packet, wire.Question)
	if flags&wire.QR == 0 || flags&wire.Opcodes != 0 {
		return foreign
	}
	rcode := flags & wire.Rcodes
	if questions == 0 && (rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented) {
		return noQuestion // from servers that stop reading at what they do not know
	}
	if questions != 1 || len(packet) < int(q.question) {
		return foreign
	}
	asked, echoed := q.packet[wire.HeaderSize:q.question], packet[wire.HeaderSize:q.question]
	if bytes.Equal(asked, echoed) {
		return matching
	}
	end := len(asked) - 4 // type and class have no case
	if bytes.Equal(asked[end:], echoed[end:]) && wire.EqualFold(asked[:end], echoed[:end]) {
		return recased
	}
	return foreign
}

// maxRecords is how many records a message may hold: as many addresses of one name as
// fit into any message. What holds more is nothing but empty records, and reading them
// costs memory out of proportion to the message.
const maxRecords = 4096

// errRecords says that a message holds more records than are read.
var errRecords = fmt.Errorf("the message holds more than %d records", maxRecords)

// errCounts says that a message promises more records than it holds.
var errCounts = errors.New("the message holds fewer records than its header says")

// errEmpty says that a record has no data although its type must have some.
var errEmpty = errors.New("a record has no data")

// read reads the reply to q, and what its OPT record says. The name of its question is
// written in lower case first, because names in the records point to it and would come
// out in the mixed case of the query.
func (q *query) read(packet []byte) (reading, edns, error) {
	if len(packet) >= int(q.question) {
		wire.Lower(packet[wire.HeaderSize : q.question-4])
		if r, found := q.readPlain(packet); r.plain != nil {
			return r, found, nil
		}
	}
	msg, err := readWhole(packet)
	if err != nil {
		return reading{}, edns{}, err
	}
	return reading{msg: msg}, ednsOfMsg(msg), nil
}

// readWhole unpacks any message.
func readWhole(packet []byte) (*dns.Msg, error) {
	count := func(s wire.Section) int { return wire.Count(packet, s) }
	if wire.Records(packet) > maxRecords {
		return nil, errRecords
	}
	msg := new(dns.Msg)
	if err := msg.Unpack(packet); err != nil {
		return nil, err
	}
	if len(msg.Answer) != count(wire.Answer) || len(msg.Ns) != count(wire.Authority) || len(msg.Extra) != count(wire.Additional) {
		return nil, errCounts
	}
	for _, section := range [][]dns.RR{msg.Answer, msg.Ns} {
		if slices.ContainsFunc(section, empty) {
			return nil, errEmpty
		}
	}
	return msg, nil
}

// empty tells whether a record lacks the data that its type must have. The
// library reads such records, as dynamic updates (RFC 2136) have them.
func empty(rr dns.RR) bool {
	switch rr.(type) {
	case *dns.RFC3597, *dns.NULL, *dns.APL:
		return false
	}
	return rr.Header().Rdlength == 0
}
