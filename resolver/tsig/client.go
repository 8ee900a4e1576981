package tsig

import (
	"crypto/hmac"
	"encoding/binary"
	"hash"
	"time"

	"github.com/miekg/dns"
)

// Sign appends the TSIG record to a request in wire form, and gives what the replies to it are
// verified with.
func (k *Key) Sign(request []byte, now time.Time) (signed []byte, replies *Replies) {
	t := k.newRecord(request, now)
	t.mac = t.sum(k.digest(nil), request, false)
	return t.appendTo(request), &Replies{key: k, running: k.digest(t.mac)}
}

// maxUnsigned is how many messages of a transfer may stand unsigned between signed ones (RFC 8945
// section 5.3.1).
const maxUnsigned = 99

// Replies verifies the replies to one request, in the order in which they come. It is for one
// goroutine.
type Replies struct {
	key      *Key
	running  hash.Hash // of what came since the last signed message
	later    bool      // the first reply is there
	unsigned int       // messages since the last signed one
}

// Verify takes the next reply, and gives it without its TSIG record; the octets of reply are
// changed. The first reply has to be signed, of later ones every hundredth: those between are
// verified with the next signed one, so they count only when that is there, and after the last
// reply [Replies.End] says whether it was. The error is [ErrMissing], [ErrMalformed] or a [Fault];
// with a Fault that the other side tells, only BADTIME is known to come from it.
func (r *Replies) Verify(reply []byte, now time.Time) (plain []byte, err error) {
	plain, t, err := find(reply)
	switch {
	case err != nil:
		return nil, err
	case t == nil:
		if r.unsigned++; !r.later || r.unsigned > maxUnsigned {
			return nil, ErrMissing
		}
		r.running.Write(reply)
		return reply, nil
	}
	if len(t.mac) == 0 && t.code != dns.RcodeSuccess { // whoever does not know the key cannot sign
		return nil, &Fault{Code: t.code, Told: true}
	}
	if t.key != r.key.Name || t.algorithm != r.key.algorithmName() {
		return nil, &Fault{Code: dns.RcodeBadKey}
	}
	if !hmac.Equal(t.sum(r.running, plain, r.later), t.mac) {
		return nil, &Fault{Code: dns.RcodeBadSig}
	}
	if t.code != dns.RcodeSuccess {
		return nil, told(t, now)
	}
	if t.late(now) {
		return nil, &Fault{Code: dns.RcodeBadTime, Skew: t.skew(now)}
	}
	r.running, r.later, r.unsigned = r.key.digest(t.mac), true, 0
	return plain, nil
}

// told is the error that the other side signed. With BADTIME it tells its clock (RFC 8945 section
// 5.2.3).
func told(t *record, now time.Time) *Fault {
	f := &Fault{Code: t.code, Told: true}
	if t.code == dns.RcodeBadTime && len(t.other) == 6 {
		clock := uint64(binary.BigEndian.Uint16(t.other))<<32 | uint64(binary.BigEndian.Uint32(t.other[2:]))
		f.Skew = (&record{signed: clock}).skew(now)
	}
	return f
}

// End is [ErrMissing] if the last reply was not signed: it must be (RFC 8945 section 5.3.1).
func (r *Replies) End() error {
	if !r.later || r.unsigned > 0 {
		return ErrMissing
	}
	return nil
}
