package tsig

import "time"

// SignAfter is [Request.Sign] for a reply that follows unsigned ones, as some servers send them.
func (q *Request) SignAfter(unsigned, reply []byte, now time.Time) []byte {
	t := q.by.newRecord(reply, now)
	h := q.by.digest(q.prior)
	h.Write(unsigned)
	t.mac = t.sum(h, reply, true)
	q.prior = t.mac
	return t.appendTo(reply)
}
