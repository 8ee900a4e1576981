package resolvertest

import (
	"os"
	"os/exec"
	"testing"
)

// Installed finds a program of the system, in the folders of an administrator too. The test
// is skipped where it is missing, unless PLDNS_PEERS says that it must be there.
func Installed(tb testing.TB, command string) string {
	tb.Helper()
	for _, name := range []string{command, "/usr/sbin/" + command} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("PLDNS_PEERS") != "" {
		tb.Fatalf("%s is not installed, and PLDNS_PEERS wants it", command)
	}
	tb.Skipf("needs %s, which is not installed", command)
	return ""
}
