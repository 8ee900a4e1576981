//go:build !portable

package udpio

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// ample is a time within which everything happens on the busiest machine.
const ample = time.Minute

// listening is a set of one socket.
type listening struct {
	fd   int
	came chan string
}

func (l *listening) Ready(place int, serial int32, in *Inbox) {
	read, _ := in.Read(l.fd, 10)
	for i := range read {
		l.came <- string(in.Packet(i))
	}
}

// newWorker makes a worker, which is retired when the test ends.
func newWorker(t *testing.T, posted func() bool) *Worker {
	t.Helper()
	w, err := NewWorker(posted)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Retire)
	return w
}

func nothing() bool { return false }

// watched gives a worker a socket to read, and what sends to it.
func watched(t *testing.T, w *Worker) (l *listening, to net.Conn, number int) {
	t.Helper()
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if to, err = net.Dial("udp4", socket.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	file, err := socket.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	socket.Close()
	t.Cleanup(func() { to.Close(); file.Close() })
	l = &listening{int(file.Fd()), make(chan string, 100)}
	if number, err = w.Join(l); err != nil {
		t.Fatal(err)
	}
	if err := w.Watch(l.fd, number, 7, w.Serial()); err != nil {
		t.Fatal(err)
	}
	return l, to, number
}

// A worker that waits, in the system or in the poller, is woken by what is posted, from
// whatever moment on, and by packets; its sets read those.
func TestWorkerIsWoken(t *testing.T) {
	var posted, seen atomic.Int64
	w := newWorker(t, func() bool { return posted.Load() > seen.Load() })
	l, to, number := watched(t, w)
	ended, looked := make(chan struct{}), make(chan struct{}, 1)
	go func() {
		defer close(ended)
		for round := 0; seen.Load() < 2000; round++ {
			if round%2 == 0 {
				_, _, _ = w.Poll(ample)
			} else {
				_, _ = w.Await()
			}
			seen.Store(posted.Load())
			select {
			case looked <- struct{}{}:
			default:
			}
		}
	}()
	late := time.After(ample)
	for i := range 2000 {
		if i%100 == 0 {
			if _, err := to.Write([]byte{'a' + byte(i/100)}); err != nil {
				t.Fatal(err)
			}
			if got := <-l.came; got != string(rune('a'+i/100)) {
				t.Errorf("the set read %q", got)
			}
		}
		posted.Add(1)
		w.Wake()
		for seen.Load() <= int64(i) {
			select {
			case <-looked:
			case <-late:
				t.Fatalf("what was posted at %d was not seen", i)
			}
		}
	}
	<-ended
	w.Leave(number)
}

// What a worker leaves behind when it retires is read until it leaves; nothing joins it
// any more, and then no file is left.
func TestRetire(t *testing.T) {
	w := newWorker(t, nothing)
	l, to, number := watched(t, w)
	w.Retire()
	w.Retire()
	for range 3 {
		if _, err := to.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		if got := <-l.came; got != "late" {
			t.Errorf("the set read %q", got)
		}
	}
	if _, err := w.Join(l); !errors.Is(err, ErrEnded) {
		t.Errorf("joining gives %v", err)
	}
	w.Leave(number)
	w.Wake()
	if w.SetDeadline(time.Now()) == nil {
		t.Error("the worker's files are still open")
	}
}
