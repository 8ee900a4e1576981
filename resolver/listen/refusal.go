package listen

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
)

// Refusal is why something that came in was not handed to the Handler, or why
// what the Handler said did not get out. The set is closed, so it can label a
// metric.
type Refusal uint8

// The refusals.
const (
	Accepted Refusal = iota // not refused

	// These are met with silence over UDP and end a connection over TCP: an
	// answer could start a loop or hit a third party, or cannot be made.

	Short       // shorter than a header, or a TCP message of no octets
	Response    // a response, not a query
	Impostor    // a PROXY header from somebody who is not trusted to send one
	Unproxied   // no proper PROXY header from a proxy that is to send one
	Unreachable // from UDP port 0, or from an address this server listens on
	Limited     // over the limit of its client
	Unfit       // a message that DNS over QUIC forbids (RFC 9250 section 4.3.3)

	// These are answered at once.

	Malformed      // FORMERR
	NotAllowed     // NOTIFY or UPDATE: REFUSED
	NotImplemented // another opcode: NOTIMP
	BadVersion     // an EDNS version above 0: BADVERS
	BadKey         // signed with a key that is not known here: NOTAUTH
	BadSig         // signed wrongly: NOTAUTH
	BadTime        // signed at another time: NOTAUTH
	Shed           // too many queries under way: SERVFAIL
	Panicked       // a fault of this program: SERVFAIL
	Unpackable     // an answer that has no wire form: SERVFAIL
	Slipped        // over the limit of its client: nothing but the TC bit

	// These are about sockets and connections.

	Unsent  // the system would not take the reply
	Crowded // a connection over a limit, closed unread
	Evicted // the longest idle connection, closed to make room for a new one
	Stalled // a connection whose client did not finish a message or did not read

	// These are about secure transports.

	Handshake  // a TLS handshake that failed
	BadRequest // an HTTP request without a query

	refusals // how many there are
)

// String is the word used in logs and metrics.
func (r Refusal) String() string {
	return [refusals]string{
		"accepted", "short", "response", "forged-proxy", "no-proxy", "unreachable", "limited", "unfit",
		"formerr", "not-allowed", "notimp", "badvers", "badkey", "badsig", "badtime", "shed", "panic", "unpackable", "slipped",
		"unsent", "crowded", "evicted", "stalled", "handshake", "bad-request",
	}[r]
}

// silent tells whether nothing is said to what is refused so.
func (r Refusal) silent() bool { return Short <= r && r <= Unfit }

// rcode is what is said to what is refused so.
func (r Refusal) rcode() int {
	switch r {
	case Malformed:
		return dns.RcodeFormatError
	case NotAllowed:
		return dns.RcodeRefused
	case NotImplemented:
		return dns.RcodeNotImplemented
	case BadVersion:
		return dns.RcodeBadVers
	case BadKey, BadSig, BadTime:
		return dns.RcodeNotAuth
	case Slipped:
		return dns.RcodeSuccess
	default:
		return dns.RcodeServerFailure
	}
}

// explanation is the extended error (RFC 8914) that goes with it.
func (r Refusal) explanation() (resolver.Error, bool) {
	switch r {
	case NotAllowed:
		return resolver.Error{Code: dns.ExtendedErrorCodeNotSupported}, true
	case Shed:
		return resolver.Error{Code: dns.ExtendedErrorCodeOther, Text: "too many queries at once"}, true
	case Panicked, Unpackable:
		return resolver.Error{Code: dns.ExtendedErrorCodeOther, Text: "internal error"}, true
	default:
		return resolver.Error{}, false
	}
}

// appendRefusal appends the reply that says why to out. It is put together from
// the octets of the request without the DNS library: cheap, hardly larger than
// what was asked, and possible when everything else has failed. Without room for
// it within limit, the TSIG record stays away.
func (r *request) appendRefusal(out []byte, why Refusal, limit int) []byte {
	start := len(out)
	flags := wire.QR | r.flags&wire.Opcodes
	if r.flags&wire.Opcodes == dns.OpcodeQuery { // elsewhere these bits mean something else, or nothing
		flags |= r.flags&(wire.RD|wire.CD) | wire.RA
	}
	if why == Slipped {
		flags |= wire.TC
	}
	out = r.appendBare(out, flags, why.rcode())
	if e, ok := why.explanation(); ok && r.edns {
		out = appendError(out, len(out)-optSize, e)
	}
	if why == BadKey && r.signature == nil && len(out)-start+len(r.tsig) <= limit {
		out = append(out, r.tsig...)
		additional := out[start+10 : start+12]
		binary.BigEndian.PutUint16(additional, binary.BigEndian.Uint16(additional)+1)
	}
	return out
}

// optSize is the length of an OPT record without options, in octets.
const optSize = 11

// appendBare appends a reply with nothing but the question, if there is one, and the OPT record.
func (r *request) appendBare(out []byte, flags uint16, rcode int) []byte {
	var questions, additional uint16
	if len(r.question) > 0 {
		questions = 1
	}
	if r.edns {
		additional = 1
	}
	out = binary.BigEndian.AppendUint16(out, r.id)
	out = binary.BigEndian.AppendUint16(out, flags|uint16(rcode)&wire.Rcodes)
	out = binary.BigEndian.AppendUint16(out, questions)
	out = append(out, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint16(out, additional)
	out = append(out, r.question...)
	if r.edns {
		out = wire.AppendOPT(out, resolver.UDPSize, rcode, r.do)
	}
	return out
}

// appendError appends an extended error to a message that ends in the OPT record at opt.
func appendError(message []byte, opt int, e resolver.Error) []byte {
	message, room := wire.GrowOption(message, opt, dns.EDNS0EDE, 2+len(e.Text))
	binary.BigEndian.PutUint16(room, e.Code)
	copy(room[2:], e.Text)
	return message
}
