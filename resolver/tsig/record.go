package tsig

import (
	"encoding/binary"
	"hash"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
	"pldns/zones"
)

// Fudge is how far, in seconds, the clocks of two servers may differ (RFC 8945 section 10).
const Fudge = 300

// record is a TSIG record (RFC 8945 section 4.2).
type record struct {
	key       zones.Name
	algorithm zones.Name
	signed    uint64 // seconds since 1970
	fudge     uint16
	mac       []byte
	original  uint16 // the id that the message had when it was signed
	code      uint16 // an extended response code
	other     []byte
}

// find looks for the TSIG record of a message, and gives it with the message before it, in which
// it is not counted any more: message is changed. Without such a record it gives message as it is,
// and nil. It is [ErrMalformed] if the message or the record cannot be read, if the record is not
// the last one, and if there is anything behind it.
func find(message []byte) (plain []byte, found *record, err error) {
	r, ok := wire.ReadRecords(message)
	if !ok {
		return nil, nil, ErrMalformed
	}
	for left := wire.Records(message); left > 0; left-- {
		rec, ok := r.Record()
		if !ok {
			return nil, nil, ErrMalformed
		}
		if rec.Type != dns.TypeTSIG {
			continue
		}
		additional := wire.Count(message, wire.Additional)
		found, ok := parse(message, rec)
		if !ok || left > 1 || additional == 0 || r.At != len(message) {
			return nil, nil, ErrMalformed
		}
		binary.BigEndian.PutUint16(message[additionalAt:], uint16(additional-1))
		return message[:rec.Owner], found, nil
	}
	return message, nil, nil
}

// additionalAt is where the header counts the additional records.
const additionalAt = 10

func parse(message []byte, rec wire.Record) (*record, bool) {
	key, ok := wire.Name(message, rec.Owner)
	if !ok || rec.Class != dns.ClassANY || rec.TTL != 0 {
		return nil, false
	}
	data := wire.Reader{Message: message[:rec.End], At: rec.Data}
	if _, ok := data.Name(); !ok {
		return nil, false
	}
	algorithm, ok := wire.Name(message[:rec.End], rec.Data)
	if !ok {
		return nil, false
	}
	t := &record{key: key, algorithm: algorithm}
	rest := message[data.At:rec.End]
	if len(rest) < 10 {
		return nil, false
	}
	t.signed = uint64(binary.BigEndian.Uint16(rest))<<32 | uint64(binary.BigEndian.Uint32(rest[2:]))
	t.fudge = binary.BigEndian.Uint16(rest[6:])
	size := int(binary.BigEndian.Uint16(rest[8:]))
	if rest = rest[10:]; len(rest) < size+6 {
		return nil, false
	}
	t.mac, rest = rest[:size], rest[size:]
	t.original = binary.BigEndian.Uint16(rest)
	t.code = binary.BigEndian.Uint16(rest[2:])
	t.other = rest[6:]
	return t, len(t.other) == int(binary.BigEndian.Uint16(rest[4:]))
}

// appendTo appends the record to a message, and counts it there.
func (t *record) appendTo(message []byte) []byte {
	algorithm := packed(t.algorithm.FQDN())
	out := append(message, packed(t.key.FQDN())...)
	out = binary.BigEndian.AppendUint16(out, dns.TypeTSIG)
	out = binary.BigEndian.AppendUint16(out, dns.ClassANY)
	out = binary.BigEndian.AppendUint32(out, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(len(algorithm)+16+len(t.mac)+len(t.other)))
	out = append(out, algorithm...)
	out = t.appendTimers(out)
	out = binary.BigEndian.AppendUint16(out, uint16(len(t.mac)))
	out = append(out, t.mac...)
	out = binary.BigEndian.AppendUint16(out, t.original)
	out = t.appendError(out)
	binary.BigEndian.PutUint16(out[additionalAt:], uint16(wire.Count(out, wire.Additional)+1))
	return out
}

func (t *record) appendTimers(out []byte) []byte {
	out = binary.BigEndian.AppendUint16(out, uint16(t.signed>>32))
	out = binary.BigEndian.AppendUint32(out, uint32(t.signed))
	return binary.BigEndian.AppendUint16(out, t.fudge)
}

func (t *record) appendError(out []byte) []byte {
	out = binary.BigEndian.AppendUint16(out, t.code)
	out = binary.BigEndian.AppendUint16(out, uint16(len(t.other)))
	return append(out, t.other...)
}

// sum adds a message and what of the record is signed to a digest, and gives the MAC: all of it
// for a request and the first reply, the timers alone for later ones (RFC 8945 section 5.3.1).
func (t *record) sum(h hash.Hash, message []byte, later bool) []byte {
	h.Write([]byte{byte(t.original >> 8), byte(t.original)})
	h.Write(message[2:])
	if later {
		h.Write(t.appendTimers(nil))
		return h.Sum(nil)
	}
	vars := packed(t.key.FQDN())
	vars = binary.BigEndian.AppendUint16(vars, dns.ClassANY)
	vars = binary.BigEndian.AppendUint32(vars, 0)
	vars = append(vars, packed(t.algorithm.FQDN())...)
	vars = t.appendTimers(vars)
	h.Write(t.appendError(vars))
	return h.Sum(nil)
}

// skew is by how much the clock of whoever signed is ahead.
func (t *record) skew(now time.Time) time.Duration {
	return time.Duration(int64(t.signed)-now.Unix()) * time.Second
}

// late tells whether the record was signed too long ago, or too far ahead.
func (t *record) late(now time.Time) bool {
	return t.skew(now).Abs() > time.Duration(t.fudge)*time.Second
}

// newRecord begins the record of a message that the key signs.
func (k *Key) newRecord(message []byte, now time.Time) *record {
	return &record{
		key: k.Name, algorithm: k.algorithmName(), signed: uint64(now.Unix()), fudge: Fudge, original: wire.ID(message),
	}
}

func (k *Key) algorithmName() zones.Name { return zones.NameOf(k.Algorithm + ".") }
