//go:build !linux

package listen

import "os"

// takesIPv4 is for service managers that pass sockets.
func takesIPv4(*os.File) bool { return false }
