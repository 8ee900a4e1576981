//go:build !portable

package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pldns/resolver/listen/replycache"
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
	if first.conn.control(reusePort) != nil {
		return bound, nil // a system that cannot share: one reader has to do
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = reusePort(int(fd)) })
		return errors.Join(err, failed)
	}}
	for len(bound) < readers {
		next, err := bindUDP(netip.AddrPortFrom(addr.Addr(), first.local.Port()), config)
		if err != nil {
			return bound, err
		}
		bound = append(bound, next)
	}
	return bound, nil
}

// reusePort lets a socket share its address with others of the same user.
func reusePort(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }

// spare lets the readers hold processors of the Go runtime, until the function that it
// gives is called.
func (s *Server) spare() (end func()) {
	if s.holders.extra == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.holders.run(ctx)
	}()
	return func() { cancel(); <-ended }
}

const (
	// busyGap is how far apart the packets of a busy reader are at most.
	busyGap = 2 * time.Millisecond
	// turn is for how long a busy reader goes on before it lets the scheduler choose
	// anew, which it does when it has just answered: after 10 ms the runtime would make
	// it, by a signal in the middle of anything.
	turn = 8 * time.Millisecond
)

// worker reads a socket in batches and answers from memory in batches. What is
// not in memory goes the way of every query.
type worker struct {
	server *Server
	socket *udpSocket
	fd     int
	batch  *batch
	next   *query // for the next packet
	x      *scratch
	counts counts

	began     time.Time     // when the last batch was read
	yielded   time.Time     // when the scheduler last had its choice
	busy      bool          // it came soon after the one before
	holding   bool          // a processor of the Go runtime, while waiting
	expecting bool          // news of packets
	read      int           // by try
	err       syscall.Errno // of try
	try       func(uintptr) bool
}

// readPackets reads packets until ctx ends; it is true if a panic ended it.
func (s *Server) readPackets(ctx context.Context, socket *udpSocket) (again bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(udp, fault)
			again = true
		}
	}()
	_ = socket.conn.use(func(fd int) {
		w := &worker{server: s, socket: socket, fd: fd, batch: newBatch(socket.wildcard), next: s.query(), x: newScratch()}
		w.try = func(uintptr) bool { // made once, because a closure is garbage
			w.read, w.err = w.batch.receive(w.fd, unix.MSG_DONTWAIT)
			return w.err != unix.EAGAIN
		}
		defer w.letGo()
		w.work(ctx)
	})
	return false
}

// work reads and answers until ctx ends.
func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		read, err := w.receive()
		switch {
		case err == nil:
			w.answer(read)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			w.server.troubled(ctx, "cannot read from a socket", w.socket.local, err)
		}
	}
}

// receive waits for packets and tells how many it has read. A busy reader waits in
// the system, as long as there are processors of the Go runtime to hold: to the
// poller and back costs several times as much as the packet itself.
func (w *worker) receive() (int, error) {
	if w.busy && !w.holding {
		w.holding = w.server.holders.enter()
	}
	if !w.holding {
		return w.await()
	}
	if err := w.expect(false); err != nil {
		return 0, err
	}
	read, err := w.batch.receive(w.fd, unix.MSG_WAITFORONE)
	switch err {
	case 0:
		return read, nil
	case unix.EAGAIN: // nothing came in all of patience
		w.busy = false
		w.letGo()
	}
	return 0, err
}

// await waits in the poller.
func (w *worker) await() (int, error) {
	if err := w.expect(true); err != nil {
		return 0, err
	}
	if err := w.socket.conn.await(w.try); err != nil {
		return 0, err
	}
	if w.err != 0 {
		return 0, w.err
	}
	return w.read, nil
}

// expect has the poller learn of packets, or not any more.
func (w *worker) expect(packets bool) error {
	if w.expecting == packets {
		return nil
	}
	w.expecting = packets
	return w.socket.conn.expect(w.fd, packets)
}

// letGo gives the processor back.
func (w *worker) letGo() {
	if w.holding {
		w.holding = false
		w.server.holders.leave()
	}
}

// answer deals with the packets of one batch.
func (w *worker) answer(read int) {
	began := time.Now()
	w.busy, w.began = began.Sub(w.began) < busyGap, began
	w.x.memory.open(w.server, began)
	for i := range read {
		w.deal(i, began)
	}
	w.batch.send(w.fd, func(to netip.AddrPort, err error) {
		w.server.refused(udp, Unsent, to, "error", err)
	})
	w.x.tidy()
	w.counts.tell(began)
	if w.holding && began.Sub(w.yielded) > turn {
		runtime.Gosched()
		w.yielded = began
	}
}

// deal deals with one packet. A panic costs no other.
func (w *worker) deal(i int, began time.Time) {
	defer func() {
		if fault := recover(); fault != nil {
			w.server.panicked(udp, fault)
		}
	}()
	q := w.next
	q.began, w.x.room = began, w.batch.room()
	out := w.server.receive(q, w.x, w.socket, w.batch.packet(i), w.batch.peer(i), w.batch.control(i))
	if out.taken {
		w.next = w.server.query()
	}
	switch {
	case out.waits:
	case out.reply == nil:
		w.server.told(q, w.x, nil)
	case out.tally != nil:
		w.batch.reply(i, len(out.reply), q.control)
		w.counts.add(out.tally)
	case q.sample.tap != nil:
		w.server.sendUDP(q, w.socket, out.reply)
		w.server.told(q, w.x, out.reply)
	default:
		w.batch.reply(i, copy(w.x.room, out.reply), q.control)
		w.server.told(q, w.x, out.reply)
	}
}

// counts are the queries of a batch that were answered from memory, by kind: to
// count many at once is cheaper, and most are of the same kind.
type counts struct {
	kinds int
	of    [batchSize]struct {
		tally   replycache.Tally
		queries int
	}
}

func (c *counts) add(tally replycache.Tally) {
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
