//go:build !portable

package forward

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"pldns/resolver"
	"pldns/resolver/timers"
	"pldns/resolver/udpio"
)

// socketPool is the sockets over which one server is asked by one worker, who reads them,
// or by everybody else: then it has a worker of its own. It is there while it is kept, and
// not before it is needed.
type socketPool struct {
	server *server
	limit  *SocketLimit
	size   int          // how many places there are
	idle   timers.Alarm // when to look for sockets that nobody uses
	every  time.Duration
	unused time.Duration // after which a socket is closed

	mu     sync.Mutex
	kept   bool
	joined bool // the worker has it

	opened   atomic.Bool  // places may be taken
	users    count        // who may still need the worker
	sockets  atomic.Int64 // how many are open
	sweeping atomic.Bool  // the alarm is set
	places   []atomic.Pointer[socket]
	worker   *udpio.Worker // who reads; nil as long as it is to be one of its own
	number   int           // among the sets of the worker
	out      *outbox       // what is to be sent at the end of the batch; the worker's alone, nil between batches
}

// newSocketPool makes an empty pool, for a worker or, if that is nil, for everybody.
func newSocketPool(s *server, limit *SocketLimit, worker *udpio.Worker) *socketPool {
	sp := &socketPool{server: s, limit: limit, size: poolPlaces, every: sweepEvery, unused: socketIdle, worker: worker}
	sp.idle.Rings = sp
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

// enter makes sure that the sockets are read until leave, or is false if there are to
// be none.
func (sp *socketPool) enter() bool {
	sp.users.add()
	if sp.opened.Load() || sp.begin() {
		return true
	}
	sp.users.done()
	return false
}

// leave is the end of what enter began.
func (sp *socketPool) leave() { sp.users.done() }

// begin has the sockets read, if the pool is kept.
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
	sp.opened.Store(true)
	return true
}

// prepare makes what is needed to read.
func (sp *socketPool) prepare() (err error) {
	own := sp.worker == nil
	if own {
		if sp.worker, err = udpio.NewWorker(func() bool { return false }); err != nil {
			sp.worker = nil
			return err
		}
	}
	sp.places = make([]atomic.Pointer[socket], sp.size)
	if sp.number, err = sp.worker.Join(sp); err == nil {
		sp.joined = true
	}
	if own {
		sp.worker.Retire() // which has it read by a goroutine of its own
	}
	return err
}

// close stops keeping sockets, and returns when all are closed: those in use when
// their last query has ended.
func (sp *socketPool) close() {
	sp.mu.Lock()
	sp.kept = false
	joined := sp.joined
	sp.joined = false
	sp.opened.Store(false)
	sp.mu.Unlock()
	if !joined {
		return
	}
	sp.users.wait()
	sp.each(func(*socket) bool { return true })
	sp.worker.Leave(sp.number)
	sp.server.pool.timers.Stop(&sp.idle)
	sp.sweeping.Store(false)
}

// send sends the query for q on a socket of the pool. The error is errNoSocket if
// none can be had.
func (sp *socketPool) send(p *pendingQuery, q resolver.Question, o queryOptions, now time.Time) error {
	if !sp.enter() {
		return errNoSocket
	}
	buffer := sp.server.buffers.Get().(*[receiveSize]byte)
	err := sp.post(p, q, o, buffer[:], now)
	sp.server.buffers.Put(buffer)
	if err != nil {
		sp.leave()
	}
	return err
}

func (sp *socketPool) post(p *pendingQuery, q resolver.Question, o queryOptions, room []byte, now time.Time) error {
	sk := sp.take(now)
	if sk == nil {
		return errNoSocket
	}
	defer sk.mu.Unlock()
	if err := sp.write(sk, p, q, o, room, now); err != nil {
		return err
	}
	if err := sk.send(p.packet); err != nil {
		return &Failure{sp.server.Text, Unreachable, err}
	}
	sp.expect(sk, p, now)
	return nil
}

// write writes a query that leaves from a socket, which is locked.
func (sp *socketPool) write(sk *socket, p *pendingQuery, q resolver.Question, o queryOptions, room []byte, now time.Time) error {
	var cookie []byte
	if !o.noEDNS {
		cookie = sp.server.cookies.appendFor(p.cookie[:0], sk.local, o.noCookie, now)
	}
	if err := p.write(q, o, cookie, room); err != nil {
		return err
	}
	id := p.packet[:2]
	for slices.ContainsFunc(sk.waiting, func(other *pendingQuery) bool { return bytes.Equal(other.packet[:2], id) }) {
		_, _ = rand.Read(id) // never fails, by its documentation
	}
	return nil
}

// expect has a query wait at a socket, which is locked, for its reply.
func (sp *socketPool) expect(sk *socket, p *pendingQuery, now time.Time) {
	p.packet = append(p.room[:0], p.packet[:p.question]...) // what its reply is compared with
	p.socket, p.over = sk, sp
	sk.uses++
	sk.used = now
	sk.waiting = append(sk.waiting, p)
	sp.worker.Expect(1)
}

// gone is the end of a query that waited, which enter and expect began.
func (sp *socketPool) gone() {
	sp.worker.Expect(-1)
	sp.leave()
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
		if sk := sp.fill(at, now); sk != nil {
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

// fill puts a new socket in an empty place, and gives it locked; nil if somebody else
// has, or none can be opened.
func (sp *socketPool) fill(at int, now time.Time) *socket {
	if !sp.limit.take(sp.sockets.Load()) {
		return nil
	}
	sk, err := openSocket(sp.server.Addr)
	if err != nil {
		sp.limit.give()
		return nil
	}
	sp.sockets.Add(1)
	sk.at, sk.serial, sk.born = int32(at), sp.worker.Serial(), now
	sk.mu.Lock()
	if !sp.places[at].CompareAndSwap(nil, sk) || sp.worker.Watch(sk.fd, sp.number, at, sk.serial) != nil {
		sp.shut(sk)
		sk.mu.Unlock()
		return nil
	}
	sp.sweepLater(now)
	return sk
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
		sp.server.pool.timers.Set(&sp.idle, now.Add(sp.every))
	}
}

// Ring sweeps the pool, as long as there are any sockets.
func (sp *socketPool) Ring(now time.Time) {
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
	if !p.socket.giveUp(p) {
		return false
	}
	sp.gone()
	return true
}

func (sp *socketPool) settleFor(p *pendingQuery) (reading, bool) {
	p.socket.mu.Lock()
	defer p.socket.mu.Unlock()
	if !p.doubted() || !p.socket.giveUp(p) {
		return reading{}, false
	}
	sp.gone()
	return p.doubt, true
}

// Ready reads the packets of the socket in a place, or learns what is wrong with it.
func (sp *socketPool) Ready(place int, serial int32, in *udpio.Inbox) {
	sk := sp.places[place].Load()
	if sk == nil || sk.serial != serial {
		return // it has been replaced since
	}
	read, all, r := sp.read(sk, in)
	now := time.Time{}
	if read > 0 {
		now = time.Now()
	}
	for i := 0; ; i++ {
		for _, p := range all {
			p.told(r)
			sp.gone()
		}
		if i == read {
			return
		}
		var one *pendingQuery
		if one, all, r = sp.hear(sk, in.Packet(i), now); one != nil {
			one.attempt.exchange.heard(one, r, now)
			sp.gone()
		}
	}
}

// read reads the packets of a socket, and gives the queries that are to be told what is
// wrong with it.
func (sp *socketPool) read(sk *socket, in *udpio.Inbox) (read int, all []*pendingQuery, r reading) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.closed {
		return 0, nil, reading{}
	}
	read, errno := in.Read(sk.fd, len(sk.waiting))
	if errno == 0 || errno == unix.EAGAIN || errno == unix.EINTR {
		return read, nil, reading{}
	}
	all, sk.waiting = sk.waiting, nil
	return 0, all, reading{err: &Failure{sp.server.Text, Unreachable, errno}}
}

// hear takes a packet of a socket, and gives the query, or the queries, that are to be
// told what it says.
func (sp *socketPool) hear(sk *socket, packet []byte, now time.Time) (one *pendingQuery, all []*pendingQuery, r reading) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if p, found := sk.asks(packet); p != nil {
		r, worth := sp.server.hear(p, found, packet, now)
		if !r.empty() {
			sk.remove(p)
			return p, nil, r
		}
		if worth != stray {
			return nil, nil, reading{}
		}
	}
	if sk.comesLate(packet) {
		return nil, nil, reading{}
	}
	all, flooded := sk.stray()
	if flooded {
		sp.shut(sk)
		sp.server.suspect(NearMiss)
	}
	return nil, all, reading{err: errSuspect}
}
