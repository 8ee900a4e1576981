package ask

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// stream asks over TCP, or TLS (RFC 1035 section 4.2.2, RFC 7858).
type stream struct{ net.Conn }

func (s stream) Ask(ctx context.Context, query []byte) ([]byte, error) {
	defer within(ctx, s.Conn)()
	if _, err := s.Write(framed(query)); err != nil {
		return nil, because(ctx, err)
	}
	reply, err := readFramed(s.Conn)
	return reply, because(ctx, err)
}

func (s stream) Close() { _ = s.Conn.Close() }

// framed is a message behind its length.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(message)), uint16(len(message))), message...)
}

// readFramed reads a message behind its length. One that is cut off is no reply; if
// nothing came at all, the error is that of the reader.
func readFramed(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, cutOff(err)
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(r, message); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, cutOff(err)
	}
	return message, nil
}

func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut off", ErrReply)
	}
	return err
}
