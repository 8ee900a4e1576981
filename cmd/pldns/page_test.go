package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pldns/cmd/internal/daemon"
	"pldns/config"
)

// program is a pldns that runs as a process of its own.
type program struct {
	t      *testing.T
	stderr *bufio.Reader
	end    func()
}

// runPldns runs pldns until the end of the test.
func runPldns(t *testing.T, args ...string) program {
	t.Helper()
	command := exec.Command("pldns", args...)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
	// Once: a second signal ends it at once.
	end := sync.OnceFunc(func() { _ = command.Process.Signal(syscall.SIGTERM) })
	t.Cleanup(func() {
		end()
		_, _ = io.Copy(io.Discard, stderr)
		if err := command.Wait(); err != nil {
			t.Errorf("pldns %v: %v", args, err)
		}
		kill.Stop()
	})
	return program{t, bufio.NewReader(stderr), end}
}

// line waits for a line of the log that holds a text, and gives it.
func (p program) line(text string) string {
	p.t.Helper()
	var all strings.Builder
	for {
		line, err := p.stderr.ReadString('\n')
		all.WriteString(line)
		if strings.Contains(line, text) {
			return strings.TrimSpace(line)
		}
		if err != nil {
			p.t.Fatalf("no line has %q:\n%s", text, all.String())
		}
	}
}

// The line that says where clients are answered says where the page is, too, which is
// there; and nothing of listeners that there are none of.
func TestServeNamesThePage(t *testing.T) {
	p := runPldns(t, "serve", "-c", writeConfig(t, regions("")))
	line := p.line("msg=serving")
	page := regexp.MustCompile(` page=(http://127\.0\.0\.1:\d+/) `).FindStringSubmatch(line)
	if page == nil || strings.Contains(line, "dot=") || strings.Contains(line, "doh=") || !strings.Contains(line, "dns=[127.0.0.1:") {
		t.Fatalf("the line is %s", line)
	}
	reply, err := http.Get(page[1])
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if body, err := io.ReadAll(reply.Body); err != nil || reply.StatusCode != http.StatusOK || !strings.Contains(string(body), "</html>") {
		t.Errorf("%v, %s: %s", err, reply.Status, body)
	}
}

// The log of the program is as the file says from its first line on, and as a reload says
// from then on.
func TestLogFormat(t *testing.T) {
	with := func(settings string) string { return regions("[log]\n" + settings) }
	file := writeConfig(t, with("format = \"json\"\n"))
	p := runPldns(t, "serve", "-c", file)
	var line struct{ Level, Msg, Config, Page string }
	first := p.line("{")
	for text := first; line.Msg != "serving"; text = p.line("") {
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if line.Level != "INFO" || !strings.HasPrefix(line.Page, "http://") || !strings.HasPrefix(line.Config, "3 networks") {
		t.Errorf("the line is %+v", line)
	}
	rewrite := func(text string) {
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		if reply, err := postReload(strings.Trim(strings.TrimPrefix(line.Page, "http://"), "/")); err != nil || reply != http.StatusOK {
			t.Fatalf("the reload: %d, %v", reply, err)
		}
	}
	rewrite(with("format = \"text\"\n"))
	p.line("level=INFO msg=reloaded")
	rewrite(with("level = \"error\"\n"))
	rewrite(with("format = \"json\"\nlevel = \"warn\"\n[traffic]\nstate = \"/absent/pldns/traffic.json\"\n"))
	p.end()
	if text := p.line("history"); !strings.HasPrefix(text, "{") || !strings.Contains(text, `"level":"WARN"`) {
		t.Errorf("the line is %s", text)
	}
}

// postReload has a server reload.
func postReload(admin string) (int, error) {
	request, err := http.NewRequest(http.MethodPost, "http://"+admin+"/-/reload", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	reply.Body.Close()
	return reply.StatusCode, nil
}

// Where the port of operators is taken, the example says which it uses instead; a
// configuration of somebody's own does not serve.
func TestExampleBesideAnother(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := strings.ReplaceAll(string(config.Example()), "127.0.0.1:8053", taken.Addr().String())
	file = strings.ReplaceAll(file, "127.0.0.1:5353", "127.0.0.1:0")
	var log strings.Builder
	options := daemon.Options{
		Load: func(config.Releases) (*config.Config, error) { return config.Parse("the example", []byte(file), nil) },
		Log:  slog.New(slog.NewTextHandler(&log, nil)), AnyAdminPort: true,
	}
	open := func() (*daemon.Server, error) {
		s, err := daemon.New(options)
		if err != nil {
			t.Fatal(err)
		}
		return s, s.Listen(nil)
	}
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	page := s.Page()
	if !strings.HasPrefix(page, "http://127.0.0.1:") || strings.Contains(page, taken.Addr().String()) ||
		!strings.Contains(log.String(), "taken="+taken.Addr().String()+" used="+s.AdminAddr().String()) {
		t.Errorf("the page is at %s, and the log says %s", page, log.String())
	}
	var printed strings.Builder
	printTries(s, options.Log, &printed)
	if !strings.Contains(printed.String(), "The status page: "+page+"\n") {
		t.Errorf("it prints\n%s", printed.String())
	}
	options.AnyAdminPort = false
	if _, err := open(); err == nil || !strings.Contains(err.Error(), "set listen.admin to a free address") {
		t.Errorf("with a configuration: %v", err)
	}
}
