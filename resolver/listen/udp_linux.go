//go:build !portable

package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pldns/resolver/memo"
)

// bindShared opens a socket for each reader of a UDP address. The system hands
// every packet to one of them, the packets of one client to the same.
//
// Only the first is bound to the address as if it were alone, which fails if any
// other program has it; from then on it shares with its siblings. A second server
// on this address meets that same refusal, so it can never take a part of
// the queries by mistake.
func bindShared(addr netip.AddrPort, readers int) ([]*udpSocket, error) {
	first, err := bindUDP(addr, net.ListenConfig{})
	if err != nil {
		return nil, err
	}
	bound := []*udpSocket{first}
	raw, err := first.conn.SyscallConn()
	if err != nil {
		return bound, err
	}
	if share("", "", raw) != nil {
		first.readers = readers // a system that cannot share: all of them read this one
		return bound, nil
	}
	for len(bound) < readers {
		next, err := bindUDP(netip.AddrPortFrom(addr.Addr(), first.local.Port()), net.ListenConfig{Control: share})
		if err != nil {
			return bound, err
		}
		bound = append(bound, next)
	}
	return bound, nil
}

// share lets a socket share its address with others of the same user.
func share(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return errors.Join(err, failed)
}

// worker reads a socket in batches and answers from memory in batches. What is
// not in memory goes the way of every query.
type worker struct {
	server *Server
	socket *udpSocket
	batch  *batch
	next   *datagram // for the next packet that is taken
	counts counts
}

// readPackets reads packets until ctx ends; it is true if a panic ended it.
func (s *Server) readPackets(ctx, answering context.Context, socket *udpSocket) (again bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(udp, fault)
			again = true
		}
	}()
	raw, err := socket.conn.SyscallConn()
	if err != nil {
		return false // it is closed
	}
	w := &worker{server: s, socket: socket, batch: newBatch(raw, socket.wildcard), next: s.datagram(socket)}
	for {
		read, err := w.batch.receive()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return false
			}
			s.troubled(ctx, "cannot read from a socket", socket.local, err)
			continue
		}
		w.answer(answering, read)
	}
}

// answer deals with the packets of one batch.
func (w *worker) answer(answering context.Context, read int) {
	began := time.Now()
	w.next.memory.open(w.server.remembered, began)
	for i := range read {
		w.deal(answering, i, began)
	}
	w.batch.send(func(to netip.AddrPort, err error) {
		w.server.refused(udp, Unsent, to, "error", err)
	})
	w.next.memory.close()
	w.counts.tell(began)
}

// deal deals with one packet. A panic costs no other.
func (w *worker) deal(answering context.Context, i int, began time.Time) {
	defer func() {
		if fault := recover(); fault != nil {
			w.server.panicked(udp, fault)
		}
	}()
	d := w.next
	d.began = began
	d.arrive(w.batch.peer(i), w.batch.control(i))
	became := w.server.receive(answering, w.batch.packet(i), d, w.batch.room())
	switch {
	case became.taken:
		w.next = w.server.datagram(w.socket)
		w.next.memory.open(w.server.remembered, began)
	case became.reply != nil:
		w.batch.reply(i, len(became.reply), d.reply)
		w.counts.add(became.tally)
	}
}

// counts are the queries of a batch that were answered from memory, by kind: to
// count many at once is cheaper, and most are of the same kind.
type counts struct {
	kinds int
	of    [batchSize]struct {
		tally   memo.Tally
		queries int
	}
}

func (c *counts) add(tally memo.Tally) {
	for i := range c.of[:c.kinds] {
		if c.of[i].tally == tally {
			c.of[i].queries++
			return
		}
	}
	c.of[c.kinds].tally, c.of[c.kinds].queries = tally, 1
	c.kinds++
}

// tell passes the counts on and begins anew.
func (c *counts) tell(began time.Time) {
	if c.kinds == 0 {
		return
	}
	took, kinds := time.Since(began), c.kinds
	c.kinds = 0
	for i := range c.of[:kinds] {
		c.of[i].tally.Add(c.of[i].queries, took)
	}
}
