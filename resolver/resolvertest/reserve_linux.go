package resolvertest

import (
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ClosedAddr is a loopback address on which nothing listens, so that UDP and TCP are
// refused there. Nobody else gets its port until the test ends: there is a socket that
// does not listen, and one that is connected to itself. Who is to listen after all has
// to be [beside] them.
func ClosedAddr(tb testing.TB) netip.AddrPort {
	tb.Helper()
	at := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	for {
		at.Port = 0
		udp, err := boundTo(at, unix.SOCK_DGRAM)
		if err == nil {
			err = unix.Connect(udp, at)
		}
		if err != nil {
			tb.Fatalf("reserve a port: %v", err)
		}
		tb.Cleanup(func() { _ = unix.Close(udp) })
		tcp, err := boundTo(at, unix.SOCK_STREAM)
		if err == unix.EADDRINUSE {
			continue
		} else if err != nil {
			tb.Fatalf("reserve port %d over TCP: %v", at.Port, err)
		}
		tb.Cleanup(func() { _ = unix.Close(tcp) })
		return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port))
	}
}

// boundTo makes a socket that is bound to an address, alone, and lets others be [beside]
// it from then on. Port 0 becomes the one that it has.
func boundTo(at *unix.SockaddrInet4, kind int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := bind(fd, at); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func bind(fd int, at *unix.SockaddrInet4) error {
	if err := unix.Bind(fd, at); err != nil {
		return err
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	at.Port = bound.(*unix.SockaddrInet4).Port
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
}

// beside lets a socket listen at an address that is reserved.
func beside(_, _ string, socket syscall.RawConn) (err error) {
	refused := socket.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	if refused != nil {
		return refused
	}
	return err
}
