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
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
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
// it wait, unless they say otherwise. A reader for whom waiting there is too dear
// waits for news, which the poller does know.
type packetConn struct {
	mu   sync.RWMutex // held for reading by whoever uses the socket
	fd   int          // -1 when it is closed
	news *os.File     // an epoll instance that holds the socket
	poll syscall.RawConn
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

// prepare sets how long calls wait, and makes the epoll instance.
func (c *packetConn) prepare() error {
	receive, send := unix.NsecToTimeval(int64(patience)), unix.NsecToTimeval(int64(sendPatience))
	err := errors.Join(
		unix.SetNonblock(c.fd, false),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &receive),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &send),
	)
	if err != nil {
		return err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(epoll, true); err != nil { // what the poller is to know must say so
		return errors.Join(err, unix.Close(epoll))
	}
	c.news = os.NewFile(uintptr(epoll), "epoll")
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	if err := c.news.SetReadDeadline(time.Time{}); err != nil {
		return err // it is not in the poller
	}
	c.poll, err = c.news.SyscallConn()
	return err
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

// SetReadDeadline ends the wait for news at a time.
func (c *packetConn) SetReadDeadline(at time.Time) error { return c.news.SetReadDeadline(at) }

// control calls do with the socket, which stays open meanwhile, and passes on its error.
func (c *packetConn) control(do func(fd int) error) error {
	var failed error
	err := c.use(func(fd int) { failed = do(fd) })
	return errors.Join(err, failed)
}

// await calls try until it is true: now, and whenever there may be a packet since
// expect was called. It ends early with an error when the deadline is over or the
// socket is closed.
func (c *packetConn) await(try func(uintptr) bool) error { return c.poll.Read(try) }

// expect has await learn of packets, or not any more.
func (c *packetConn) expect(fd int, packets bool) error {
	var event unix.EpollEvent
	if packets {
		event.Events = unix.EPOLLIN
	}
	var failed error
	err := c.poll.Control(func(epoll uintptr) {
		failed = unix.EpollCtl(int(epoll), unix.EPOLL_CTL_MOD, fd, &event)
	})
	return errors.Join(err, os.NewSyscallError("epoll_ctl", failed))
}

// Close closes the socket when nobody uses it any more.
func (c *packetConn) Close() error {
	if c.news != nil {
		_ = c.news.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return net.ErrClosed
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
