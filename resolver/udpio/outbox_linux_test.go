//go:build !portable

package udpio_test

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pldns/resolver/udpio"
)

// Packets arrive as they were written, whatever the lengths, each in a packet of its
// own: where the system cuts packets up, and where it refuses to.
func TestOutbox(t *testing.T) {
	for _, test := range []struct {
		name    string
		lengths func(i int) int
		refuses bool
	}{
		{"one length", func(int) int { return 40 }, false},
		{"many lengths", func(i int) int { return 20 + i*7%31 }, false},
		{"all different", func(i int) int { return 20 + i }, false},
		{"the system refuses", func(i int) int { return 40 + i%2 }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			to, from := connected(t)
			if test.refuses {
				socket(t, from, func(fd int) { // it has no sum of its own to be cut up with
					if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
						t.Fatal(err)
					}
				})
			}
			var out udpio.Outbox
			for range 2 {
				var want []string
				for i := range udpio.OutboxSize {
					packet := bytes.Repeat([]byte{byte(i)}, test.lengths(i))
					out.Sizes[i] = copy(out.Rooms[i][:], packet)
					want = append(want, string(packet))
				}
				socket(t, from, func(fd int) {
					out.Send(fd, udpio.OutboxSize, func(i int, err syscall.Errno) { t.Errorf("packet %d is not sent: %v", i, err) })
				})
				var got []string
				for range want {
					packet := make([]byte, 1000)
					n, err := to.Read(packet)
					if err != nil {
						t.Fatalf("%d of %d packets arrive: %v", len(got), len(want), err)
					}
					got = append(got, string(packet[:n]))
				}
				slices.SortFunc(got, strings.Compare)
				if !slices.Equal(got, want) {
					t.Errorf("these arrive: %q, want %q", got, want)
				}
			}
		})
	}
}

// What cannot be sent is told of, packet by packet, and nothing else is.
func TestOutboxThatCannotSend(t *testing.T) {
	var out udpio.Outbox
	copy(out.Sizes[:], []int{30, 30, 40, 20})
	var failed []int
	out.Send(-1, 4, func(i int, err syscall.Errno) {
		if err != syscall.EBADF {
			t.Errorf("packet %d: %v", i, err)
		}
		failed = append(failed, i)
	})
	if slices.Sort(failed); !slices.Equal(failed, []int{0, 1, 2, 3}) {
		t.Errorf("not sent are %v", failed)
	}
}

// connected are two sockets, of which the second sends to the first.
func connected(t *testing.T) (to, from *net.UDPConn) {
	t.Helper()
	to, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close() })
	if from, err = net.DialUDP("udp4", nil, to.LocalAddr().(*net.UDPAddr)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close() })
	if err := to.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return to, from
}

// socket calls do with the socket of a connection.
func socket(t *testing.T, conn *net.UDPConn, do func(fd int)) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { do(int(fd)) })
	}
	if err != nil {
		t.Fatal(err)
	}
}
