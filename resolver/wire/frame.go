package wire

import (
	"encoding/binary"
	"io"
)

// LengthSize is how many octets of length stand before a message over TCP (RFC 1035
// section 4.2.2).
const LengthSize = 2

// ReadFrame reads one message with its length in front, into memory of its own. It is
// [io.EOF] before the first octet, [io.ErrUnexpectedEOF] in the middle of a message, or
// else the reader's error.
func ReadFrame(r io.Reader) ([]byte, error) {
	var length [LengthSize]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

// AppendFrame appends a message, of 65535 octets at most, with its length in front.
func AppendFrame(out, message []byte) []byte {
	out = binary.BigEndian.AppendUint16(out, uint16(len(message)))
	return append(out, message...)
}
