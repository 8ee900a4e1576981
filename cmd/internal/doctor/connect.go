package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"
)

// dial makes a TCP connection within the time of a step.
func dial(ctx context.Context, to netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}

// dialFault says why there is no connection, and what to look at.
func dialFault(to netip.AddrPort, err error, timeout time.Duration) (seen, remedy string) {
	switch {
	case isTimeout(err):
		return fmt.Sprintf("%s does not answer within %s", to, timeout),
			"check that the route to this address goes into the tunnel or the peering, and that no network security group or firewall " +
				"drops it"
	case isRefused(err):
		return fmt.Sprintf("%s refuses connections", to),
			"check that the address is that of this private endpoint; if the service listens elsewhere, name its port with --port"
	case isErrno(err, syscall.ENETUNREACH, 10051), isErrno(err, syscall.EHOSTUNREACH, 10065):
		return fmt.Sprintf("there is no route to %s", to),
			"connect the VPN, and add the prefix of the endpoint's subnet to its routes (download the profile again after that)"
	default:
		return fmt.Sprintf("%s cannot be reached: %s", to, foreign(err.Error())), "check the route to this address"
	}
}

// isRefused tells whether an error says that nothing listens there.
func isRefused(err error) bool { return isErrno(err, syscall.ECONNREFUSED, 10061) }

// isReset tells whether an error says that the other side broke a connection off.
func isReset(err error) bool { return isErrno(err, syscall.ECONNRESET, 10054) }

// isErrno tells whether an error is one of the system: by its number, and on
// Windows by the one that Winsock has for it.
func isErrno(err error, number syscall.Errno, winsock uintptr) bool {
	var got syscall.Errno
	return errors.As(err, &got) && (got == number || runtime.GOOS == "windows" && uintptr(got) == winsock)
}

// isTimeout tells whether an error says that time ran out.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}
