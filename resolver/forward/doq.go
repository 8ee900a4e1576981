package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/quic-go/quic-go"

	"pldns/resolver/wire"
)

// doq is DNS over QUIC (RFC 9250): a query on each stream, and the reply to it.
type doq struct{ conn *quic.Conn }

func speakDoQ(conn *quic.Conn) application { return doq{conn} }

func (d doq) ask(ctx context.Context, packet []byte, opened func()) ([]byte, error) {
	stream, err := d.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	opened()
	stop := context.AfterFunc(ctx, func() { reset(stream, wire.DoQRequestCancelled) })
	defer stop()
	if _, err := stream.Write(wire.AppendFrame(make([]byte, 0, wire.LengthSize+len(packet)), packet)); err != nil {
		reset(stream, wire.DoQRequestCancelled)
		return nil, err
	}
	_ = stream.Close()
	reply, err := readReply(stream)
	if err != nil {
		reset(stream, wire.DoQRequestCancelled)
	}
	return reply, err
}

// reset ends a stream whose reply is not wanted.
func reset(stream *quic.Stream, code quic.StreamErrorCode) {
	stream.CancelRead(code)
	stream.CancelWrite(code)
}

// What a server may do wrong on a stream (RFC 9250 section 4.3.3).
var (
	errCutOff   = &protocolError{"the stream ended within the reply"}
	errMore     = &protocolError{"there is more than one message on a stream"}
	errShort    = &protocolError{"the reply is shorter than a DNS header"}
	errOddReply = &protocolError{"the id of the reply is not 0"}
)

// readReply reads the reply on a stream.
func readReply(stream *quic.Stream) ([]byte, error) {
	var head [wire.LengthSize]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		return nil, cutOff(err)
	}
	size := int(binary.BigEndian.Uint16(head[:]))
	if size < wire.HeaderSize {
		return nil, errShort
	}
	reply, have := make([]byte, size+1), 0
	var err error
	for have < size && err == nil {
		var n int
		n, err = stream.Read(reply[have:])
		have += n
	}
	switch {
	case have < size:
		return nil, cutOff(err)
	case have > size:
		return nil, errMore
	case wire.ID(reply) != 0:
		return nil, errOddReply
	}
	if err == nil {
		stream.CancelRead(wire.DoQNoError)
	}
	return reply[:size:size], nil
}

// cutOff is what an error within a reply is.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	return err
}

func (doq) code(broken bool) quic.ApplicationErrorCode {
	if broken {
		return wire.DoQProtocolError
	}
	return wire.DoQNoError
}

func (doq) word(code uint64) string { return wire.DoQError(code) }

func (doq) refuses(uint64) bool { return false }
