//go:build !portable

package listen

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pldns/resolver/udpio"
)

const (
	// patience is how long a reader waits in the system, holding a processor of the
	// Go runtime, before it goes to wait with all others. The collector does not
	// wait for it: its signals end such a wait.
	patience = 10 * time.Millisecond
	// sendPatience is how long a packet may wait for room in the system.
	sendPatience = time.Second
)

// packetConn is a UDP socket that the poller of the Go runtime does not know: it
// would be woken by every packet that a reader in the system is woken by. Calls on
// it wait, unless they say otherwise. Its worker waits for it and for more.
type packetConn struct {
	mu      sync.RWMutex // held for reading by whoever uses the socket
	fd      int          // -1 when it is closed
	worker  *udpio.Worker
	ended   atomic.Bool           // nobody is to read it any longer
	waiting atomic.Int64          // queries that it brought and that are pending
	woken   atomic.Pointer[query] // those of them that can go on, the last that was woken first
}

// newPacketConn takes a socket over. The one it was is closed.
func newPacketConn(conn *net.UDPConn) (*packetConn, error) {
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &packetConn{fd: -1}
	var failed error
	err = raw.Control(func(fd uintptr) {
		c.fd, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) // -1 when it fails
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	if err := c.prepare(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// prepare sets how long calls wait, and makes the worker.
func (c *packetConn) prepare() (err error) {
	receive, send := unix.NsecToTimeval(int64(patience)), unix.NsecToTimeval(int64(sendPatience))
	err = errors.Join(
		unix.SetNonblock(c.fd, false),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &receive),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &send),
	)
	if err != nil {
		return err
	}
	if c.worker, err = udpio.NewWorker(c.posted); err != nil {
		return err
	}
	return c.worker.Client(c.fd)
}

// use calls do with the socket, which stays open meanwhile.
func (c *packetConn) use(do func(fd int)) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	do(c.fd)
	return nil
}

// stop ends the reading. It goes on with the queries that are pending.
func (c *packetConn) stop() {
	c.ended.Store(true)
	c.worker.Wake()
}

// SetReadDeadline has reading fail from a time on.
func (c *packetConn) SetReadDeadline(at time.Time) error { return c.worker.SetDeadline(at) }

// posted tells whether the worker has something to do that no socket tells of.
func (c *packetConn) posted() bool {
	return c.woken.Load() != nil || c.ended.Load() && c.waiting.Load() == 0
}

// batches is the worker that decides what comes to the socket; nil for nobody. There may
// be no socket.
func (c *packetConn) batches() *udpio.Worker {
	if c == nil {
		return nil
	}
	return c.worker
}

// post has the worker go on with a query that was woken: it alone decides what its socket
// has brought. It is false if there is no worker.
func (c *packetConn) post(q *query) bool {
	if c == nil {
		return false
	}
	for {
		last := c.woken.Load()
		q.wait.before = last
		if c.woken.CompareAndSwap(last, q) {
			c.worker.Wake()
			return true
		}
	}
}

// entered says that one more query is pending, and left that one less is.
func (c *packetConn) entered() {
	if c != nil {
		c.waiting.Add(1)
	}
}

func (c *packetConn) left() {
	if c == nil {
		return
	}
	if c.waiting.Add(-1) == 0 && c.ended.Load() {
		c.worker.Wake()
	}
}

// control calls do with the socket, which stays open meanwhile, and passes on its error.
func (c *packetConn) control(do func(fd int) error) error {
	var failed error
	err := c.use(func(fd int) { failed = do(fd) })
	return errors.Join(err, failed)
}

// Close closes the socket when nobody uses it any more.
func (c *packetConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	if c.worker != nil {
		c.worker.Retire()
	}
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}

// send sends one packet with a control message, which may be empty, and waits for room
// in the system, for a while.
func (c *packetConn) send(packet, control []byte, to netip.AddrPort) error {
	return c.sendPacket(packet, control, to, sendPatience)
}

// sendNow is send without a wait.
func (c *packetConn) sendNow(packet, control []byte, to netip.AddrPort) error {
	return c.sendPacket(packet, control, to, 0)
}

func (c *packetConn) sendPacket(packet, control []byte, to netip.AddrPort, patience time.Duration) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	var name unix.RawSockaddrInet6
	part := unix.Iovec{Base: unsafe.SliceData(packet)}
	part.SetLen(len(packet))
	head := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&name)), Namelen: putAddress(&name, to), Iov: &part}
	head.SetIovlen(1)
	if len(control) > 0 {
		head.Control = unsafe.SliceData(control)
		head.SetControllen(len(control))
	}
	// As a rule there is room, and the scheduler need not be told of a call that
	// does not wait.
	_, _, err := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&head)), unix.MSG_DONTWAIT)
	for err == unix.EAGAIN && patience > 0 || err == unix.EINTR {
		if _, _, err = unix.Syscall(unix.SYS_SENDMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&head)), 0); err == unix.EAGAIN {
			break // in all of sendPatience
		}
	}
	if err != 0 {
		return os.NewSyscallError("sendmsg", err)
	}
	return nil
}

// putAddress writes an address as the system wants it and gives its length.
func putAddress(name *unix.RawSockaddrInet6, addr netip.AddrPort) uint32 {
	if addr.Addr().Is4() {
		name4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		name4.Family, name4.Addr = unix.AF_INET, addr.Addr().As4()
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name4.Port))[:], addr.Port())
		return unix.SizeofSockaddrInet4
	}
	zone, _ := strconv.ParseUint(addr.Addr().Zone(), 10, 32) // a number, as peer gives it
	name.Family, name.Addr, name.Scope_id = unix.AF_INET6, addr.Addr().As16(), uint32(zone)
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], addr.Port())
	return unix.SizeofSockaddrInet6
}
