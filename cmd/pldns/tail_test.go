package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// printed is a buffer that several goroutines use.
type printed struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (s *printed) Write(p []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.buffer.Write(p)
}

func (s *printed) String() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.buffer.String()
}

// tailOf runs the command until the test or stop ends it, which gives its exit code.
func tailOf(t *testing.T, args ...string) (out, talk *printed, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, talk = new(printed), new(printed)
	code := make(chan int, 1)
	go func() { code <- run(ctx, append([]string{"tail"}, args...), out, talk) }()
	stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { stop() })
	return out, talk, stop
}

// The command prints what it is asked for, as it happens: a line that people read, or one
// of JSON.
func TestTail(t *testing.T) {
	r := start(t, regions(upstreamTable(azureDNS(t).Addr)))
	token := filepath.Join(filepath.Dir(r.file), "admin.token")
	out, talk, stop := tailOf(t, "--server", r.admin, "--token-file", token, "--network", "europe", "--name", "*.database.windows.net")
	lines, _, stopJSON := tailOf(t, "--server", r.admin, "--token-file", token, "--client", europe, "--outcome", "answered", "--json")
	ask := func() {
		r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
		r.ask("udp", australia, "momenta-eun.database.windows.net", dns.TypeA)
		r.ask("udp", europe, "www.contoso.com", dns.TypeA)
		r.ask("udp", europe, "no-such.contoso.com", dns.TypeA)
	}
	resolvertest.Until(t, "lines are printed", func() bool {
		ask()
		return strings.Count(out.String(), "\n") > 3 && strings.Count(lines.String(), "\n") > 3
	})
	if code := stop(); code != exitFine {
		t.Errorf("exit code %d: %s", code, talk.String())
	}
	stopJSON()
	for line := range strings.Lines(out.String()) {
		if want := fmt.Sprintf(" europe %s udp momenta-eun.database.windows.net A NOERROR momenta-eun.privatelink.database.windows.net.,10.0.1.4 (local, ", europe); !strings.Contains(line, want) {
			t.Fatalf("the line is %s", line)
		}
	}
	for line := range strings.Lines(lines.String()) {
		var q struct{ Client, Rcode, Name string }
		if err := json.Unmarshal([]byte(line), &q); err != nil || q.Client != europe || q.Rcode != "NOERROR" || strings.HasPrefix(q.Name, "no-such") {
			t.Fatalf("the line is %s: %v", line, err)
		}
	}
}

// Who may not follow, and whoever asks something that is no pldns, is told why at once.
func TestTailRefused(t *testing.T) {
	r := start(t, regions(upstreamTable(azureDNS(t).Addr)))
	wrong := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(wrong, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer other.Close()
	for _, row := range []struct{ args, want string }{
		{"--server " + r.admin, "--token-file FILE sends the token"},
		{"--server " + r.admin + " --token-file " + wrong, "401"},
		{"--server " + r.admin + " --token-file " + filepath.Join(filepath.Dir(r.file), "admin.token") + " --client nobody", "client: \"nobody\" is neither"},
		{"--server " + other.Listener.Addr().String(), "has no live stream"},
		{"--server 127.0.0.1:1", "is it the admin address of a running pldns?"},
		{"--token-file " + wrong + ".none", "name the file of listen.admin_token_file"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"tail"}, strings.Fields(row.args)...), &stdout, &stderr); code == exitFine || !strings.Contains(stderr.String(), row.want) {
			t.Errorf("%s: exit code %d: %s", row.args, code, stderr.String())
		}
	}
}

// A server that goes away is tried until it is back, and what is left out is counted.
func TestTailGoesOn(t *testing.T) {
	var times atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := times.Add(1)
		if n == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "retry: 3000\n\nevent: begin\ndata: {}\n\n: alive\n\ndata: {\"name\":\"n%d\"}\n\nevent: lost\ndata: {\"lost\":7}\n\n", n)
		if n == 1 {
			return // as a server that stops
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	out, talk, stop := tailOf(t, "--server", server.URL, "--json")
	resolvertest.Until(t, "a line after the break", func() bool { return strings.Contains(out.String(), "n3") })
	if code := stop(); code != exitFine {
		t.Errorf("exit code %d", code)
	}
	if out.String() != "{\"name\":\"n1\"}\n{\"name\":\"n3\"}\n" {
		t.Errorf("printed: %s", out.String())
	}
	for _, want := range []string{"is away, and is tried until it is back", "is back\n", "7 queries are left out"} {
		if strings.Count(talk.String(), want) < 1 || strings.Count(talk.String(), "is away") != 1 {
			t.Errorf("no %q in %s", want, talk.String())
		}
	}
}
