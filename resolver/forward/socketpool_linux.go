//go:build !portable

package forward

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

// socketPool is the sockets over which one server is asked, all read by one
// goroutine. It is there while it is kept, and not before it is needed.
type socketPool struct {
	server *server
	limit  *SocketLimit
	size   int   // how many places there are
	idle   alarm // when to look for sockets that nobody uses
	every  time.Duration
	unused time.Duration // after which a socket is closed

	mu    sync.Mutex
	kept  bool
	ended chan struct{} // closed when the reader has ended; nil if there is none

	opened   atomic.Bool  // places may be taken
	users    atomic.Int64 // who may still need the reader
	sockets  atomic.Int64 // how many are open
	serial   atomic.Uint32
	sweeping atomic.Bool // the alarm is set
	places   []atomic.Pointer[socket]
	poll     *os.File // the epoll instance that all sockets are in
	wait     syscall.RawConn
}

// newSocketPool makes an empty pool.
func newSocketPool(s *server, limit *SocketLimit) *socketPool {
	sp := &socketPool{server: s, limit: limit, size: poolPlaces, every: sweepEvery, unused: socketIdle}
	sp.idle.rings = sp
	return sp
}

// maxFiles is how many files the process may open.
func maxFiles() int64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	return int64(limit.Cur)
}

// keep allows the pool to be used.
func (sp *socketPool) keep() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.kept = sp.size > 0
}

// ready tells whether the pool is kept.
func (sp *socketPool) ready() bool {
	if sp.opened.Load() {
		return true
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return sp.kept
}

// enter makes sure that the reader stays until leave, or is false if there is to
// be none.
func (sp *socketPool) enter() bool {
	sp.users.Add(1)
	if sp.opened.Load() || sp.begin() {
		return true
	}
	sp.users.Add(-1)
	return false
}

// leave is the end of what enter began.
func (sp *socketPool) leave() { sp.users.Add(-1) }

// begin starts the reader, if the pool is kept.
func (sp *socketPool) begin() bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if !sp.kept || sp.opened.Load() {
		return sp.kept
	}
	if err := sp.prepare(); err != nil {
		sp.kept = false // every query has a socket of its own, and says what is wrong
		return false
	}
	sp.ended = make(chan struct{})
	sp.opened.Store(true)
	go sp.read(sp.ended) // waited for by close
	return true
}

// prepare makes what the reader needs.
func (sp *socketPool) prepare() error {
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
	sp.poll, sp.wait, sp.places = poll, wait, make([]atomic.Pointer[socket], sp.size)
	return nil
}

// close stops keeping sockets, and returns when all are closed: those in use when
// their last query has ended.
func (sp *socketPool) close() {
	sp.mu.Lock()
	sp.kept = false
	ended := sp.ended
	sp.ended = nil
	sp.opened.Store(false)
	sp.mu.Unlock()
	if ended == nil {
		return
	}
	_ = sp.poll.SetReadDeadline(time.Now())
	<-ended
	sp.server.pool.timers.stop(&sp.idle)
	sp.sweeping.Store(false)
}

// send sends the query for q on a socket of the pool. The error is errNoSocket if
// none can be had.
func (sp *socketPool) send(p *pendingQuery, q resolver.Question, o queryOptions) error {
	if !sp.enter() {
		return errNoSocket
	}
	buffer := sp.server.buffers.Get().(*[receiveSize]byte)
	err := sp.post(p, q, o, buffer[:])
	sp.server.buffers.Put(buffer)
	if err != nil {
		sp.leave()
	}
	return err
}

func (sp *socketPool) post(p *pendingQuery, q resolver.Question, o queryOptions, room []byte) error {
	now := time.Now()
	sk := sp.take(now)
	if sk == nil {
		return errNoSocket
	}
	defer sk.mu.Unlock()
	var cookie []byte
	if !o.noEDNS {
		cookie = sp.server.cookies.appendFor(p.cookie[:0], sk.local, o.noCookie, now)
	}
	if err := p.write(q, o, cookie, room); err != nil {
		return err
	}
	for sk.has(p.packet[:2]) {
		_, _ = rand.Read(p.packet[:2]) // never fails, by its documentation
	}
	if err := sk.send(p.packet); err != nil {
		return &Failure{sp.server.Text, Unreachable, err}
	}
	p.packet = append(p.room[:0], p.packet[:p.question]...) // what its reply is compared with
	p.socket, p.over = sk, sp
	sk.uses++
	sk.used = now
	sk.waiting = append(sk.waiting, p)
	return nil
}

// take draws a place and gives its socket, locked; nil if none can be had.
func (sp *socketPool) take(now time.Time) *socket {
	var draws [2 * placeDraws]byte
	_, _ = rand.Read(draws[:]) // never fails, by its documentation
	at := 0
	for left := placeDraws; left > 0; left-- {
		at = int(binary.BigEndian.Uint16(draws[2*left-2:])) % len(sp.places)
		sk := sp.places[at].Load()
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
				sp.shut(sk)
				sk.mu.Unlock()
			}
		}
		if sk := sp.replace(at, sk, now); sk != nil {
			return sk
		}
	}
	return sp.takeAny(at)
}

// takeAny gives the next socket that there is from a place on, locked; nil if there
// is none. It is for when no more can be opened.
func (sp *socketPool) takeAny(from int) *socket {
	for i := range sp.places {
		sk := sp.places[(from+i)%len(sp.places)].Load()
		if sk == nil {
			continue
		}
		sk.mu.Lock()
		if !sk.closed {
			return sk
		}
		sk.mu.Unlock()
	}
	return nil
}

// replace puts a new socket in the place of an old one, and gives it locked; nil if
// somebody else has, or none can be opened.
func (sp *socketPool) replace(at int, old *socket, now time.Time) *socket {
	if !sp.limit.take(sp.sockets.Load()) {
		return nil
	}
	sk, err := openSocket(sp.server.Addr)
	if err != nil {
		sp.limit.give()
		return nil
	}
	sp.sockets.Add(1)
	sk.at, sk.serial, sk.born = int32(at), int32(sp.serial.Add(1)), now
	sk.mu.Lock()
	if !sp.places[at].CompareAndSwap(old, sk) || sp.watch(sk) != nil {
		sp.shut(sk)
		sk.mu.Unlock()
		return nil
	}
	sp.sweepLater(now)
	return sk
}

// watch has a socket read.
func (sp *socketPool) watch(sk *socket) (err error) {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: sk.at, Pad: sk.serial}
	failed := sp.wait.Control(func(poll uintptr) {
		err = unix.EpollCtl(int(poll), unix.EPOLL_CTL_ADD, sk.fd, &event)
	})
	if failed != nil {
		return failed
	}
	return err
}

// shut closes a socket, which is locked. Nobody waits at it, or it has been told.
func (sp *socketPool) shut(sk *socket) {
	sp.places[sk.at].CompareAndSwap(sk, nil)
	if sk.close() {
		sp.sockets.Add(-1)
		sp.limit.give()
	}
}

// sweepLater sets the alarm for the next sweep, unless it is set.
func (sp *socketPool) sweepLater(now time.Time) {
	if sp.sweeping.CompareAndSwap(false, true) {
		sp.server.pool.timers.set(&sp.idle, now.Add(sp.every))
	}
}

// ring sweeps the pool, as long as there are any sockets.
func (sp *socketPool) ring(now time.Time) {
	sp.sweep(now)
	sp.sweeping.Store(false)
	if sp.opened.Load() && sp.sockets.Load() > 0 {
		sp.sweepLater(now)
	}
}

// sweep closes the sockets that are worn or that nobody uses.
func (sp *socketPool) sweep(now time.Time) {
	if !sp.opened.Load() || !sp.enter() {
		return
	}
	defer sp.leave()
	sp.each(func(sk *socket) bool {
		return len(sk.waiting) == 0 && (sk.worn(now) || now.Sub(sk.used) >= sp.unused)
	})
}

// each closes the sockets for which over is true.
func (sp *socketPool) each(over func(*socket) bool) {
	for i := range sp.places {
		sk := sp.places[i].Load()
		if sk == nil {
			continue
		}
		sk.mu.Lock()
		if over(sk) {
			sp.shut(sk)
		}
		sk.mu.Unlock()
	}
}

func (sp *socketPool) withdraw(p *pendingQuery) bool {
	p.socket.mu.Lock()
	defer p.socket.mu.Unlock()
	if !p.socket.remove(p) {
		return false
	}
	sp.leave()
	return true
}

func (sp *socketPool) settleFor(p *pendingQuery) (reading, bool) {
	p.socket.mu.Lock()
	defer p.socket.mu.Unlock()
	if !p.doubted() || !p.socket.remove(p) {
		return reading{}, false
	}
	sp.leave()
	return p.doubt, true
}

// readBatch is how many sockets with something to read are learnt of at once.
const readBatch = 128

// read reads the sockets until the pool is closed and nobody waits any more.
func (sp *socketPool) read(ended chan<- struct{}) {
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
	for sp.opened.Load() || sp.users.Load() > 0 {
		ready = 0
		if err := sp.wait.Read(learn); err != nil && !sp.opened.Load() {
			_ = sp.poll.SetReadDeadline(time.Now().Add(closingPause))
		}
		for _, event := range events[:ready] {
			sp.receive(sp.places[event.Fd].Load(), event.Pad, buffer[:])
		}
	}
	sp.each(func(*socket) bool { return true })
	_ = sp.poll.Close()
}

// receive reads one packet of a socket, or learns what is wrong with it.
func (sp *socketPool) receive(sk *socket, serial int32, buffer []byte) {
	if sk == nil || sk.serial != serial {
		return // it has been replaced since
	}
	p, told, r := sp.hear(sk, buffer)
	if p != nil {
		p.told(r)
		sp.leave()
	}
	for _, p := range told {
		p.told(r)
		sp.leave()
	}
}

// hear reads one packet of a socket, and gives the query, or the queries, that are
// to be told what it says.
func (sp *socketPool) hear(sk *socket, buffer []byte) (one *pendingQuery, all []*pendingQuery, r reading) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	n, err := sk.receive(buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil, nil, reading{}
	case err != nil:
		all, sk.waiting = sk.waiting, nil
		return nil, all, reading{err: &Failure{sp.server.Text, Unreachable, err}}
	}
	if p := sk.asks(buffer[:n]); p != nil {
		r, worth := sp.server.hear(p, buffer[:n])
		if !r.empty() {
			sk.remove(p)
			return p, nil, r
		}
		if worth != stray {
			return nil, nil, reading{}
		}
	}
	all, flooded := sk.stray()
	if flooded {
		sp.shut(sk)
		sp.server.suspect(NearMiss)
	}
	return nil, all, reading{err: errSuspect}
}
