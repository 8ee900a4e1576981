//go:build linux

package stress

import (
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNobodyReadsStandardError: a log that nobody takes stops no answer, over any
// transport, hides nothing from the health check, and does not hold up the end.
func TestNobodyReadsStandardError(t *testing.T) {
	s := chosen(t)
	outside := startOutside(t, nil)
	unread := make(chan struct{})
	to := start(t, s, outside.forwarding(""), func(io.Reader) { <-unread })
	t.Cleanup(func() { close(unread) })
	fillStandardError(t, to)

	stranger, err := dialer("127.0.9.9", "udp").Dial("udp", to.dns.String()) // of no network
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	for i := range 64 {
		_, _ = stranger.Write([]byte{0, 1})
		_, _ = stranger.Write(wire(private, uint16(i)))
	}
	for _, b := range observeAll(t, to.dns, s.load/2) {
		if b.share() < 1 {
			t.Errorf("%s: %.1f %% answered: %v", b, 100*b.share(), b.wrong)
		}
	}
	if code, err := to.get("/readyz", nil); code != http.StatusOK {
		t.Errorf("/readyz says %d, %v", code, err)
	}
	if !to.stop(10 * time.Second) {
		t.Error("it does not end when it is told to")
	}
}

// fillStandardError fills the pipe that the program writes its log to.
func fillStandardError(t *testing.T, to *server) {
	t.Helper()
	fd, err := unix.Open(to.proc("fd/2"), unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	line := make([]byte, 1<<16)
	for size := len(line); size > 0; {
		if _, err := unix.Write(fd, line[:size]); err != nil {
			size /= 2
		}
	}
}
