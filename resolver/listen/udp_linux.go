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

	"pldns/resolver/udpio"
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
	if first.conn.Share() != nil {
		return bound, nil // a system that cannot share: one reader has to do
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = udpio.ReusePort(int(fd)) })
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

// takeOver makes conn the socket of u, with a worker.
func (u *udpSocket) takeOver(conn *net.UDPConn) (err error) {
	u.mail = new(mailbox)
	if u.conn, err = udpio.TakeOver(conn, u.mail.posted); err == nil {
		u.mail.worker = u.conn.Worker
	}
	return err
}

// stop ends the reading. What is pending is gone on with.
func (u *udpSocket) stop() { u.mail.stop() }

// spare adds processors to the Go runtime for the readers that hold one while they
// wait, so that there are as many as before for everything else. It gives what
// takes them off again.
func (s *Server) spare() (back func()) {
	if !s.config.Dedicated {
		return func() {}
	}
	processors := runtime.GOMAXPROCS(0)
	extra := min(len(s.sockets.udp), 2*processors)
	s.holders.limit = int64(extra)
	runtime.GOMAXPROCS(processors + extra)
	return func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) - extra) }
}

const (
	// busyGap is how far apart the packets of a busy reader are at most.
	busyGap = 2 * time.Millisecond
	// turn is for how long a busy reader goes on before it lets the scheduler choose
	// anew, which it does when it has just answered: after 10 ms the runtime would make
	// it, by a signal in the middle of anything.
	turn = 8 * time.Millisecond
)

// worker reads a socket in batches, and what those are asked who know what it does not.
// It sends in batches: answers from memory and answers that were waited for to clients,
// and questions to upstream servers.
type worker struct {
	server *Server
	socket *udpSocket
	io     *udpio.Worker
	fd     int
	mail   *mailbox
	batch  *udpio.Batch
	next   *query // for the next packet
	x      *scratch
	ready  *query // those of the woken that are to be gone on with, in order

	backlog backlog

	began   time.Time // when the last batch was read
	yielded time.Time // when the scheduler last had its choice
	busy    bool      // it came soon after the one before
	holding bool      // a processor of the Go runtime, while waiting
	polled  bool      // its thread may be the one that waited for the network
	ended   bool      // the socket is not read any longer
}

// readPackets reads packets until ctx ends, and answers those that it has read; it is
// true if a panic ended it.
func (s *Server) readPackets(ctx context.Context, socket *udpSocket) (again bool) {
	_ = socket.conn.Use(func(fd int) {
		w := &worker{
			server: s, socket: socket, io: socket.conn.Worker, fd: fd, mail: socket.mail,
			batch: udpio.NewBatch(socket.wildcard), next: s.query(), x: newScratch(),
		}
		w.x.worker = w
		defer w.io.Retire()
		defer w.letGo()
		for ctx.Err() == nil || w.mail.waiting.Load() > 0 {
			w.work(ctx)
		}
	})
	return false
}

// work reads and answers until ctx ends, or a panic ends a round: what it costs more
// than the packet or query that caused it is sent by the next.
func (w *worker) work(ctx context.Context) {
	defer func() {
		if fault := recover(); fault != nil {
			w.server.panicked(udp, fault)
		}
	}()
	for ctx.Err() == nil || w.mail.waiting.Load() > 0 {
		if ctx.Err() != nil && !w.ended {
			w.ended = true
			w.io.Forget(w.fd)
		}
		if w.ready != nil { // a panic was in the way
			w.answer(0)
			continue
		}
		read, err := w.receive()
		switch {
		case err == nil, errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case ctx.Err() != nil:
		default:
			w.server.troubled(ctx, "cannot read from a socket", w.socket.local, err)
		}
		w.answer(read)
	}
}

// receive waits for packets and tells how many of clients it has read; those of upstream
// servers have been dealt with. A busy worker waits in the system, as long as there are
// processors of the Go runtime to hold: to the poller and back costs several times as
// much as the packet itself. As long as none of its queries waits for the outside, it
// waits for its clients alone, which is a call less.
func (w *worker) receive() (int, error) {
	if w.busy && !w.holding {
		w.holding = w.server.holders.enter()
	}
	if w.holding && w.polled {
		w.polled = false
		go relieve()
	}
	clients, how, err := true, unix.MSG_DONTWAIT, error(nil)
	switch {
	case !w.holding:
		clients, err = w.io.Await()
		w.polled = true
	case w.mail.waiting.Load() > 0 || w.io.Expecting() || w.ended:
		var anything bool
		if clients, anything, err = w.io.Poll(udpio.Patience); !anything && err == nil {
			w.rest()
		}
	default:
		err, how = w.io.Alone(), unix.MSG_WAITFORONE
	}
	if !clients || w.ended || err != nil {
		return 0, err
	}
	read, errno := w.batch.Receive(w.fd, how)
	if errno == 0 {
		return read, nil
	}
	if errno == unix.EAGAIN && how == unix.MSG_WAITFORONE { // nothing came in all of patience
		w.rest()
	}
	return 0, errno
}

// rest is the end of a busy time.
func (w *worker) rest() {
	w.busy = false
	w.letGo()
}

// letGo gives the processor back.
func (w *worker) letGo() {
	if w.holding {
		w.holding = false
		w.server.holders.leave()
	}
}

// answer deals with the packets of one batch, and with the queries that can go on.
func (w *worker) answer(read int) {
	began := time.Now()
	w.busy, w.began = began.Sub(w.began) < busyGap, began
	if read > 0 {
		w.socket.spread.saw(w.socket, w.fd, read, began, &w.backlog)
		w.x.memory.open(w.server, began)
		for i := range read {
			w.deal(i, began)
		}
		w.x.memory.close()
	}
	w.goOn()
	w.io.Flush()
	w.send()
	w.x.counts.tell()
	if w.holding && began.Sub(w.yielded) > turn {
		thread := unix.Gettid()
		runtime.Gosched()
		w.yielded, w.polled = began, unix.Gettid() != thread // the same one has not waited meanwhile
	}
}

// relieve, started as a goroutine, has the scheduler put another thread to work. The Go
// runtime has one thread wait for the network. That is the one that runs whoever the
// network has woken, and it goes back as soon as he waits; but a worker that then waits in
// the system would keep it, and all that comes to other sockets would be seen only when
// the runtime looks by itself, after 10 ms.
func relieve() {}

// send sends the replies that are ready.
func (w *worker) send() {
	if w.batch.Waiting() {
		w.batch.Send(w.fd, w.unsent)
	}
}

func (w *worker) unsent(to netip.AddrPort, err error) {
	w.server.refused(udp, Unsent, to, "error", err)
}

// goOn goes on with the queries that were woken, in the order in which they were. Those
// that a panic keeps waiting have their turn in the next round.
func (w *worker) goOn() {
	for {
		if w.ready == nil {
			w.ready = w.mail.take()
		}
		if w.ready == nil {
			return
		}
		q := w.ready
		w.ready, q.wait.before = q.wait.before, nil
		w.server.proceed(q, w.x, w.server.settle)
	}
}

// deal deals with one packet. A panic costs no other.
func (w *worker) deal(i int, began time.Time) {
	defer func() {
		if fault := recover(); fault != nil {
			w.server.panicked(udp, fault)
		}
	}()
	if w.batch.Full() {
		w.send()
	}
	q := w.next
	q.began, w.x.out = began, w.batch.Room()
	out := w.server.receive(q, w.x, w.socket, w.batch.Packet(i), w.batch.Peer(i), w.batch.Control(i))
	if out.taken {
		w.next = w.server.query()
	}
	switch {
	case out.reply == nil: // or not yet
	case out.inScratch:
		w.batch.Reply(i, len(out.reply), q.peer, q.control)
	default:
		w.batch.Reply(i, copy(w.x.out, out.reply), q.peer, q.control)
	}
}

// deliver sends the reply to a query that was pending, with the batch; false if it has to
// leave at once.
func (w *worker) deliver(q *query, reply []byte) bool {
	if q.mail != w.mail || len(reply) > udpio.ReplyRoom {
		return false
	}
	if reply == nil {
		return true
	}
	if w.batch.Full() {
		w.send()
	}
	w.batch.ReplyLate(copy(w.batch.Room(), reply), q.peer, q.control)
	return true
}
