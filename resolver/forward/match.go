package forward

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/miekg/dns"
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
	if len(packet) < headerSize || !bytes.Equal(packet[:2], q.packet[:2]) ||
		packet[2]&bitQR == 0 || packet[2]&opcodes != 0 || packet[4] != 0 {
		return foreign
	}
	rcode := packet[3] & rcodeBits
	if packet[5] == 0 && (rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented) {
		return noQuestion // from servers that stop reading at what they do not know
	}
	if packet[5] != 1 || len(packet) < q.question {
		return foreign
	}
	asked, echoed := q.packet[headerSize:q.question], packet[headerSize:q.question]
	if bytes.Equal(asked, echoed) {
		return matching
	}
	end := len(asked) - 4 // type and class have no case
	if bytes.Equal(asked[end:], echoed[end:]) && equalFold(asked[:end], echoed[:end]) {
		return recased
	}
	return foreign
}

// equalFold compares names in wire format without case, for ASCII only (RFC 4343).
func equalFold(a, b []byte) bool {
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
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

// read unpacks the reply to q. The name of its question is written in lower case
// first, because names in the records point to it and would come out in the
// mixed case of the query.
func (q *query) read(packet []byte) (*dns.Msg, error) {
	if len(packet) >= q.question {
		for i, b := range packet[headerSize : q.question-4] {
			packet[headerSize+i] = lower(b)
		}
	}
	if msg := q.readPlain(packet); msg != nil {
		return msg, nil
	}
	return readWhole(packet)
}

// readWhole unpacks any message.
func readWhole(packet []byte) (*dns.Msg, error) {
	count := func(at int) int { return int(packet[at])<<8 | int(packet[at+1]) }
	if count(6)+count(8)+count(10) > maxRecords {
		return nil, errRecords
	}
	msg := new(dns.Msg)
	if err := msg.Unpack(packet); err != nil {
		return nil, err
	}
	if len(msg.Answer) != count(6) || len(msg.Ns) != count(8) || len(msg.Extra) != count(10) {
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
