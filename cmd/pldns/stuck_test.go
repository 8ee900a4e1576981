//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/cmd/internal/daemon"
	"pldns/config"
	"pldns/resolver/resolvertest"
)

// fullPipe is a pipe that takes nothing more until somebody reads it.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close(); writer.Close() })
	fill(t, writer)
	return reader, writer
}

// fill writes into what does not block, until it takes nothing more.
func fill(t *testing.T, writer syscall.Conn) {
	t.Helper()
	raw, err := writer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for room := true; room; {
		if err := raw.Control(func(fd uintptr) {
			_, err := syscall.Write(int(fd), []byte{'#'})
			room = err == nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// Neither standard error nor standard output nor a service manager that takes
// nothing stops UDP, TCP or the end of the program.
func TestStuckOutputs(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what is stuck for 7 s: make test-all runs it")
	}
	m, at, admin := newServiceManager(t)
	_, writer := fullPipe(t)
	manager := stuckManager(t)
	m.config = writeConfig(t, passedConfig(at, admin, "")+"[query_log]\nmode = \"all\"\nto = \"stdout\"\n")
	command := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" serve -c "$1"`, m.program, m.config)
	command.Env = append(os.Environ(), fmt.Sprint("LISTEN_FDS=", len(m.passed)),
		"LISTEN_FDNAMES="+strings.Join(m.names, ":"), "NOTIFY_SOCKET="+manager)
	command.ExtraFiles, command.Stderr, command.Stdout = m.passed, writer, writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ask := func(what, network string) {
		t.Helper()
		client := &dns.Client{Net: network, Timeout: 20 * time.Second}
		reply, _, err := client.Exchange(new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA), at.String())
		if err != nil || len(reply.Answer) != 2 {
			t.Fatalf("%s over %s: %v %v", what, network, reply, err)
		}
	}
	ask("the first query", "udp")
	// What anybody may send, and what makes the program write: every kind of refusal,
	// from many sockets, so that every reader of the address gets some.
	for range 64 {
		stranger, err := net.Dial("udp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		for _, packet := range [][]byte{{0, 1}, make([]byte, 12), append([]byte{0, 1, 0x80}, make([]byte, 9)...), []byte("\r\n\r\n\x00\r\nQUIT\n    ")} {
			_, _ = stranger.Write(packet)
		}
		stranger.Close()
	}
	for i := range 60 {
		ask(fmt.Sprint("query ", i), "udp")
		ask(fmt.Sprint("query ", i), "tcp")
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	endsOrIsStuck(t, command)
}

// endsOrIsStuck waits for a program whose query log nothing takes: it ends in time,
// and says by its exit code that lines are lost.
func endsOrIsStuck(t *testing.T, command *exec.Cmd) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		_ = command.Process.Kill()
		t.Error("the program has not ended 30 s after SIGTERM")
	}
}

// stuckManager is the socket of a service manager that reads nothing any more.
func stuckManager(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	filler, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	fill(t, filler.(*net.UnixConn))
	return path
}

// A configuration file that has become a named pipe is refused at once, by name,
// and changes nothing; when it is a file again, it is served.
func TestReloadOfAPipe(t *testing.T) {
	dir := t.TempDir()
	more := filepath.Join(dir, "hub.toml")
	write := func(address string) {
		t.Helper()
		_ = os.Remove(more)
		if err := os.WriteFile(more, []byte("[networks.europe.endpoints]\n\"mydb.database.windows.net\" = \""+address+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("10.0.0.1")
	r := start(t, fmt.Sprintf("files = [%q]\n[listen]\ndns = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n%s[networks.europe]\nclients = [\"127.0.0.0/8\"]\n", more, withToken))
	ask := func() string { return says(r.ask("udp", europe, "mydb.database.windows.net", dns.TypeA)) }
	if err := os.Remove(more); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(more, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if code, said := r.post("/-/reload", nil); code != http.StatusUnprocessableEntity || !strings.Contains(said, more+" is a named pipe") {
			t.Errorf("%d: %s", code, said)
		}
	}
	if got := ask(); !strings.HasSuffix(got, "A 10.0.0.1") {
		t.Errorf("what was served before: %s", got)
	}
	write("10.0.0.2")
	if code := r.reload(); code != http.StatusOK || !strings.HasSuffix(ask(), "A 10.0.0.2") {
		t.Errorf("a file again: %d, %s", code, ask())
	}
}

// hangingServer serves a configuration that is read from the path in *from, as it
// is at each reload, without the care that the program takes: so a pipe at that
// path hangs as a share does that is away.
func hangingServer(t *testing.T, file string) (*running, func()) {
	t.Helper()
	load := func(config.Releases) (*config.Config, error) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		return config.Parse(file, text, os.DirFS(filepath.Dir(file)))
	}
	s, err := daemon.New(daemon.Options{
		Load: load, Log: slog.New(slog.DiscardHandler), ReadPatience: 200 * time.Millisecond, ReloadPatience: 400 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{tb: t, file: file, addrs: s.Addrs(), admin: s.AdminAddr().String(), ended: make(chan error, 1), hangUps: make(chan os.Signal, 1)}
	go func() { r.ended <- s.Run(ctx, r.hangUps) }()
	return r, cancel
}

// A reload that hangs is told after its time, and holds up neither the next one,
// which is served, nor the end of the server. What it has read in the end is not
// served any more.
func TestHangingReload(t *testing.T) {
	file := writeConfig(t, stamped(1, ""))
	r, stop := hangingServer(t, file)
	defer stop()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(pipe, file); err != nil {
		t.Fatal(err)
	}
	hung, err := os.OpenFile(file, os.O_RDWR, 0) // so that a reader waits for text, and not for a writer
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	if code, said := r.post("/-/reload", nil); code != http.StatusUnprocessableEntity || !strings.Contains(said, "has not ended after") {
		t.Errorf("a reload that hangs: %d %s", code, said)
	}
	if got := r.vanity(); got != saysStamp(1) {
		t.Errorf("meanwhile: %s", got)
	}
	if page := r.get("/readyz"); !strings.Contains(page, `"ready": true`) || !strings.Contains(page, `"reloading_since"`) || !strings.Contains(page, "does not answer") {
		t.Errorf("/readyz says %s", page)
	}
	r.rewrite(stamped(2, ""))
	if code, said := r.post("/-/reload", nil); code != http.StatusOK || !strings.Contains(said, `"reloading_since"`) || r.vanity() != saysStamp(2) {
		t.Errorf("the next reload: %d %s, then %s", code, said, r.vanity())
	}

	if _, err := io.WriteString(hung, stamped(3, "")); err != nil {
		t.Fatal(err)
	}
	hung.Close() // the end of the text that the reload waits for
	resolvertest.Until(t, "the end of the reload that hung", func() bool { return !strings.Contains(r.get("/readyz"), `"reloading_since"`) })
	if got := r.vanity(); got != saysStamp(2) {
		t.Errorf("after the reload that hung has ended: %s", got)
	}
	stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

// However many reloads hang, the server ends, and there are only so many of them.
func TestStopWhileReloadsHang(t *testing.T) {
	t.Parallel()
	file := writeConfig(t, stamped(1, ""))
	r, stop := hangingServer(t, file)
	defer stop()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	said := ""
	for range daemon.MaxReadings + 1 {
		_, said = r.post("/-/reload", nil)
	}
	if !strings.Contains(said, fmt.Sprint(daemon.MaxReadings, " reloads hang, the first for ")) {
		t.Errorf("the last one says %s", said)
	}
	r.hangUps <- syscall.SIGHUP
	stop()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server has not ended")
	}
	for range daemon.MaxReadings { // let go of those that wait
		writer, err := os.OpenFile(file, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			writer.Close()
		}
	}
}
