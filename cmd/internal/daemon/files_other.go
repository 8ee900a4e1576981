//go:build !unix

package daemon

// fileLimit is how many file descriptors the process may have; 0 for any number.
func fileLimit() int { return 0 }
