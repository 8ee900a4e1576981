package forward

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
)

// udpSize is the largest UDP reply in octets that servers are told to send: what
// passes every path in one piece, because forged fragments are easier than forged
// messages (RFC 9715).
const udpSize = resolver.UDPSize

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
	packet   []byte
	sent     []byte // the content of its cookie option (RFC 7873); nil for none
	question uint16 // where the question section ends
	dnssec   bool
	mixed    bool // a letter of the name is in upper case, so that the reply shows something
	options  queryOptions
}

// querySize is room in octets for the longest query: header, question, and an OPT
// record that pads it to a whole number of blocks.
const querySize = wire.HeaderSize + 255 + 4 + 2*padBlock

// write makes q the query for what is asked, with secrets of its own, in a room of
// querySize octets or more. RD asks for recursion; AD says that the AD bit of the
// reply is understood (RFC 6840 section 5.7).
func (q *query) write(asked resolver.Question, o queryOptions, cookie, room []byte) error {
	packet := room[:querySize]
	end, err := dns.PackDomainName(asked.Name.FQDN(), packet[:wire.HeaderSize+255], wire.HeaderSize, nil, false)
	if err != nil {
		return fmt.Errorf("write a query for %s: %w", asked.Name, err)
	}
	// What an attacker who sees neither query nor reply has to guess: the id, and one bit
	// for each octet of the name.
	var secret [2 + 32]byte
	_, _ = rand.Read(secret[:]) // never fails, by its documentation
	id, letters := secret[:2], secret[2:]
	flags, additional := wire.RD|wire.AD, 0
	if asked.CheckingDisabled {
		flags |= wire.CD
	}
	q.mixed = !o.sameCase && mixCase(packet[wire.HeaderSize:end], letters)
	packet = binary.BigEndian.AppendUint16(packet[:end], asked.Type)
	packet = binary.BigEndian.AppendUint16(packet, dns.ClassINET)
	q.question, q.dnssec, q.options, q.sent = uint16(len(packet)), asked.DNSSEC, o, nil
	if !o.noEDNS {
		additional = 1
		packet, q.sent = appendOPT(packet, asked.DNSSEC, o.padded, cookie), cookie
	}
	wire.PutHeader(packet, binary.BigEndian.Uint16(id), flags, 0, 0, additional)
	q.packet = packet
	return nil
}

// padBlock is the length in octets of which padded queries are a multiple (RFC
// 8467 section 4.1).
const padBlock = 128

// appendOPT appends the OPT record of a query.
func appendOPT(packet []byte, dnssec, padded bool, cookie []byte) []byte {
	opt := len(packet)
	packet = wire.AppendOPT(packet, udpSize, dns.RcodeSuccess, dnssec)
	if len(cookie) > 0 {
		packet = wire.AppendOption(packet, opt, dns.EDNS0COOKIE, cookie)
	}
	if padded {
		short := (len(packet) + wire.OptionHead) % padBlock
		packet, _ = wire.GrowOption(packet, opt, dns.EDNS0PADDING, (padBlock-short)%padBlock)
	}
	return packet
}

// mixCase gives each letter of a name in wire format an upper or lower case at
// random (0x20), and tells whether any is in upper case now. The lengths of labels are
// below the letters and stay what they are.
func mixCase(name, bits []byte) (mixed bool) {
	for i, b := range name {
		if 'a' <= b && b <= 'z' && bits[i/8]>>(i%8)&1 == 1 {
			name[i], mixed = b-'a'+'A', true
		}
	}
	return mixed
}
