package wire

import (
	"encoding/binary"
	"errors"
	"iter"

	"github.com/miekg/dns"
)

// Message is what a server said, in wire form: a header, one question, an answer and an
// authority section. Its names are in lower case, and there is no OPT record. It is a
// value that many share, and never changes; what of its TTLs is left is counted beside
// it. The zero Message is none.
type Message struct {
	octets []byte
	passed uint32
	least  uint32
}

// NewMessage makes a Message of octets that have this form, and that nobody changes any
// more.
func NewMessage(octets []byte) Message { return Message{octets: octets} }

// IsZero tells whether there is no message.
func (m Message) IsZero() bool { return m.octets == nil }

// Octets are the message as it was said. They must not be changed.
func (m Message) Octets() []byte { return m.octets }

// Aged is the message so many seconds after its TTLs were right.
func (m Message) Aged(passed uint32) Message {
	m.passed, m.least = passed, 0
	return m
}

// Expired is the message when it has expired: TTLs count down as in [Message.Aged], but
// one that is over, or longer than least, is least seconds (RFC 8767 section 4).
func (m Message) Expired(passed, least uint32) Message {
	m.passed, m.least = passed, least
	return m
}

// TTL is what is left of a TTL.
func (m Message) TTL(ttl uint32) uint32 {
	ttl -= min(ttl, m.passed)
	if m.least > 0 && (ttl == 0 || ttl > m.least) {
		return m.least
	}
	return ttl
}

// Count is how many records a section has.
func (m Message) Count(s Section) int {
	if m.octets == nil {
		return 0
	}
	return Count(m.octets, s)
}

// Read gives a Reader that stands before the first record. TTLs that it reads are those
// of [Message.Octets].
func (m Message) Read() Reader {
	r, _ := ReadRecords(m.octets)
	return r
}

// In goes through the records of the answer or the authority section.
func (m Message) In(s Section) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		if m.Count(s) == 0 {
			return
		}
		r := m.Read()
		for i := range m.Count(Answer) + m.Count(Authority) {
			rec, ok := r.Record()
			if !ok || (i < m.Count(Answer)) == (s == Answer) && !yield(rec) {
				return
			}
		}
	}
}

// WithoutAuthority is the message without its authority section.
func (m Message) WithoutAuthority() Message {
	if m.Count(Authority) == 0 {
		return m
	}
	end := m.Read().At
	for rec := range m.In(Answer) {
		end = rec.End
	}
	m.octets = append([]byte(nil), m.octets[:end]...)
	binary.BigEndian.PutUint16(m.octets[4+2*Authority:], 0)
	return m
}

// Bounded is the message with the TTLs of a section, as they were said, raised to low and
// lowered to high, where they are not within.
func (m Message) Bounded(s Section, low, high uint32) Message {
	own := false
	for rec := range m.In(s) {
		ttl := max(low, min(rec.TTL, high))
		if ttl == rec.TTL {
			continue
		}
		if !own {
			m.octets, own = append([]byte(nil), m.octets...), true
		}
		binary.BigEndian.PutUint32(m.octets[rec.TTLAt():], ttl)
	}
	return m
}

// AppendTo appends the message with the TTLs that are left.
func (m Message) AppendTo(out []byte) []byte {
	start := len(out)
	out = append(out, m.octets...)
	if m.passed == 0 && m.least == 0 { // all of them are
		return out
	}
	own, r := out[start:], m.Read()
	for range m.Count(Answer) + m.Count(Authority) {
		rec, ok := r.Record()
		if !ok {
			break
		}
		binary.BigEndian.PutUint32(own[rec.TTLAt():], m.TTL(rec.TTL))
	}
	return out
}

// Unpack gives the records of the two sections, with the TTLs that are left. It is an
// error if the library does not know what a record says.
func (m Message) Unpack() (answer, authority []dns.RR, err error) {
	if m.IsZero() {
		return nil, nil, nil
	}
	at := m.Read().At
	sections := [2][]dns.RR{}
	for i, section := range []Section{Answer, Authority} {
		count := m.Count(section)
		if count == 0 {
			continue
		}
		records := make([]dns.RR, count)
		for j := range records {
			if records[j], at, err = dns.UnpackRR(m.octets, at); err != nil {
				return nil, nil, err
			}
			records[j].Header().Ttl = m.TTL(records[j].Header().Ttl)
		}
		sections[i] = records
	}
	return sections[0], sections[1], nil
}

// Pack writes a message in the form of a [Message]: the question of class IN, whose name
// is in lower case and absolute, and records that the DNS library packs. Flags are the
// second two octets of the header. It is an error if the records have no wire form, or
// need more octets than a message has.
func Pack(name string, qtype, flags uint16, answer, authority []dns.RR) (Message, error) {
	var room [512]byte
	msg := dns.Msg{
		Question: []dns.Question{{Name: name, Qtype: qtype, Qclass: dns.ClassINET}},
		Answer:   answer, Ns: authority, Compress: true,
	}
	packed, err := msg.PackBuffer(room[:])
	switch {
	case err != nil:
		return Message{}, err
	case len(packed) > MaxMessage:
		return Message{}, ErrTooLong
	}
	PutHeader(packed, 0, flags, len(answer), len(authority), 0)
	m := NewMessage(append([]byte(nil), packed...))
	if _, known := Check(m.octets); !known {
		_, _, err = m.Unpack() // the library packs what it does not read
	}
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

// ErrTooLong says that records need more octets than a message can have.
var ErrTooLong = errors.New("the answer is larger than a DNS message can be")
