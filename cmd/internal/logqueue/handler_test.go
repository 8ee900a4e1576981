package logqueue_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pldns/cmd/internal/logqueue"
)

// What is logged before it is known how waits for that; then the format and the level
// hold for every line, also for loggers that were made before, and both may change.
func TestFormat(t *testing.T) {
	var text bytes.Buffer
	queue := logqueue.New(&text)
	log := queue.Log()
	with := log.With("part", "a").WithGroup("g")
	log.Info("first", "n", 1)
	with.Warn("second", "n", 2)
	queue.Set(true, slog.LevelWarn)
	log.Info("unwanted")
	with.Error("third", "n", 3)
	queue.Set(false, slog.LevelInfo)
	with.Info("fourth", "n", 4)
	if !queue.Close(time.Minute) {
		t.Fatal("not all was written")
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("the log is\n%s", text.String())
	}
	for i, want := range []string{"second", "third"} {
		var line struct {
			Level, Msg, Part string
			G                struct{ N int }
		}
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil || line.Msg != want || line.Part != "a" || line.G.N != i+2 {
			t.Errorf("%s: %v, %+v, want %s", lines[i], err, line, want)
		}
	}
	if !strings.HasSuffix(lines[2], "level=INFO msg=fourth part=a g.n=4") {
		t.Errorf("the last line is %s", lines[2])
	}
}

// Where nobody ever says how, as when the configuration cannot be read, lines are text.
func TestFormatUnknown(t *testing.T) {
	var text bytes.Buffer
	queue := logqueue.New(&text)
	queue.Log().Info("first", "n", 1)
	if !queue.Close(time.Minute) {
		t.Fatal("not all was written")
	}
	if !strings.HasSuffix(text.String(), "level=INFO msg=first n=1\n") {
		t.Errorf("the log is %q", text.String())
	}
}
