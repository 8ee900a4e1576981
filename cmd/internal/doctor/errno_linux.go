package doctor

import (
	"errors"
	"syscall"
)

// isNotAllowed tells whether an error says that no peer of a WireGuard interface has
// the address among its AllowedIPs, as the driver in the kernel of Linux does.
func isNotAllowed(err error) bool { return errors.Is(err, syscall.ENOKEY) }
