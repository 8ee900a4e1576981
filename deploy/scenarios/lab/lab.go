//go:build linux

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen before it fails. It is
// generous because machines that run tests are busy; nothing waits that long when
// all is well.
const Patience = 60 * time.Second

// prefix begins the names of all namespaces and folders of all labs; the process id
// follows.
const prefix = "pldnslab-"

// Lab is a set of hosts that can reach each other as far as they are linked. Its
// methods, and those of its hosts, are for the goroutine of the test, but for
// those that say otherwise.
type Lab struct {
	tb    testing.TB
	Dir   string // for files of the hosts; removed when the test ends
	play  string // the helper program
	pldns string
	hosts int

	authorities int
}

// binaries names the variable of the environment that says where [Main] put the
// programs.
const binaries = "PLDNS_LAB_BINARIES"

// Main runs the tests of a package that makes labs, for its TestMain: it builds the
// programs of this repository that hosts run, once, if labs are asked for.
func Main(m *testing.M) int {
	if os.Getenv("PLDNS_E2E") == "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-programs-", prefix, os.Getpid()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	command := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/",
		"pldns/cmd/pldns", "pldns/deploy/scenarios/play")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	command.Stderr = os.Stderr
	for _, err := range []error{os.Chmod(dir, 0o755), command.Run(), os.Setenv(binaries, dir)} {
		if err != nil {
			fmt.Fprintln(os.Stderr, "build the programs of the hosts:", err)
			return 1
		}
	}
	return m.Run()
}

// Needs skips the test, and says why, where labs were not asked for or one of the
// programs is missing. Environment: PLDNS_E2E=1 asks for labs; with
// PLDNS_E2E=require what is missing fails the test instead.
func Needs(tb testing.TB, programs ...string) {
	tb.Helper()
	if os.Getenv("PLDNS_E2E") == "" {
		tb.Skip("whole deployments are not asked for: make e2e, or PLDNS_E2E=1")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			lacks(tb, program+", which is not installed")
		}
	}
}

// NeedsDocker skips the test where no container engine runs, which nobody can make
// run by installing something.
func NeedsDocker(tb testing.TB) {
	tb.Helper()
	Needs(tb)
	if err := exec.Command("docker", "info").Run(); err != nil {
		tb.Skip("this needs a container engine, which does not run here")
	}
}

// lacks skips the test for want of something, or fails it.
func lacks(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("PLDNS_E2E") == "require" {
		tb.Fatal("this needs " + what)
	}
	tb.Skip("this needs " + what)
}

// Program is the path of a program of this repository that [Main] built.
func Program(name string) string { return filepath.Join(os.Getenv(binaries), name) }

// New makes an empty lab, or skips the test as [Needs] does. The programs are
// needed besides ip and nft.
func New(tb testing.TB, programs ...string) *Lab {
	tb.Helper()
	Needs(tb, append([]string{"ip", "nft"}, programs...)...)
	if os.Geteuid() != 0 {
		lacks(tb, "root, to make network namespaces")
	}
	sweep()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid()))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // programs that drop root read here
		tb.Fatal(err)
	}
	return &Lab{tb: tb, Dir: dir, pldns: Program("pldns"), play: Program("play")}
}

// Has tells whether a program is installed that a part of a test needs. Where it
// is not, that is logged, or fails the test as in [New].
func (l *Lab) Has(program string) bool {
	l.tb.Helper()
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
		return true
	case os.Getenv("PLDNS_E2E") == "require":
		l.tb.Fatalf("this needs %s, which is not installed", program)
	default:
		l.tb.Logf("skipped: %s is not installed", program)
	}
	return false
}

// File writes a file into the folder of the lab and gives its path.
func (l *Lab) File(name, text string) string {
	l.tb.Helper()
	file := filepath.Join(l.Dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		l.tb.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		l.tb.Fatal(err)
	}
	return file
}

// Until waits until what holds, or fails the test.
func (l *Lab) Until(what string, holds func() bool) {
	l.tb.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(Patience); !holds(); <-again.C {
		if time.Now().After(end) {
			l.tb.Fatalf("after %s it is not so that %s", Patience, what)
		}
	}
}

// sweep removes the namespaces and folders of labs whose process is gone.
func sweep() {
	for _, dir := range []string{"/run/netns", os.TempDir()} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // there never was a namespace
		}
		for _, entry := range entries {
			rest, ours := strings.CutPrefix(entry.Name(), prefix)
			pid, err := strconv.Atoi(strings.SplitN(rest, "-", 2)[0])
			if !ours || err != nil {
				continue
			}
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); !os.IsNotExist(err) {
				continue
			}
			if dir == "/run/netns" {
				_ = exec.Command("ip", "netns", "delete", entry.Name()).Run()
				_ = os.RemoveAll(filepath.Join("/etc/netns", entry.Name()))
				continue
			}
			_ = os.RemoveAll(filepath.Join(dir, entry.Name()))
		}
	}
}
