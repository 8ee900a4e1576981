//go:build unix

package logqueue_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pldns/cmd/internal/logqueue"
)

// fullPipe is a pipe that takes nothing more until somebody reads it.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close(); writer.Close() })
	raw, err := writer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for room := true; room; { // the pipe does not block
		if err := raw.Control(func(fd uintptr) {
			_, err := syscall.Write(int(fd), []byte{'#'})
			room = err == nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return reader, writer
}

// Who logs goes on while nobody reads. When somebody does, the lines that waited
// come in their order, and then how many did not find room.
func TestStuckWriter(t *testing.T) {
	reader, writer := fullPipe(t)
	queue := logqueue.New(writer)
	log := slog.New(slog.NewTextHandler(queue, nil))
	const lines = 5000
	for i := range lines { // with a blocking writer the first one never returns
		log.Info("line", "number", i)
	}
	if queue.Close(10 * time.Millisecond) {
		t.Fatal("the pipe is full, and all was written")
	}
	dropped := queue.Dropped()
	if dropped == 0 || dropped >= lines {
		t.Fatalf("%d of %d lines were dropped", dropped, lines)
	}
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader)
		read <- string(text)
	}()
	if !queue.Close(time.Minute) {
		t.Fatal("not all was written to a pipe that is read")
	}
	writer.Close()
	text := strings.TrimLeft(<-read, "#")
	got := strings.Split(strings.TrimSpace(text), "\n")
	last := -1
	for _, line := range got[:len(got)-1] { // one may have taken the place of the line that is being written
		_, text, _ := strings.Cut(line, " number=")
		number, err := strconv.Atoi(text)
		if err != nil || number <= last {
			t.Fatalf("line %q comes after number %d", line, last)
		}
		last = number
	}
	if end := got[len(got)-1]; !strings.Contains(end, "were dropped") || !strings.HasSuffix(end, fmt.Sprintf(" lines=%d", dropped)) {
		t.Errorf("the last line is %q, and %d lines were dropped", end, dropped)
	}
	if int(dropped)+len(got)-1 != lines {
		t.Errorf("%d lines dropped and %d written of %d", dropped, len(got)-1, lines)
	}
}

// Whatever is logged before Close is written by it, from any number of goroutines.
func TestClose(t *testing.T) {
	var text bytes.Buffer
	queue := logqueue.New(&text)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				fmt.Fprintln(queue, "a line")
			}
		})
	}
	group.Wait()
	for range 2 {
		if !queue.Close(time.Minute) {
			t.Fatal("not all was written")
		}
	}
	if got := strings.Count(text.String(), "a line\n"); got != 800 || queue.Dropped() != 0 {
		t.Errorf("%d lines of 800, %d dropped", got, queue.Dropped())
	}
}

// One line larger than all the room there is does not take it.
func TestHugeLine(t *testing.T) {
	var text bytes.Buffer
	queue := logqueue.New(&text)
	fmt.Fprintln(queue, strings.Repeat("x", 2<<20))
	fmt.Fprintln(queue, "small")
	if !queue.Close(time.Minute) || queue.Dropped() != 1 || !strings.Contains(text.String(), "small\n") {
		t.Errorf("%d dropped, then %.40q", queue.Dropped(), text.String())
	}
}
