package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// errNotReply says that a connection gave something else than the reply.
var errNotReply = errors.New("the message on the connection is not the reply")

// askStream asks over a connection (RFC 7766). It also tells whether the server
// kept the letter case of the question.
func (s *server) askStream(ctx context.Context, q resolver.Question, m manners) (msg *dns.Msg, sameCase bool, err error) {
	asked, err := writeQuery(q, m)
	if err != nil {
		return nil, false, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Addr.String())
	if err != nil {
		return nil, false, s.failure(ctx, err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(frame(asked.packet)); err != nil {
		return nil, false, s.failure(ctx, err)
	}
	packet, err := readFrame(conn)
	if err != nil {
		return nil, false, s.failure(ctx, err)
	}
	switch found := asked.match(packet); found {
	case foreign:
		return nil, false, &Failure{s.Text, Malformed, errNotReply}
	case noQuestion:
		return rcodeOnly(packet), true, nil
	default:
		if msg, err = asked.read(packet); err != nil {
			return nil, false, &Failure{s.Text, Malformed, err}
		}
		return msg, found == matching, nil
	}
}

// readFrame reads one message with its length in front.
func readFrame(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, packet)
	return packet, err
}

// frame puts the length in front of a message, so that both leave in one segment
// (RFC 7766 section 8).
func frame(packet []byte) []byte {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(packet)), uint16(len(packet)))
	return append(framed, packet...)
}
