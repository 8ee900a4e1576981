//go:build !linux

package udpio

import "net"

// NeverFragment does nothing: the option it needs is Linux's own.
func NeverFragment(*net.UDPConn, bool) {}
