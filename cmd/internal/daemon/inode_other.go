//go:build !unix

package daemon

import "io/fs"

// inode is not known on this system; size and time must do.
func inode(fs.FileInfo) uint64 { return 0 }
