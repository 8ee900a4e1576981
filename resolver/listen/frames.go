package listen

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"

	"pldns/resolver/wire"
)

// streamBuffer holds the ordinary queries of a connection.
const streamBuffer = 2048

// errEmpty is a message of no octets. Nobody who speaks DNS sends one.
var errEmpty = errors.New("the message has no octets")

// errForged is a PROXY header where none is to be.
var errForged = errors.New("there is a PROXY protocol header of somebody who is not trusted to send one")

// proxyBeginning is the length of a message that a PROXY header would be taken for.
const proxyBeginning = '\r'<<8 | '\n'

// frames reads the messages of a stream, each after its length (RFC 1035
// section 4.2.2).
type frames struct{ stream *bufio.Reader }

func newFrames(r io.Reader) frames { return frames{bufio.NewReaderSize(r, streamBuffer)} }

// wait returns when the first octet of a message is there, and takes nothing.
func (f frames) wait() error {
	_, err := f.stream.Peek(1)
	return err
}

// ready tells whether a whole message has been read already.
func (f frames) ready() bool {
	held := f.stream.Buffered()
	if held < wire.LengthSize {
		return false
	}
	head, err := f.stream.Peek(wire.LengthSize)
	return err == nil && held-wire.LengthSize >= int(binary.BigEndian.Uint16(head))
}

// next reads a whole message; it is valid until the next call. The room for a
// long one grows with what arrives, so that a length alone costs nothing.
func (f frames) next() ([]byte, error) {
	head, err := f.stream.Peek(wire.LengthSize)
	if err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(head))
	if size == 0 {
		return nil, errEmpty
	}
	if size == proxyBeginning {
		if head, err := f.stream.Peek(len(proxySignature)); err != nil || hasProxyHeader(head) {
			return nil, cmp.Or(err, errForged)
		}
	}
	if wire.LengthSize+size <= f.stream.Size() {
		whole, err := f.stream.Peek(wire.LengthSize + size)
		if err != nil {
			return nil, err
		}
		_, err = f.stream.Discard(len(whole))
		return whole[wire.LengthSize:], err
	}
	var long bytes.Buffer
	if _, err := f.stream.Discard(wire.LengthSize); err != nil {
		return nil, err
	}
	if _, err := io.CopyN(&long, f.stream, int64(size)); err != nil {
		return nil, err
	}
	return long.Bytes(), nil
}
