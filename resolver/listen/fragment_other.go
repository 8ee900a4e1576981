//go:build !linux

package listen

import "net"

// neverFragment does nothing: the option it needs is Linux's own.
func neverFragment(*net.UDPConn, bool) {}
