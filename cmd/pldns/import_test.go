package main

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"
)

// A progress line is written on terminals only, not for what is over at once, and
// not more often than a reader can follow.
func TestProgressLine(t *testing.T) {
	var terminal bytes.Buffer
	now := time.Unix(0, 0)
	line := &progressLine{terminal: &terminal, now: func() time.Time { return now }, begun: now}
	for i := range 10_000 {
		line.tell("pe.json", i+1)
		now = now.Add(progressInterval / 5000)
	}
	if got, want := terminal.String(), clearLine+"reading pe.json: 5001"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if isTerminal(file) {
		t.Error("a file is taken for a terminal")
	}
}

// Nothing but notes goes to a standard error that is no terminal.
func TestImportIsQuiet(t *testing.T) {
	name := t.TempDir() + "/hosts"
	if err := os.WriteFile(name, []byte("10.0.0.4 sql.database.windows.net\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"import", "hosts", name, "--set", "s"}, &stdout, &stderr); code != exitFine || stderr.Len() > 0 {
		t.Errorf("exit code %d, standard error %q", code, stderr.String())
	}
}
