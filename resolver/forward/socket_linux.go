//go:build !portable

package forward

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pldns/resolver/wire"
)

// socket is one socket of a pool. All but its name is read and changed under its
// lock, so that nobody uses the number of a file that has been closed.
type socket struct {
	at, serial int32      // its name: its place, and a number of its own
	local      netip.Addr // the address that queries leave from
	born       time.Time

	mu      sync.Mutex
	fd      int
	closed  bool
	uses    int
	used    time.Time
	strays  int             // packets that came while nobody waited
	waiting []*pendingQuery // one, or those of a batch, as a rule
	late    [][2]byte       // ids of queries that were given up: their replies may come yet
}

// openSocket opens a socket on a port drawn at random that only hears from addr.
func openSocket(addr netip.AddrPort) (*socket, error) {
	family, remote := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{
		Port: int(addr.Port()), Addr: addr.Addr().As16(), ZoneId: zoneID(addr.Addr().Zone())})
	if ip := addr.Addr().Unmap(); ip.Is4() {
		family, remote = unix.AF_INET, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: ip.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	sk := &socket{fd: fd}
	if err = bindAny(fd, family); err == nil {
		err = unix.Connect(fd, remote)
	}
	if err == nil {
		sk.local, err = localOf(fd)
	}
	if err != nil {
		sk.close()
		return nil, err
	}
	return sk, nil
}

// bindAny binds a socket to a port drawn at random; if several are taken, to one
// that the system chooses.
func bindAny(fd, family int) error {
	var draws [2 * portDraws]byte
	_, _ = rand.Read(draws[:]) // never fails, by its documentation
	for i := 0; i < len(draws); i += 2 {
		port := binary.BigEndian.Uint16(draws[i:])
		if port >= minPort && unix.Bind(fd, anyAddr(family, int(port))) == nil {
			return nil
		}
	}
	return unix.Bind(fd, anyAddr(family, 0))
}

func anyAddr(family, port int) unix.Sockaddr {
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: port}
	}
	return &unix.SockaddrInet6{Port: port}
}

// localOf is the address that a connected socket sends from.
func localOf(fd int) (netip.Addr, error) {
	name, err := unix.Getsockname(fd)
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(name.Addr), nil
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(name.Addr), nil
	}
	return netip.Addr{}, err
}

// zoneID is the number of the interface that the zone of an address names.
func zoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if link, err := net.InterfaceByName(zone); err == nil {
		return uint32(link.Index)
	}
	number, _ := strconv.ParseUint(zone, 10, 32)
	return uint32(number)
}

// worn tells whether the socket should be replaced.
func (sk *socket) worn(now time.Time) bool {
	return sk.uses >= socketUses || sk.strays > 0 || now.Sub(sk.born) > socketLife
}

// close closes the socket; false if it was closed already.
func (sk *socket) close() bool {
	if sk.closed {
		return false
	}
	sk.closed = true
	_ = unix.Close(sk.fd)
	return true
}

// send sends a packet. The call never waits, so the scheduler is not told of it.
// The error of an earlier packet may be reported in the place of sending this one;
// who waits for that one is told when it is not answered.
func (sk *socket) send(packet []byte) error {
	for range 2 {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(sk.fd), uintptr(unsafe.Pointer(&packet[0])),
			uintptr(len(packet)), unix.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			return nil
		}
		if errno != unix.ECONNREFUSED && errno != unix.EINTR {
			return errno
		}
	}
	return unix.ECONNREFUSED
}

// asks is the query that a packet may be the reply to, and what it is to that; nil if
// there is none.
func (sk *socket) asks(packet []byte) (*pendingQuery, verdict) {
	for _, p := range sk.waiting {
		if found := p.match(packet); found != foreign {
			return p, found
		}
	}
	return nil, foreign
}

// remove takes a query from those that wait; false if it is not among them.
func (sk *socket) remove(p *pendingQuery) bool {
	at := slices.Index(sk.waiting, p)
	if at < 0 {
		return false
	}
	sk.waiting = slices.Delete(sk.waiting, at, at+1)
	return true
}

// giveUp is remove for a query whose reply may still come.
func (sk *socket) giveUp(p *pendingQuery) bool {
	if !sk.remove(p) {
		return false
	}
	sk.late = append(sk.late, [2]byte(p.packet))
	return true
}

// comesLate tells whether a packet is the reply to a query that was given up, once for
// each. It says nothing of those that wait, and nobody is told what is in it.
func (sk *socket) comesLate(packet []byte) bool {
	if len(packet) < wire.HeaderSize || len(sk.late) == 0 {
		return false
	}
	at := slices.Index(sk.late, [2]byte(packet))
	if at < 0 {
		return false
	}
	sk.late = slices.Delete(sk.late, at, at+1)
	return true
}

// stray counts a packet that is nobody's reply: it gives the queries that have
// waited through too many of them, and tells whether too many came while nobody
// waited.
func (sk *socket) stray() (suspects []*pendingQuery, flooded bool) {
	if len(sk.waiting) == 0 {
		sk.strays++
		return nil, sk.strays == maxForeign && !sk.closed
	}
	sk.waiting = slices.DeleteFunc(sk.waiting, func(p *pendingQuery) bool {
		if p.strays++; p.strays >= maxForeign {
			suspects = append(suspects, p)
			return true
		}
		return false
	})
	return suspects, false
}
