//go:build !linux

package resolvertest

import (
	"net/netip"
	"syscall"
	"testing"
)

// ClosedAddr is a loopback address on which nothing listens, so that UDP and TCP are
// refused there. Other systems than Linux do not hold a port for nobody: somebody else may
// take it for a while.
func ClosedAddr(tb testing.TB) netip.AddrPort {
	tb.Helper()
	return FreeAddr(tb)
}

// beside changes nothing.
func beside(string, string, syscall.RawConn) error { return nil }
