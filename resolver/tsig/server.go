package tsig

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
	"pldns/zones"
)

// Ring has the keys that a server knows, by their names.
type Ring map[zones.Name]*Key

// Request is what the TSIG record of a request says. It is for one goroutine.
type Request struct {
	// Key signed the request; nil where Fault is not nil.
	Key *Key
	// Plain is the request without its TSIG record.
	Plain []byte
	// Fault is what is wrong with the signature; nil if nothing is. The reply is NOTAUTH then,
	// has nothing but the question, and goes through Sign like any other (RFC 8945 section 5.2).
	Fault *Fault

	answer record // the record of the reply, without the MAC
	by     *Key   // who signs the reply; nil if nobody can
	prior  []byte
	later  bool
}

// Receive verifies a request in wire form, whose octets it changes. The error is [ErrMissing] if
// there is no TSIG record, and [ErrMalformed] if it cannot be read: then the reply is FORMERR and
// not signed.
func (r Ring) Receive(request []byte, now time.Time) (*Request, error) {
	plain, t, err := find(request)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, ErrMissing
	}
	q := &Request{Plain: plain, answer: record{
		key: t.key, algorithm: t.algorithm, signed: t.signed, fudge: t.fudge, original: t.original,
	}}
	key := r[t.key]
	if key == nil || key.algorithmName() != t.algorithm {
		q.fail(&Fault{Code: dns.RcodeBadKey})
		return q, nil
	}
	// RFC 8945 section 5.2.2.1: neither longer than the MAC, nor shorter than half of it.
	size := key.Size()
	if len(t.mac) > size || len(t.mac) < max(10, size/2) {
		return nil, ErrMalformed
	}
	if !hmac.Equal(t.sum(key.digest(nil), plain, false)[:len(t.mac)], t.mac) {
		q.fail(&Fault{Code: dns.RcodeBadSig})
		return q, nil
	}
	q.by, q.prior = key, bytes.Clone(t.mac)
	switch {
	case t.late(now):
		q.fail(&Fault{Code: dns.RcodeBadTime, Skew: t.skew(now)})
		q.answer.other = binary.BigEndian.AppendUint16(nil, uint16(uint64(now.Unix())>>32))
		q.answer.other = binary.BigEndian.AppendUint32(q.answer.other, uint32(now.Unix()))
	case len(t.mac) < size: // nobody shortens them but who wants to guess
		q.fail(&Fault{Code: dns.RcodeBadTrunc})
	default:
		q.Key = key
	}
	return q, nil
}

func (q *Request) fail(f *Fault) { q.Fault, q.answer.code = f, f.Code }

// Sign appends the TSIG record to the next reply to the request, in wire form: to each message of
// a transfer in its turn. A fault of the request is told in it, and where the request does not prove
// that the other side has the key, there is no MAC (RFC 8945 section 5.3.2).
func (q *Request) Sign(reply []byte, now time.Time) []byte {
	t := q.answer
	t.fudge = Fudge
	if q.by == nil {
		return t.appendTo(reply)
	}
	if t.code != dns.RcodeBadTime { // with which the clock of the request is told back
		t.signed = uint64(now.Unix())
	}
	t.original = wire.ID(reply)
	t.mac = t.sum(q.by.digest(q.prior), reply, q.later)
	q.prior, q.later = t.mac, true
	return t.appendTo(reply)
}
