//go:build linux

package stress

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSlowAdminRequests: thousands of requests to the address of the page that never
// come to their end take few descriptors and little memory, and no operator has to wait
// for them, nor any client of DNS.
func TestSlowAdminRequests(t *testing.T) {
	s := chosen(t)
	slow := 8000
	if s.brief {
		slow = 2000
	}
	raiseDescriptors(t, uint64(slow)+1000)
	const mostOpen, within = 140, 2 * time.Second
	outside := startOutside(t, nil)
	to := serve(t, s, outside.forwarding(""))
	observeAll(t, to.dns, 500*time.Millisecond)
	memory, open := to.resident(), to.descriptors()
	longest, opened := time.Duration(0), 0
	for i := range slow {
		conn, err := dialer(fmt.Sprintf("127.0.1.%d", 1+i%200), "tcp").Dial("tcp", to.admin)
		if err != nil {
			t.Fatalf("after %d connections: %v", i, err)
		}
		defer conn.Close()
		begin(conn)
		if opened = max(opened, to.descriptors()-open); i%(slow/20) != 0 {
			continue
		}
		asked := time.Now()
		if code, err := to.get("/readyz", nil); code != http.StatusOK {
			t.Errorf("beside %d slow requests: %d, %v", i+1, code, err)
		}
		longest = max(longest, time.Since(asked))
		http.DefaultClient.CloseIdleConnections()
	}
	grown := to.peak() - memory
	t.Logf("%d slow requests: %d descriptors and %d MiB more at most, an operator waited for %v at most", slow, opened, grown>>20, longest)
	if opened > mostOpen || grown > spare || longest > within {
		t.Errorf("want at most %d descriptors, %d MiB and %v", mostOpen, spare>>20, within)
	}
	for _, b := range observeAll(t, to.dns, time.Second) {
		if b.share() < leastForwarded {
			t.Errorf("%s: %.1f %% answered: %v", b, 100*b.share(), b.wrong)
		}
	}
}

// begin begins a request and does not end it.
func begin(conn net.Conn) {
	_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
}

// raiseDescriptors lets this process have so many descriptors.
func raiseDescriptors(t *testing.T, needed uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur, limit.Max = max(limit.Cur, needed), max(limit.Max, needed)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("this needs %d descriptors: %v", needed, err)
	}
}
