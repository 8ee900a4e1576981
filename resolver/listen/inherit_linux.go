package listen

import (
	"os"

	"golang.org/x/sys/unix"
)

// takesIPv4 tells whether an IPv6 socket takes IPv4 in, with addresses that are
// mapped. That cannot be changed once it is bound.
func takesIPv4(file *os.File) bool {
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	only := 1
	_ = raw.Control(func(fd uintptr) {
		if value, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); err == nil {
			only = value
		}
	})
	return only == 0
}
