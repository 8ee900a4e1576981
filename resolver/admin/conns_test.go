package admin_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// Many connections that never ask, or begin to and do not go on, leave the server with
// few of them open, and operators are served meanwhile, from the same address and from
// another one.
func TestManyConnections(t *testing.T) {
	base := serve(t, admin.Status{Ready: true})
	host := strings.TrimPrefix(base, "http://")
	before := openFiles(t)
	var slow []net.Conn
	defer func() {
		for _, conn := range slow {
			conn.Close()
		}
	}()
	for i := range 600 {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))}
		conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
		if i%2 == 0 {
			fmt.Fprint(conn, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
		}
		if i%100 == 99 {
			if code, _ := get(t, base+"/readyz"); code != http.StatusOK {
				t.Errorf("after %d connections: %d", i+1, code)
			}
		}
	}
	// The connections of the test are files as well as those of the server.
	open := 0
	resolvertest.Until(t, "the server closes connections", func() bool {
		open = openFiles(t) - before - len(slow)
		return before == 0 || open <= 140
	}, &open)
	if code, _ := get(t, base+"/readyz"); code != http.StatusOK {
		t.Errorf("at the end: %d", code)
	}
}

// Those who ask for much and take nothing away leave room for others as well.
func TestAnswersThatNobodyTakes(t *testing.T) {
	blocked := make(chan struct{})
	var under sync.WaitGroup
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.Connections = 8
		o.Upstreams = func() []admin.Upstream { under.Done(); <-blocked; return nil }
	})
	defer close(blocked)
	under.Add(8)
	for i := range 8 {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%2))}}).Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /api/upstreams HTTP/1.1\r\nHost: %s\r\n\r\n", strings.TrimPrefix(base, "http://"))
	}
	under.Wait()
	if code, _ := get(t, base+"/readyz"); code != http.StatusOK {
		t.Errorf("an operator at another address: %d", code)
	}
}

// openFiles is how many files the process has open; 0 where the system does not say.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// Who guesses tokens does not fill the log.
func TestWarningsAreLimited(t *testing.T) {
	var mutex sync.Mutex
	var text bytes.Buffer
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.Log = slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
			mutex.Lock()
			defer mutex.Unlock()
			return text.Write(p)
		}), nil))
	})
	for range 100 {
		if code, _ := post(t, base+"/-/reload", "", "Authorization", "Bearer wrong"); code != http.StatusUnauthorized {
			t.Fatal(code)
		}
	}
	mutex.Lock()
	defer mutex.Unlock()
	if lines := strings.Count(text.String(), "\n"); lines != 1 {
		t.Errorf("%d lines for 100 wrong tokens:\n%s", lines, text.String())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// A program that does not answer DNS any more says so where it is asked whether it
// should be restarted, and where it is asked whether it serves.
func TestUnwell(t *testing.T) {
	well := true
	base := serve(t, admin.Status{
		Reason: "a listener does not answer",
		Silent: []admin.Silent{{Transport: "udp", Address: netip.MustParseAddrPort("10.0.0.4:53"), Since: time.Unix(1_800_000_000, 0), Error: "i/o timeout"}},
	}, func(o *admin.Options) {
		o.Alive = func() error {
			if well {
				return nil
			}
			return fmt.Errorf("nothing is answered: %w", io.ErrNoProgress)
		}
	})
	if code, _ := get(t, base+"/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
	well = false
	if code, body := get(t, base+"/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "nothing is answered") {
		t.Errorf("/healthz: %d %s", code, body)
	}
	if code, body := get(t, base+"/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, `"address": "10.0.0.4:53"`) || !strings.Contains(body, `"since": "2027-01-15T`) {
		t.Errorf("/readyz: %d %s", code, body)
	}
}

// A request that meets a fault of the program is told so, and counted.
func TestPanicOfARequest(t *testing.T) {
	parts := make(chan string, 1)
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.Upstreams = func() []admin.Upstream { panic("a fault") }
		o.Panicked = func(part string) { parts <- part }
	})
	if code, body := get(t, base+"/api/upstreams"); code != http.StatusInternalServerError || !strings.Contains(body, "fault of the program") {
		t.Errorf("%d %s", code, body)
	}
	if part := <-parts; part != "admin" {
		t.Error(part)
	}
	if code, _ := get(t, base+"/readyz"); code != http.StatusOK {
		t.Errorf("the next request: %d", code)
	}
}
