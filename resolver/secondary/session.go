package secondary

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/tsig"
	"pldns/resolver/wire"
	"pldns/zones"
)

// How long a primary may take.
const (
	connectTime = 5 * time.Second  // for a connection, with TLS
	answerTime  = 10 * time.Second // for the first message of an answer
	pauseTime   = 30 * time.Second // between two messages of a transfer
	wholeTime   = 30 * time.Minute // for a whole transfer
	// A transfer that goes on has a minute, and a second for each so many octets.
	startTime = time.Minute
	leastRate = 256
)

// How many octets a transfer may have: a zone of some sort has 50 to 300 for each record.
const (
	octetsOfAny    = 1 << 20
	octetsOfRecord = 512
	// octetsOfMessage are counted for each message, whatever is in it, so that empty ones have
	// an end, too.
	octetsOfMessage = 256
)

// session is a connection to a primary. It is for one goroutine.
type session struct {
	conn   net.Conn
	key    *tsig.Key
	reader *bufio.Reader
	room   []byte // of one message
	octets int64  // that were read
}

// open connects to a primary. The connection is closed when the context ends.
func open(ctx context.Context, p Primary, dial func(context.Context, netip.AddrPort) (net.Conn, error)) (*session, error) {
	limited, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := dial(limited, p.Addr)
	if err != nil {
		return nil, unconnected(err, connectTime)
	}
	if p.TLS != nil {
		if conn, err = secure(limited, conn, p.TLS); err != nil {
			return nil, err
		}
	}
	return newSession(conn, p.Key), nil
}

func newSession(conn net.Conn, key *tsig.Key) *session {
	return &session{conn: conn, key: key, reader: bufio.NewReaderSize(conn, 64<<10), room: make([]byte, wire.MaxMessage)}
}

// secure begins TLS as RFC 9103 section 7 wants it: version 1.3, the protocol "dot", and a
// certificate that is good for the name.
func secure(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	config = config.Clone()
	config.MinVersion, config.NextProtos = tls.VersionTLS13, []string{"dot"}
	over := tls.Client(conn, config)
	err := over.HandshakeContext(ctx)
	if err == nil && over.ConnectionState().NegotiatedProtocol != "dot" {
		err = fail(Refused, "it does not agree to speak DNS over TLS (ALPN \"dot\", RFC 9103)")
	} else if err != nil {
		err = unconnected(err, connectTime)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return over, nil
}

func (s *session) close() { _ = s.conn.Close() }

// ask sends a question, and gives the stream of messages that answer it.
func (s *session) ask(m *dns.Msg, limit int64) (*stream, error) {
	packed, err := m.Pack()
	if err != nil {
		return nil, fail(Malformed, "the question cannot be written: %w", err)
	}
	now := time.Now()
	question := m.Question[0]
	answer := &stream{
		session: s, id: m.Id, name: zones.NameOf(question.Name), qtype: question.Qtype,
		begun: now, limit: s.octets + limit,
	}
	if s.key != nil {
		packed, answer.replies = s.key.Sign(packed, now)
	}
	if err := s.conn.SetDeadline(now.Add(answerTime)); err != nil {
		return nil, fail(Unreachable, "no answer: %w", err)
	}
	if _, err := s.conn.Write(wire.AppendFrame(nil, packed)); err != nil {
		return nil, unread(err, true, answerTime)
	}
	return answer, nil
}

// stream is what comes in answer to one question: records, in one message or many.
type stream struct {
	*session
	id      uint16
	name    zones.Name
	qtype   uint16
	replies *tsig.Replies // nil without a key
	begun   time.Time
	limit   int64 // of session.octets

	messages int
	message  []byte // what is being read
	at       int    // where the next record begins
	left     int    // records of the message that are still to be read
	records  int
}

// next gives the next record of the answer section of whatever message it is in.
func (s *stream) next() (dns.RR, error) {
	for s.left == 0 {
		if err := s.advance(); err != nil {
			return nil, err
		}
	}
	rr, end, err := dns.UnpackRR(s.message, s.at)
	if err != nil {
		return nil, fail(Malformed, "a record cannot be read: %w", err)
	}
	s.at, s.left, s.records = end, s.left-1, s.records+1
	return rr, nil
}

// end is what is wrong when no more records are expected.
func (s *stream) end() error {
	if s.left > 0 {
		return fail(Malformed, "there are records behind the end")
	}
	if s.replies != nil {
		if err := s.replies.End(); err != nil {
			return fail(Signature, "the last message is not signed")
		}
	}
	return nil
}

// advance reads and checks the next message.
func (s *stream) advance() error {
	first := s.messages == 0
	if err := s.conn.SetReadDeadline(s.deadline()); err != nil {
		return unread(err, first, answerTime)
	}
	message, err := s.read()
	if err != nil {
		return unread(err, first, answerTime)
	}
	s.messages++
	if s.octets += int64(wire.LengthSize + len(message)); s.octets+int64(s.messages)*octetsOfMessage > s.limit {
		return fail(TooLarge, "the transfer has more than %d octets", s.limit)
	}
	return s.check(message, first)
}

// deadline is until when the next message has to come.
func (s *stream) deadline() time.Time {
	if s.messages == 0 {
		return s.begun.Add(answerTime)
	}
	until := time.Now().Add(pauseTime)
	pace := s.begun.Add(startTime + time.Duration(s.octets/leastRate)*time.Second)
	if pace.Before(until) {
		until = pace
	}
	if whole := s.begun.Add(wholeTime); whole.Before(until) {
		until = whole
	}
	return until
}

// read reads a message into the room for one.
func (s *session) read() ([]byte, error) {
	var length [wire.LengthSize]byte
	if _, err := io.ReadFull(s.reader, length[:]); err != nil {
		return nil, err
	}
	message := s.room[:binary.BigEndian.Uint16(length[:])]
	if _, err := io.ReadFull(s.reader, message); err != nil {
		return nil, noEOF(err)
	}
	return message, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// check looks at all of a message but its records, and stands before the first of them.
func (s *stream) check(message []byte, first bool) error {
	if len(message) < wire.HeaderSize {
		return fail(Malformed, "it answers with %d octets", len(message))
	}
	flags := wire.Flags(message)
	rcode := int(flags & wire.Rcodes)
	if s.replies != nil {
		plain, err := s.replies.Verify(message, time.Now())
		if err != nil {
			if rcode != dns.RcodeSuccess && err == tsig.ErrMissing {
				return fail(Refused, "it answers %s, not signed", wire.RcodeName(rcode))
			}
			return unsigned(err)
		}
		message = plain
	}
	switch {
	case wire.ID(message) != s.id:
		return fail(Malformed, "it answers with the id of another question")
	case flags&wire.QR == 0, flags&wire.Opcodes != 0:
		return fail(Malformed, "what it sends is no answer")
	case rcode != dns.RcodeSuccess:
		return fail(Refused, "it answers %s%s", wire.RcodeName(rcode), s.hint(rcode))
	case flags&wire.TC != 0:
		return fail(Malformed, "its answer is cut")
	case flags&wire.AA == 0 && s.qtype == dns.TypeSOA:
		return fail(Refused, "it is not authoritative for the zone")
	}
	r, ok := wire.ReadRecords(message)
	if !ok || !s.isQuestion(message, first) {
		return fail(Malformed, "it answers another question")
	}
	s.message, s.at, s.left = message, r.At, wire.Count(message, wire.Answer)
	return nil
}

// isQuestion tells whether a message repeats the question; later ones of a transfer need not
// (RFC 5936 section 2.2.1), and some servers never do.
func (s *stream) isQuestion(message []byte, first bool) bool {
	switch wire.Count(message, wire.Question) {
	case 0:
		return !first || s.qtype != dns.TypeSOA
	case 1:
	default:
		return false
	}
	r := wire.Reader{Message: message, At: wire.HeaderSize}
	question, ok := r.Question()
	if !ok || !wire.IsName(message, wire.HeaderSize, s.name) {
		return false
	}
	kind := question[len(question)-4:]
	return binary.BigEndian.Uint16(kind) == s.qtype && binary.BigEndian.Uint16(kind[2:]) == dns.ClassINET
}

// hint says what a code mostly means.
func (s *stream) hint(rcode int) string {
	switch {
	case rcode == dns.RcodeNotAuth && s.key == nil:
		return ": does it have the zone, and does it want a signature?"
	case rcode == dns.RcodeNotAuth:
		return ": does it have the zone?"
	case rcode == dns.RcodeRefused && s.qtype != dns.TypeSOA:
		return ": does it allow this server to take the zone?"
	}
	return ""
}
