package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// limited starts the program with a limit of file descriptors, and gives where it
// answers and the log, once it does.
func limited(t *testing.T, limit int) (command *exec.Cmd, at netip.AddrPort, log string) {
	t.Helper()
	m, at, admin := newServiceManager(t)
	m.config = writeConfig(t, passedConfig(at, admin, ""))
	log = filepath.Join(t.TempDir(), "log")
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	command = exec.Command("/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d; LISTEN_PID=$$ exec "$0" serve -c "$1"`, limit), m.program, m.config)
	command.Env = append(os.Environ(), fmt.Sprint("LISTEN_FDS=", len(m.passed)),
		"LISTEN_FDNAMES="+strings.Join(m.names, ":"), "NOTIFY_SOCKET="+m.notify)
	command.ExtraFiles, command.Stderr = m.passed, file
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	})
	m.await("READY=1")
	return command, at, log
}

// crowd opens connections that never ask, from several addresses.
func crowd(t *testing.T, at netip.AddrPort, connections int) {
	t.Helper()
	for i := range connections {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 3, byte(1+i%16))}, Timeout: 30 * time.Second}
		conn, err := dialer.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
}

// servedOverTCP asks over new connections, one after another.
func servedOverTCP(t *testing.T, at netip.AddrPort, queries int) {
	t.Helper()
	client := &dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	for i := range queries {
		reply, _, err := client.Exchange(new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA), at.String())
		if err != nil || len(reply.Answer) != 2 {
			t.Fatalf("query %d over TCP: %v %v", i, reply, err)
		}
	}
}

// With few file descriptors, new clients are served over TCP while a thousand
// connections wait, because there are never more than there is room for.
func TestFewFiles(t *testing.T) {
	_, at, log := limited(t, 256)
	crowd(t, at, 1000)
	servedOverTCP(t, at, 20)
	text, err := os.ReadFile(log)
	said := strings.Contains(string(text), "limit=256 connections=128 admin=16")
	if err != nil || !said || strings.Contains(string(text), "too many open files") {
		t.Errorf("the log says %v\n%s", err, text)
	}
}

// Where descriptors are short all the same, each connection that gives way makes
// room at once: with a pause after each, a backlog of a thousand takes minutes.
func TestFilesRunOut(t *testing.T) {
	command, at, log := limited(t, 1024)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	few := uint64(len(files) + 64)
	if err := unix.Prlimit(command.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: few, Max: 1024}, nil); err != nil {
		t.Fatal(err)
	}
	crowd(t, at, 1000)
	servedOverTCP(t, at, 20)
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "too many open files") {
		t.Errorf("the log says %v\n%s", err, text)
	}
}
