//go:build linux

package stress

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is a time within which everything happens on the busiest machine.
const patience = 30 * time.Second

// The networks of every configuration here, and who is in them.
const (
	networks = `
[networks.hub]
clients = ["127.0.1.0/24"]
[networks.hub.endpoints]
"db.database.windows.net" = "10.0.1.4"

[networks.spoke]
clients = ["127.0.2.0/24"]
[networks.spoke.endpoints]
"db.database.windows.net" = "10.0.2.4"
`
	private = "db.database.windows.net." // what both networks have an endpoint for
)

// server is the program, serving.
type server struct {
	t     testing.TB
	cmd   *exec.Cmd
	dns   netip.AddrPort
	doq   netip.AddrPort // if there is one
	admin string
	ended chan struct{} // closed when it has ended
}

// serve has the program serve the networks with further settings, its DNS and its
// pages at free ports of 127.0.0.1. It ends with the test.
func serve(t testing.TB, s setting, settings string) *server {
	t.Helper()
	return start(t, s, settings, func(lines io.Reader) { _, _ = io.Copy(io.Discard, lines) })
}

// start is serve with a reader of its own for what comes on standard error once the
// program serves.
func start(t testing.TB, s setting, settings string, rest func(io.Reader)) *server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pldns.toml")
	text := "[listen]\ndns = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n" + settings + networks
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, writes, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	made := &server{t: t, cmd: exec.Command(s.program, "serve", "-c", file), ended: make(chan struct{})}
	made.cmd.Stderr = writes
	made.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := made.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writes.Close()
	go func() {
		_ = made.cmd.Wait()
		close(made.ended)
	}()
	t.Cleanup(func() {
		made.stop(patience)
		log.Close()
	})
	made.learn(log)
	go rest(log)
	return made
}

var (
	servesAt = regexp.MustCompile(`msg=serving dns="?\[([^\]" ]+)`)
	quicAt   = regexp.MustCompile(`doq="?\[([^\]" ]+)`)
	pagesAt  = regexp.MustCompile(`msg="?[^"]*(?:status page|admin)[^"]*"? .*?(127\.0\.0\.1:[0-9]+)`)
)

// learn reads on standard error where the program serves.
func (s *server) learn(log io.Reader) {
	s.t.Helper()
	var seen strings.Builder
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		line := lines.Text()
		fmt.Fprintln(&seen, line)
		if found := pagesAt.FindStringSubmatch(line); found != nil {
			s.admin = found[1]
		}
		if found := servesAt.FindStringSubmatch(line); found != nil {
			s.dns = netip.MustParseAddrPort(found[1])
			if found := quicAt.FindStringSubmatch(line); found != nil {
				s.doq = netip.MustParseAddrPort(found[1])
			}
			if s.admin == "" {
				s.admin = s.listensElsewhere()
			}
			return
		}
	}
	s.t.Fatalf("the program does not serve:\n%s", seen.String())
}

// listensElsewhere is where the program listens for TCP besides its DNS: its pages.
func (s *server) listensElsewhere() string {
	s.t.Helper()
	ours := make(map[string]bool)
	files, _ := os.ReadDir(s.proc("fd"))
	for _, file := range files {
		if target, err := os.Readlink(s.proc("fd/" + file.Name())); err == nil {
			ours[target] = true
		}
	}
	table, err := os.ReadFile(s.proc("net/tcp"))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != "0A" || !ours["socket:["+fields[9]+"]"] {
			continue
		}
		_, port, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(port, 16, 16); err == nil && uint16(n) != s.dns.Port() {
			return fmt.Sprintf("127.0.0.1:%d", n)
		}
	}
	s.t.Fatal("the program has no page")
	return ""
}

func (s *server) proc(name string) string { return fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, name) }

// resident is the resident memory of the program, in bytes.
func (s *server) resident() int64 { return s.status("VmRSS:") }

// peak is the most that its resident memory has been, in bytes.
func (s *server) peak() int64 { return s.status("VmHWM:") }

func (s *server) status(field string) int64 {
	s.t.Helper()
	text, err := os.ReadFile(s.proc("status"))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, field); is {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return n << 10
		}
	}
	s.t.Fatalf("%s has no %s", s.proc("status"), field)
	return 0
}

// descriptors is how many files and sockets the program has open.
func (s *server) descriptors() int {
	s.t.Helper()
	files, err := os.ReadDir(s.proc("fd"))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(files)
}

// get reads something at the page's address, as JSON into the value unless that is nil.
func (s *server) get(path string, into any) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+path, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(body, into)
	}
	return response.StatusCode, err
}

// metrics are the lines of the metrics that begin like one of these.
func (s *server) metrics(prefixes ...string) (lines []string) {
	s.t.Helper()
	response, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(line, prefix) }) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// stop ends the program, by force where it does not within a time, and tells
// whether it ended by itself.
func (s *server) stop(within time.Duration) bool {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return true
	}
	select {
	case <-s.ended:
		return true
	case <-time.After(within):
		_ = s.cmd.Process.Kill()
		<-s.ended
		return false
	}
}
