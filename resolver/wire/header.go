package wire

import "encoding/binary"

// Sizes in octets.
const (
	HeaderSize  = 12  // RFC 1035 section 4.1.1
	MaxName     = 255 // RFC 1035 section 2.3.4
	MaxQuestion = MaxName + 4
	MaxMessage  = 65535 // RFC 1035 section 4.2.2
	recordHead  = 10    // of a record between its owner and its data
)

// The bits of the second two octets of a header (RFC 1035 section 4.1.1, RFC 4035
// section 3).
const (
	QR uint16 = 1 << 15
	AA uint16 = 1 << 10
	TC uint16 = 1 << 9
	RD uint16 = 1 << 8
	RA uint16 = 1 << 7
	AD uint16 = 1 << 5
	CD uint16 = 1 << 4

	Opcodes uint16 = 0xF << 11
	Rcodes  uint16 = 0xF // the lower bits of the response code
)

// DO is the bit of the flags of an OPT record that asks for signatures (RFC 3225).
const DO = 1 << 15

// Section is one of the four sections of a message.
type Section int

// The sections, in their order.
const (
	Question Section = iota
	Answer
	Authority
	Additional
)

// ID is the id of a message that has a header.
func ID(message []byte) uint16 { return binary.BigEndian.Uint16(message) }

// Flags are the second two octets of the header.
func Flags(message []byte) uint16 { return binary.BigEndian.Uint16(message[2:]) }

// Count is how many questions or records a section has by the header.
func Count(message []byte, s Section) int { return int(binary.BigEndian.Uint16(message[4+2*s:])) }

// Records is how many records the sections behind the question have by the header.
func Records(message []byte) int {
	return Count(message, Answer) + Count(message, Authority) + Count(message, Additional)
}

// PutHeader writes the header of a message with one question.
func PutHeader(message []byte, id, flags uint16, answers, authority, additional int) {
	be := binary.BigEndian
	_ = message[HeaderSize-1]
	be.PutUint16(message, id)
	be.PutUint16(message[2:], flags)
	be.PutUint16(message[4:], 1)
	be.PutUint16(message[6:], uint16(answers))
	be.PutUint16(message[8:], uint16(authority))
	be.PutUint16(message[10:], uint16(additional))
}
