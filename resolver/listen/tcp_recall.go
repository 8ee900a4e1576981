package listen

import (
	"encoding/binary"
	"net/netip"
	"time"

	"pldns/resolver"
	"pldns/resolver/memo"
)

// recalledRoom is how many octets of replies from memory are put together before
// they are sent, at least.
const recalledRoom = 8192

// recalled are the replies from memory of one connection. They are sent in one
// piece when nothing more has been read to be answered.
type recalled struct {
	frames  []byte
	last    int       // where the last of them begins, after its length
	began   time.Time // when the first of their queries was read
	tally   memo.Tally
	queries int // that tally is to be told of
}

// segment is the room for the next query.
func (c *conn) segment() *segment {
	if c.spare == nil {
		c.spare = c.server.segments.Get().(*segment)
	}
	return c.spare
}

// recallReply answers from memory, if the reply is there. What offers a time to
// be idle is not remembered, because the time differs; nor is what is to be padded,
// or names a client of somebody else.
func (c *conn) recallReply(r *request, began time.Time) bool {
	q := c.segment()
	q.memory.key = nil
	if r.keepalive || r.subnet.given || r.padding && c.secured != nil {
		return false
	}
	over := memo.TCP
	if c.secured != nil {
		over = memo.TLS
	}
	q.memory.open(c.server.remembered, began)
	q.memory.locate(c.client)
	known := q.memory.recall(r, over, largestMessage)
	if known == nil {
		return false
	}
	if len(c.recall.frames) == 0 && !c.server.conns.begin(c) {
		return true // it has given way: reading it ends by itself
	}
	c.recall.take(known, r, q.memory.now, began)
	if r.hasCookie {
		c.recall.addCookie(&c.server.cookies, r, c.client.Addr)
	}
	if len(c.recall.frames) >= recalledRoom {
		c.sendRecalled()
	}
	return true
}

// take adds the reply to r.
func (p *recalled) take(known *memo.Reply, r *request, now memo.Moment, began time.Time) {
	if len(p.frames) == 0 {
		p.began = began
	}
	if p.tally != known.Tally() {
		p.tell()
		p.tally = known.Tally()
	}
	p.queries++
	at := len(p.frames)
	if p.frames == nil {
		p.frames = make([]byte, 0, recalledRoom+lengthSize+resolver.UDPSize)
	}
	p.frames = binary.BigEndian.AppendUint16(p.frames, uint16(known.Len()))
	at += lengthSize
	known.Write(p.frames[at:at+known.Len()], r.id, r.question, now)
	p.frames = p.frames[:at+known.Len()]
	p.last = at
}

// addCookie adds the cookie to the last reply.
func (p *recalled) addCookie(from *cookies, r *request, client netip.Addr) {
	reply := from.add(p.frames[p.last:], r, client, p.began)
	p.frames = append(p.frames[:p.last], reply...)
	binary.BigEndian.PutUint16(p.frames[p.last-lengthSize:], uint16(len(reply)))
}

// tell passes the count on.
func (p *recalled) tell() {
	if p.queries > 0 {
		p.tally.Add(p.queries, time.Since(p.began))
		p.queries = 0
	}
}

// sendRecalled sends the replies from memory, before c waits.
func (c *conn) sendRecalled() {
	if c.spare != nil {
		c.spare.memory.close()
	}
	if len(c.recall.frames) == 0 {
		return
	}
	c.send(c.recall.frames, time.Now())
	c.recall.frames = c.recall.frames[:0]
	c.server.conns.end(c)
	c.recall.tell()
}
