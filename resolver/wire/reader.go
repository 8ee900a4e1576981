package wire

import "encoding/binary"

// Record is where a record lies in a message, and what stands before its data.
type Record struct {
	Owner int // where its owner begins
	Type  uint16
	Class uint16
	TTL   uint32 // as it is written there
	Data  int    // where its data begins
	End   int    // where it ends
}

// TTLAt is where the TTL stands.
func (r Record) TTLAt() int { return r.Data - 6 }

// Reader moves over a message, from At on. It checks that what it moves over is there,
// and follows no compression pointer. The zero At is not the first question: that stands
// behind the header.
type Reader struct {
	Message []byte
	At      int
}

// ReadRecords gives a Reader that stands before the first record of a message; false if
// its questions cannot be read.
func ReadRecords(message []byte) (Reader, bool) {
	r := Reader{Message: message, At: HeaderSize}
	if len(message) < HeaderSize {
		return r, false
	}
	for range Count(message, Question) {
		if _, ok := r.Question(); !ok {
			return r, false
		}
	}
	return r, true
}

// Question moves over one question and gives its octets. Its name must not be
// compressed: in front of the first question is nothing that a pointer could point to.
func (r *Reader) Question() ([]byte, bool) {
	start := r.At
	if compressed, ok := r.Name(); compressed || !ok || len(r.Message)-r.At < 4 {
		return nil, false
	}
	r.At += 4
	return r.Message[start:r.At], true
}

// Name moves over one name and tells whether it ends in a pointer. It refuses names and
// labels that are too long, pointers that do not lead to something earlier, and the label
// types that are not in use (RFC 1035 section 4.1.4, RFC 6891 section 5).
func (r *Reader) Name() (compressed, ok bool) {
	start := r.At
	for r.At < len(r.Message) && r.At-start < MaxName {
		octet := int(r.Message[r.At])
		switch octet & pointerBits {
		case 0:
			r.At += 1 + octet
			if octet == 0 {
				return false, true
			}
		case pointerBits:
			if len(r.Message)-r.At < 2 {
				return true, false
			}
			target := pointerAt(r.Message, r.At)
			r.At += 2
			return true, HeaderSize <= target && target < start
		default:
			return false, false
		}
	}
	return false, false
}

// Record moves over one record.
func (r *Reader) Record() (Record, bool) {
	rec := Record{Owner: r.At}
	if _, ok := r.Name(); !ok || len(r.Message)-r.At < recordHead {
		return rec, false
	}
	head := r.Message[r.At:]
	rec.Type = binary.BigEndian.Uint16(head)
	rec.Class = binary.BigEndian.Uint16(head[2:])
	rec.TTL = binary.BigEndian.Uint32(head[4:])
	rec.Data = r.At + recordHead
	rec.End = rec.Data + int(binary.BigEndian.Uint16(head[8:]))
	if rec.End > len(r.Message) {
		return rec, false
	}
	r.At = rec.End
	return rec, true
}

// TTLs gives the offsets of the TTLs in a message, those of OPT records left out, and the
// least of them; nil and 0 when there is none, or the message cannot be read.
func TTLs(message []byte) (offsets []uint16, least uint32) {
	r, ok := ReadRecords(message)
	if !ok {
		return nil, 0
	}
	for range Records(message) {
		rec, ok := r.Record()
		if !ok {
			return nil, 0
		}
		if rec.Type == typeOPT {
			continue
		}
		if offsets == nil || rec.TTL < least {
			least = rec.TTL
		}
		offsets = append(offsets, uint16(rec.TTLAt()))
	}
	return offsets, least
}
