//go:build !linux

package querylog_test

import "testing"

// fullDisk is a file system of so many octets.
func fullDisk(t *testing.T, _ int) string {
	t.Helper()
	t.Skip("no file system to fill can be mounted here")
	return ""
}
