package resolvertest

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// mostSaid is how many lines a program said last are logged.
const mostSaid = 60

// Peer finds a program of somebody else that a test runs, or asks with: see [Installed]. Such
// tests take long, and are left out under -short.
func Peer(tb testing.TB, command string) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("takes other programs: make test-all runs it")
	}
	return Installed(tb, command)
}

// Run runs a program until the test ends, and gives its process, which may be told something or
// killed before. What the program said last is logged if the test fails.
func Run(tb testing.TB, path string, args ...string) *os.Process {
	tb.Helper()
	command := exec.Command(path, args...)
	output, err := command.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	command.Stdout = command.Stderr
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		var lines []string
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			lines = append(lines, scanner.Text())
			lines = lines[max(0, len(lines)-mostSaid):]
		}
		said <- strings.Join(lines, "\n")
	}()
	tb.Cleanup(func() {
		_ = command.Process.Kill()
		text := <-said
		_ = command.Wait() // it was killed
		if tb.Failed() {
			tb.Logf("%s said:\n%s", path, text)
		}
	})
	return command.Process
}
