//go:build !portable

package upstream

import (
	"crypto/rand"
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pldns/resolver"
)

// stock is the sockets over which one server is asked, all read by one goroutine.
// It is there while it is kept, and not before it is needed.
type stock struct {
	server *server
	limit  int // of places

	mu    sync.Mutex
	kept  bool
	ended chan struct{} // closed when the reader has ended; nil if there is none

	open    atomic.Bool  // places may be taken
	pending atomic.Int64 // who may still need the reader
	serial  atomic.Uint32
	places  []atomic.Pointer[socket]
	poll    *os.File // the epoll instance that all sockets are in
	wait    syscall.RawConn
}

// newStock makes an empty stock.
func newStock(s *server) *stock { return &stock{server: s, limit: stockSize} }

// keep allows the stock to be used.
func (st *stock) keep() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.kept = st.limit > 0
}

// ready tells whether the stock is kept.
func (st *stock) ready() bool {
	if st.open.Load() {
		return true
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.kept
}

// enter makes sure that the reader stays until leave, or is false if there is to
// be none.
func (st *stock) enter() bool {
	st.pending.Add(1)
	if st.open.Load() || st.begin() {
		return true
	}
	st.pending.Add(-1)
	return false
}

// leave is the end of what enter began.
func (st *stock) leave() { st.pending.Add(-1) }

// begin starts the reader, if the stock is kept.
func (st *stock) begin() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.kept || st.open.Load() {
		return st.kept
	}
	if err := st.prepare(); err != nil {
		st.kept = false // every query has a socket of its own, and says what is wrong
		return false
	}
	st.ended = make(chan struct{})
	st.open.Store(true)
	go st.read(st.ended) // waited for by close
	return true
}

// prepare makes what the reader needs.
func (st *stock) prepare() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return err
	}
	poll := os.NewFile(uintptr(fd), "epoll")
	wait, err := poll.SyscallConn()
	if err == nil {
		err = poll.SetReadDeadline(time.Time{}) // an error says that it cannot be waited for
	}
	if err != nil {
		_ = poll.Close()
		return err
	}
	st.poll, st.wait, st.places = poll, wait, make([]atomic.Pointer[socket], st.size())
	return nil
}

// size is how many places the stock has: not so many that the stocks of a few
// servers take all the files that the process may open.
func (st *stock) size() int {
	var limit unix.Rlimit
	n := st.limit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		for n > 1 && uint64(n)*16 > limit.Cur {
			n /= 2
		}
	}
	return n
}

// close stops keeping sockets, and returns when all are closed: those in use when
// their last question has ended.
func (st *stock) close() {
	st.mu.Lock()
	st.kept = false
	ended := st.ended
	st.ended = nil
	st.open.Store(false)
	st.mu.Unlock()
	if ended == nil {
		return
	}
	_ = st.poll.SetReadDeadline(time.Now())
	<-ended
}

// send sends the query for q in a certain manner, on a socket of the stock, for t
// to wait for its reply. After an error t is told nothing, else leave must be
// called when what it hears has been dealt with.
func (st *stock) send(t *ticket, q resolver.Question, m manners) error {
	if !st.enter() {
		return errNoStock
	}
	err := st.post(t, q, m)
	if err != nil {
		st.leave()
	}
	return err
}

func (st *stock) post(t *ticket, q resolver.Question, m manners) error {
	now := st.server.now()
	sk := st.take(now)
	if sk == nil {
		return errNoStock
	}
	defer sk.mu.Unlock()
	if !m.plain {
		m.cookie = st.server.cookies.appendFor(t.cookie[:0], sk.local, now)
	}
	if err := t.write(q, m); err != nil {
		return err
	}
	for sk.has(t.packet[:2]) {
		_, _ = rand.Read(t.packet[:2]) // never fails, by its documentation
	}
	if err := sk.send(t.packet); err != nil {
		return err
	}
	t.socket, t.slips = sk, 0
	sk.uses++
	sk.waiting = append(sk.waiting, t)
	return nil
}

// take draws a place and gives its socket, locked; nil if none can be had.
func (st *stock) take(now time.Time) *socket {
	var draws [2 * stockDraws]byte
	_, _ = rand.Read(draws[:]) // never fails, by its documentation
	for left := stockDraws; left > 0; left-- {
		at := int(binary.BigEndian.Uint16(draws[2*left-2:])) % len(st.places)
		sk := st.places[at].Load()
		if sk != nil {
			sk.mu.Lock()
			switch {
			case sk.closed:
				sk.mu.Unlock()
			case len(sk.waiting) > 0 && left > 1:
				sk.mu.Unlock()
				continue
			case !sk.worn(now) || len(sk.waiting) > 0:
				return sk
			default:
				sk.close()
				sk.mu.Unlock()
			}
		}
		if sk := st.replace(at, sk, now); sk != nil {
			return sk
		}
	}
	return nil
}

// replace puts a new socket in the place of an old one, and gives it locked; nil if
// somebody else has, or none can be opened.
func (st *stock) replace(at int, old *socket, now time.Time) *socket {
	sk, err := openSocket(st.server.Addr)
	if err != nil {
		return nil
	}
	sk.at, sk.serial, sk.born = int32(at), int32(st.serial.Add(1)), now
	sk.mu.Lock()
	if !st.places[at].CompareAndSwap(old, sk) || st.watch(sk) != nil {
		st.places[at].CompareAndSwap(sk, nil)
		sk.close()
		sk.mu.Unlock()
		return nil
	}
	return sk
}

// watch has a socket read.
func (st *stock) watch(sk *socket) (err error) {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: sk.at, Pad: sk.serial}
	failed := st.wait.Control(func(poll uintptr) {
		err = unix.EpollCtl(int(poll), unix.EPOLL_CTL_ADD, sk.fd, &event)
	})
	if failed != nil {
		return failed
	}
	return err
}

// sweep closes the sockets that are worn.
func (st *stock) sweep(now time.Time) {
	if !st.open.Load() || !st.enter() {
		return
	}
	defer st.leave()
	st.each(func(sk *socket) bool { return sk.worn(now) && len(sk.waiting) == 0 })
}

// each closes the sockets for which shut is true.
func (st *stock) each(shut func(*socket) bool) {
	for i := range st.places {
		sk := st.places[i].Load()
		if sk == nil {
			continue
		}
		sk.mu.Lock()
		if shut(sk) {
			st.places[i].CompareAndSwap(sk, nil)
			sk.close()
		}
		sk.mu.Unlock()
	}
}

// withdraw gives a ticket up: if it is true, nobody will be told anything.
func (st *stock) withdraw(t *ticket) bool {
	t.socket.mu.Lock()
	defer t.socket.mu.Unlock()
	return t.socket.remove(t)
}

const (
	// readBatch is how many sockets with something to read are learnt of at once.
	readBatch = 128
	// closingPause is how often a reader that is to end looks whether it may.
	closingPause = 5 * time.Millisecond
)

// read reads the sockets until the stock is closed and nobody waits any more.
func (st *stock) read(ended chan<- struct{}) {
	defer close(ended)
	var events [readBatch]unix.EpollEvent
	var buffer [receiveSize]byte
	ready := 0
	learn := func(poll uintptr) bool {
		n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, poll, uintptr(unsafe.Pointer(&events[0])), readBatch, 0, 0, 0)
		if ready = int(n); err != 0 {
			ready = 0
		}
		return ready > 0
	}
	for st.open.Load() || st.pending.Load() > 0 {
		ready = 0
		if err := st.wait.Read(learn); err != nil && !st.open.Load() {
			_ = st.poll.SetReadDeadline(time.Now().Add(closingPause))
		}
		for _, event := range events[:ready] {
			st.receive(st.places[event.Fd].Load(), event.Pad, buffer[:])
		}
	}
	st.each(func(*socket) bool { return true })
	_ = st.poll.Close()
}

// receive reads one packet of a socket, or learns what is wrong with it.
func (st *stock) receive(sk *socket, serial int32, buffer []byte) {
	if sk == nil || sk.serial != serial {
		return // it has been replaced since
	}
	sk.mu.Lock()
	n, err := sk.receive(buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		sk.mu.Unlock()
		return
	case err != nil:
		told := sk.waiting
		sk.waiting = nil
		sk.mu.Unlock()
		st.tell(told, reading{err: &Failure{st.server.Text, Unreachable, err}})
		return
	}
	t := sk.asks(buffer[:n])
	sk.mu.Unlock()
	if t != nil {
		if read, counts := st.server.judge(&t.query, buffer[:n]); counts {
			if st.withdraw(t) {
				t.to.heard(read)
			}
			return
		}
	}
	st.slip(sk)
}

// slip counts a packet that is nobody's reply.
func (st *stock) slip(sk *socket) {
	sk.mu.Lock()
	suspects, flooded := sk.slip()
	if flooded {
		st.places[sk.at].CompareAndSwap(sk, nil)
		sk.close()
	}
	sk.mu.Unlock()
	if flooded {
		st.server.suspect(NearMiss)
	}
	st.tell(suspects, reading{err: errSuspect})
}

func (st *stock) tell(tickets []*ticket, read reading) {
	for _, t := range tickets {
		t.to.heard(read)
	}
}
