//go:build !portable

package udpio

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Patience is how long a reader waits in the system, holding a processor of the
	// Go runtime, before it goes to wait with all others. The collector does not
	// wait for it: its signals end such a wait.
	Patience = 10 * time.Millisecond
	// sendPatience is how long a packet may wait for room in the system.
	sendPatience = time.Second
)

// Conn is a UDP socket that the poller of the Go runtime does not know: it
// would be woken by every packet that a reader in the system is woken by. Calls on
// it wait, unless they say otherwise. Its worker waits for it and for more.
type Conn struct {
	Worker *Worker
	mu     sync.RWMutex // held for reading by whoever uses the socket
	fd     int          // -1 when it is closed
}

// TakeOver makes a socket a Conn with a worker, which [NewWorker] would make of posted.
// The one it was is closed. It is an error if the system refuses a descriptor.
func TakeOver(conn *net.UDPConn, posted func() bool) (*Conn, error) {
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &Conn{fd: -1}
	var failed error
	err = raw.Control(func(fd uintptr) {
		c.fd, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) // -1 when it fails
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	if err := c.prepare(posted); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// prepare sets how long calls wait, and makes the worker.
func (c *Conn) prepare(posted func() bool) (err error) {
	receive, send := unix.NsecToTimeval(int64(Patience)), unix.NsecToTimeval(int64(sendPatience))
	err = errors.Join(
		unix.SetNonblock(c.fd, false),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &receive),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &send),
	)
	if err != nil {
		return err
	}
	if c.Worker, err = NewWorker(posted); err != nil {
		return err
	}
	return c.Worker.Client(c.fd)
}

// Use calls do with the socket, which stays open meanwhile. It is [net.ErrClosed] if it
// is closed already.
func (c *Conn) Use(do func(fd int)) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	do(c.fd)
	return nil
}

// Share lets the socket share its address with others of the same user. The error is the
// system's.
func (c *Conn) Share() error {
	var failed error
	err := c.Use(func(fd int) { failed = ReusePort(fd) })
	return errors.Join(err, failed)
}

// ReusePort lets a socket share its address with others of the same user. The error is
// the system's.
func ReusePort(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }

// Steer is [Steer] for a Conn. The error is the system's, or [net.ErrClosed].
func (c *Conn) Steer(alone bool) error {
	var failed error
	err := c.Use(func(fd int) { failed = Steer(fd, alone) })
	return errors.Join(err, failed)
}

// Steer has all packets that come to the address of a socket, which shares it with others,
// sent to the one of them that was bound first; or, if not alone, to all of them, by who
// sends them. What has come already stays where it is. The error is the system's.
func Steer(fd int, alone bool) error {
	socket := uint32(math.MaxUint32) // which there is not, so that the system chooses
	if alone {
		socket = 0
	}
	program := [1]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: socket}}
	return os.NewSyscallError("setsockopt", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}))
}

// Waiting tells whether there is a packet to be read.
func (c *Conn) Waiting() (waiting bool) {
	_ = c.Use(func(fd int) {
		size, err := unix.IoctlGetInt(fd, unix.SIOCINQ) // of the next packet
		waiting = err == nil && size > 0
	})
	return waiting
}

// Lost is how many packets to a socket have found no room so far, modulo 2^32; 0 where the
// system does not tell.
func Lost(fd int) uint32 {
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, _ = unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info[unix.SK_MEMINFO_DROPS]
}

// SetReadDeadline has the waits of the worker fail from a time on.
func (c *Conn) SetReadDeadline(at time.Time) error { return c.Worker.SetDeadline(at) }

// Close closes the socket when nobody uses it any more. It is [net.ErrClosed] if it is
// closed already.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	if c.Worker != nil {
		c.Worker.Retire()
	}
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}

// Send sends one packet with a control message, which may be empty, and waits for room in
// the system, for a while. The error is the system's, or [net.ErrClosed].
func (c *Conn) Send(packet, control []byte, to netip.AddrPort) error {
	return c.sendPacket(packet, control, to, sendPatience)
}

// SendNow is Send without a wait. Where there is no room, that is an error.
func (c *Conn) SendNow(packet, control []byte, to netip.AddrPort) error {
	return c.sendPacket(packet, control, to, 0)
}

func (c *Conn) sendPacket(packet, control []byte, to netip.AddrPort, patience time.Duration) error {
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
