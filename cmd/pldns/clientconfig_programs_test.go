package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pldns/resolver/resolvertest"
)

// The tests in this file start programs of other projects. A program that is not
// installed skips its test, unless PLDNS_REAL_PROGRAMS is set, as .ci/client-config
// does: then it fails.

// lookUp finds a program, which is in a package.
func lookUp(t *testing.T, program, pack string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("asks through other programs: make test-all runs it")
	}
	path, err := exec.LookPath(program)
	for _, dir := range []string{"/usr/sbin", "/sbin"} { // not in everybody's PATH
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, program))
		}
	}
	if err == nil {
		return path
	}
	if os.Getenv("PLDNS_REAL_PROGRAMS") != "" {
		t.Fatalf("%v: install %s", err, pack)
	}
	t.Skipf("needs %s from %s", program, pack)
	return ""
}

// serverProgram is a program that answers DNS queries on a loopback port.
type serverProgram struct {
	program string   // its path
	args    []string // FILE stands for the path of its configuration, PORT for its port
	config  string   // the same, and DIR for the directory of the files
	files   map[string]string
	check   []string // a command that checks the configuration; none if empty
	ready   string   // what it writes when it answers
}

// start runs the daemon until the test ends, and gives its address.
func (d serverProgram) start(t *testing.T) netip.AddrPort {
	t.Helper()
	var output string
	for range 10 {
		addr := resolvertest.FreeAddr(t)
		fill := d.write(t, addr)
		if len(d.check) > 0 {
			check(t, fill, d.check)
		}
		ready, text := d.run(t, fill)
		if ready {
			return addr
		}
		if output = text; !strings.Contains(strings.ToLower(output), "in use") {
			break
		}
	}
	t.Fatalf("%s does not start:\n%s", d.program, output)
	return netip.AddrPort{}
}

// write puts the files of the daemon into a directory, and gives what fills the
// words that stand for them.
func (d serverProgram) write(t *testing.T, addr netip.AddrPort) *strings.Replacer {
	t.Helper()
	dir := t.TempDir()
	main := filepath.Join(dir, "main.conf")
	fill := strings.NewReplacer("FILE", main, "PORT", fmt.Sprint(addr.Port()), "DIR", dir)
	files := map[string]string{"main.conf": fill.Replace(d.config)}
	for name, text := range d.files {
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fill
}

// check runs the command with which a program checks its configuration.
func check(t *testing.T, fill *strings.Replacer, command []string) {
	t.Helper()
	var args []string
	for _, arg := range command[1:] {
		args = append(args, fill.Replace(arg))
	}
	if out, err := exec.CommandContext(t.Context(), command[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command[0], err, out)
	}
}

// patience is how long a program may take to start; none needs a tenth of it.
const patience = time.Minute

// run starts the daemon and waits until it answers or ends. It gives what was
// written when it did not start.
func (d serverProgram) run(t *testing.T, fill *strings.Replacer) (ready bool, output string) {
	t.Helper()
	var args []string
	for _, arg := range d.args {
		args = append(args, fill.Replace(arg))
	}
	reader, writer := io.Pipe()
	command := exec.Command(d.program, args...)
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait() // how it ended shows in what it wrote
		_ = writer.Close()
		close(ended)
	}()
	said, drained := make(chan bool, 1), make(chan struct{})
	var text bytes.Buffer
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(reader)
		for waiting := true; lines.Scan(); {
			fmt.Fprintln(&text, lines.Text())
			if waiting && strings.Contains(lines.Text(), d.ready) {
				waiting = false
				said <- true
			}
		}
		_ = reader.Close() // unblocks the program if a line was too long
	}()
	stop := func() {
		if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		<-ended
		<-drained
		if t.Failed() {
			t.Logf("%s wrote:\n%s", d.program, text.String())
		}
	}
	select {
	case <-said:
		t.Cleanup(stop)
		return true, ""
	case <-ended:
	case <-time.After(patience):
	}
	stop()
	return false, text.String()
}
