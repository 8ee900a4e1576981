package listen

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"pldns/resolver/listen/replycache"
	"pldns/resolver/wire"
)

const (
	// longReply is the length, in octets, of a reply that does not fit into one packet;
	// longReplies is how many of them a connection may have to wait for its client.
	longReply, longReplies = packetSize, 32
	// messageSize holds an ordinary query.
	messageSize = 512
	// unreadPause is how long a connection waits for room for a stream, while its client has
	// too many whose query has not arrived. Those of an honest client have, and are read.
	unreadPause = 100 * time.Millisecond
	// endPause is how long the end of a stream may take to come behind its query and the reply.
	endPause = 200 * time.Millisecond
)

// noError is the code by which a connection ends in order.
func noError(transport string) quic.ApplicationErrorCode {
	if transport == h3 {
		return quic.ApplicationErrorCode(http3.ErrCodeNoError)
	}
	return wire.DoQNoError
}

// excessiveLoad is the code by which a connection that is one too many ends.
func excessiveLoad(transport string) quic.ApplicationErrorCode {
	if transport == h3 {
		return quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad)
	}
	return wire.DoQExcessiveLoad
}

// errMany is a stream with more than its query.
var errMany = errors.New("there is more than one message on a stream")

// serveStreams answers the queries of c, each on its own stream (RFC 9250 section 4.2).
func (c *conn) serveStreams() {
	shared := new(doqShared)
	for {
		stream, err := c.quic.AcceptStream(c.server.quicOpen)
		if err != nil || !c.beginStream() {
			return
		}
		go (&doqStream{conn: c, stream: stream, doqShared: shared}).serve()
	}
}

// beginStream counts a stream, when there is room for it. It is false if c has given way,
// or is to end because its client has so many streams whose query does not arrive.
func (c *conn) beginStream() bool {
	var late *time.Timer
	for last := false; ; {
		begun, room := c.server.conns.beginStream(c)
		switch {
		case room:
			return begun
		case last:
			c.server.refused(c.transport, Crowded, c.peer)
			c.expel()
			return false
		case late == nil:
			late = time.NewTimer(unreadPause)
			defer late.Stop()
		}
		select {
		case <-c.siblings.arrived:
		case <-late.C:
			last = true
		case <-c.quic.Context().Done():
			return false
		}
	}
}

// expel ends the connection of a client that does too much, and has it begin no other for a
// while.
func (c *conn) expel() {
	c.server.handshakes.expel(c.counted)
	_ = c.quic.CloseWithError(excessiveLoad(c.transport), "")
}

// hurry limits how long a query may take to arrive on a stream, until stop is called: at
// the end of the server to a last word.
func (c *conn) hurry(stream *quic.Stream) (stop func() bool) {
	_ = stream.SetReadDeadline(time.Now().Add(c.server.config.Receive))
	return context.AfterFunc(c.server.quicOpen, func() {
		_ = stream.SetReadDeadline(time.Now().Add(c.server.config.LastWord))
	})
}

// doqShared is what the streams of one connection count together.
type doqShared struct {
	long    atomic.Int64 // replies that wait for the client
	stalled atomic.Int64 // streams whose query did not arrive
}

// doqStream is one query and its reply.
type doqStream struct {
	*conn
	*doqShared
	stream *quic.Stream
	ended  bool // its client has said that nothing comes behind the query
}

// serve reads the query and answers it, unless it has to wait: then whoever learns the
// answer does that.
func (d *doqStream) serve() {
	s := d.server
	waits := false
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(d.transport, fault)
			d.reset(wire.DoQInternalError)
		}
		if !waits {
			d.done()
		}
	}()
	room := s.messages.Get().(*[]byte)
	defer s.messages.Put(room)
	message, err := d.read(room)
	if err == nil && wire.ID(message) != 0 {
		err = errID
	}
	if err != nil {
		d.failed(err)
		return
	}
	if d.confirmed(message) {
		waits = d.answer(message)
	}
}

// errID is a query whose id is not 0.
var errID = errors.New("the id of the message is not 0")

// read reads the query into room, which grows with what arrives. Whether its client has
// ended the stream behind it is not waited for.
func (d *doqStream) read(room *[]byte) ([]byte, error) {
	defer d.server.conns.arrived(d.conn)
	defer d.hurry(d.stream)()
	buf := *room
	for have := 0; ; {
		n, err := d.stream.Read(buf[have:])
		have += n
		if have >= wire.LengthSize {
			switch whole := wire.LengthSize + int(binary.BigEndian.Uint16(buf)); {
			case whole < wire.LengthSize+wire.HeaderSize:
				return nil, errEmpty
			case have > whole:
				return nil, errMany
			case have == whole:
				d.ended = errors.Is(err, io.EOF)
				return buf[wire.LengthSize:whole], nil
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
		if have == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}

// failed ends what is no query: the connection, if its client does not keep to the
// protocol (RFC 9250 section 4.3.3), else the stream.
func (d *doqStream) failed(err error) {
	peer, _ := d.here()
	switch {
	case errors.Is(err, errEmpty), errors.Is(err, errMany), errors.Is(err, errID), errors.Is(err, io.ErrUnexpectedEOF):
		d.server.refused(d.transport, Unfit, peer, "error", err)
		d.abort()
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.server.refused(d.transport, Stalled, peer)
		d.reset(wire.DoQUnspecifiedError)
		// A stream takes memory until its client has ended it, too, which it need not do.
		if d.stalled.Add(1) >= int64(d.server.config.Pipeline) {
			d.expel()
		}
	default: // the client has given it up
		d.reset(wire.DoQRequestCancelled)
	}
}

// abort ends the connection of a client that does not keep to the protocol.
func (d *doqStream) abort() { _ = d.quic.CloseWithError(wire.DoQProtocolError, "") }

// reset ends the stream without a reply.
func (d *doqStream) reset(code quic.StreamErrorCode) {
	d.stream.CancelRead(code)
	d.stream.CancelWrite(code)
}

// answer has a message served, and tells whether the reply is yet to come.
func (d *doqStream) answer(message []byte) (waits bool) {
	s := d.server
	q, x := s.query(), s.scratches.Get().(*scratch)
	defer s.scratches.Put(x)
	defer x.tidy()
	peer, client := d.here()
	q.origin = origin{
		transport: doq, kind: replycache.QUIC, stream: true, encrypted: true, peer: peer, cookieFor: client.Addr, to: d,
	}
	q.client, q.began = client, time.Now()
	x.memory.open(s, q.began)
	out := s.serve(q, x, message)
	switch {
	case out.waits:
		return true
	case out.reply == nil:
		d.abort()
	case out.why == Shed:
		d.shed()
		waits = true
	default:
		waits = d.send(out.reply)
	}
	if !out.taken {
		q.message = nil
		s.queries.Put(q)
	}
	return waits
}

// deliver sends a reply that had to be waited for.
func (d *doqStream) deliver(_ *query, reply []byte) {
	if !d.send(reply) {
		d.done()
	}
}

// send sends the reply, and tells whether that goes on: one that does not fit into a
// packet may have to wait for its client.
func (d *doqStream) send(reply []byte) (goesOn bool) {
	frame := wire.AppendFrame(make([]byte, 0, wire.LengthSize+len(reply)), reply)
	if len(frame) <= longReply {
		if err := d.stream.TryWriteAll(frame); !errors.Is(err, quic.ErrWouldBlock) {
			d.end()
			return false
		}
	}
	if d.long.Add(1) > longReplies {
		d.long.Add(-1)
		d.reset(wire.DoQExcessiveLoad)
		return false
	}
	d.server.work.Go(func() {
		defer d.done()
		defer d.long.Add(-1)
		_ = d.stream.SetWriteDeadline(time.Now().Add(d.server.config.Send))
		if _, err := io.Copy(d.stream, bytes.NewReader(frame)); errors.Is(err, os.ErrDeadlineExceeded) {
			peer, _ := d.here()
			d.server.refused(d.transport, Stalled, peer)
			d.Close()
			return
		}
		d.end()
	})
	return true
}

// end ends the stream behind the reply. A client that has not ended it yet gets time to:
// one that writes its query and the end of it one after the other is not to be told that
// what it does is unwanted. Until then the stream takes one of its connection's.
func (d *doqStream) end() {
	_ = d.stream.Close()
	if d.ended {
		return
	}
	d.server.work.Go(func() {
		_ = d.stream.SetReadDeadline(time.Now().Add(endPause))
		switch n, err := d.stream.Read(make([]byte, 1)); {
		case n > 0:
			peer, _ := d.here()
			d.server.refused(d.transport, Unfit, peer, "error", errMany)
			d.abort()
		case !errors.Is(err, io.EOF):
			d.stream.CancelRead(wire.DoQNoError)
		}
	})
}

// shed tells a client that asks more than its share to ask elsewhere. As over HTTPS it is
// told late, because most ask again at once, and it is no answer about the name.
func (d *doqStream) shed() {
	d.server.work.Go(func() {
		defer d.done()
		pause := time.NewTimer(shedPause)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-d.stream.Context().Done():
		case <-d.server.conns.drained:
		}
		d.reset(wire.DoQExcessiveLoad)
	})
}

// done is the end of the query.
func (d *doqStream) done() {
	d.server.conns.end(d.conn)
	d.requests.Done()
}
