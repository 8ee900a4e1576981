package forward

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// udpSize is the largest UDP reply in octets that servers are told to send: what
// passes every path in one piece, because forged fragments are easier than forged
// messages (RFC 9715).
const udpSize = resolver.UDPSize

// headerSize is the length in octets of the fixed header (RFC 1035 section 4.1.1).
const headerSize = 12

// The header bits that are used here, in the octets 2 and 3.
const (
	bitQR     = 0x80
	opcodes   = 0x78
	bitAA     = 0x04
	bitTC     = 0x02
	bitRD     = 0x01
	bitRA     = 0x80
	bitZ      = 0x40
	bitAD     = 0x20
	bitCD     = 0x10
	rcodeBits = 0x0f
)

// queryOptions are how a server is asked.
type queryOptions struct {
	noEDNS   bool // without an OPT record
	sameCase bool // with the name in lower case
	noCookie bool // without expecting the cookie that the server has shown
	padded   bool // with a length that says little (RFC 8467)
}

// query is one message to a server, written afresh: nothing of the client's
// message is in it but the name, the type, DO and CD.
type query struct {
	name     string // in lower case
	packet   []byte
	question int // where the question section ends
	options  queryOptions
	sent     []byte // the content of its cookie option (RFC 7873); nil for none
}

// querySize is room in octets for the longest query: header, question, and an OPT
// record that pads it to a whole number of blocks.
const querySize = headerSize + 255 + 4 + 2*padBlock

// writeQuery writes the query for q.
func writeQuery(q resolver.Question, o queryOptions) (*query, error) {
	asked := new(query)
	return asked, asked.write(q, o, nil, make([]byte, querySize))
}

// write makes q the query for what is asked, with secrets of its own, in a room of
// querySize octets or more. RD asks for recursion; AD says that the AD bit of the
// reply is understood (RFC 6840 section 5.7).
func (q *query) write(asked resolver.Question, o queryOptions, cookie, room []byte) error {
	packet := room[:querySize]
	clear(packet[:headerSize])
	end, err := dns.PackDomainName(asked.Name.FQDN(), packet[:headerSize+255], headerSize, nil, false)
	if err != nil {
		return fmt.Errorf("write a query for %s: %w", asked.Name, err)
	}
	secret := newSecret()
	copy(packet, secret.id[:])
	packet[2], packet[3] = bitRD, bitAD
	if asked.CheckingDisabled {
		packet[3] |= bitCD
	}
	packet[5] = 1 // one question
	if !o.sameCase {
		mixCase(packet[headerSize:end], secret.letters[:])
	}
	packet = binary.BigEndian.AppendUint16(packet[:end], asked.Type)
	packet = binary.BigEndian.AppendUint16(packet, dns.ClassINET)
	q.name, q.question, q.options, q.sent = asked.Name.FQDN(), len(packet), o, nil
	if !o.noEDNS {
		packet[11] = 1 // one additional record
		packet, q.sent = appendOPT(packet, asked.DNSSEC, o.padded, cookie), cookie
	}
	q.packet = packet
	return nil
}

// padBlock is the length in octets of which padded queries are a multiple (RFC
// 8467 section 4.1).
const padBlock = 128

// appendOPT appends an OPT record (RFC 6891 section 6.1.2).
func appendOPT(packet []byte, dnssec, padded bool, cookie []byte) []byte {
	packet = append(packet, 0) // the root
	packet = binary.BigEndian.AppendUint16(packet, dns.TypeOPT)
	packet = binary.BigEndian.AppendUint16(packet, udpSize)
	var do byte
	if dnssec {
		do = 0x80
	}
	packet = append(packet, 0, 0, do, 0) // extended rcode, version, flags
	length := len(packet)
	packet = append(packet, 0, 0)
	if len(cookie) > 0 {
		packet = appendOption(packet, dns.EDNS0COOKIE, cookie)
	}
	if padded {
		var zeros [padBlock]byte
		short := (len(packet) + optionHeader) % padBlock
		packet = appendOption(packet, dns.EDNS0PADDING, zeros[:(padBlock-short)%padBlock])
	}
	binary.BigEndian.PutUint16(packet[length:], uint16(len(packet)-length-2))
	return packet
}

// optionHeader is the length in octets of the code and the length of an option.
const optionHeader = 4

// appendOption appends an option of an OPT record.
func appendOption(packet []byte, code uint16, content []byte) []byte {
	packet = binary.BigEndian.AppendUint16(packet, code)
	packet = binary.BigEndian.AppendUint16(packet, uint16(len(content)))
	return append(packet, content...)
}

// secret is what an attacker who sees neither query nor reply has to guess.
type secret struct {
	id      [2]byte
	letters [32]byte // one bit for each octet of a name
}

// newSecret draws a secret.
func newSecret() (s secret) {
	var drawn [len(s.id) + len(s.letters)]byte
	_, _ = rand.Read(drawn[:]) // never fails, by its documentation
	copy(s.id[:], drawn[:])
	copy(s.letters[:], drawn[len(s.id):])
	return s
}

// mixCase gives each letter of a name in wire format an upper or lower case at
// random (0x20). The lengths of labels are below the letters and stay what they
// are.
func mixCase(name, bits []byte) {
	for i, b := range name {
		if 'a' <= b && b <= 'z' && bits[i/8]>>(i%8)&1 == 1 {
			name[i] = b - 'a' + 'A'
		}
	}
}

// mixed tells whether the name of the query has a letter in upper case, so that its
// reply shows something.
func (q *query) mixed() bool {
	for _, b := range q.packet[headerSize : q.question-4] {
		if 'A' <= b && b <= 'Z' {
			return true
		}
	}
	return false
}
