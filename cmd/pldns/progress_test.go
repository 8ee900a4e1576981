package main

import (
	"bytes"
	"testing"
	"time"
)

// A progress line is written on terminals only, not for what is over at once, not
// more often than a reader can follow, and is taken away at the end.
func TestProgress(t *testing.T) {
	var terminal bytes.Buffer
	now := time.Unix(0, 0)
	line := &progress{to: &terminal, now: func() time.Time { return now }, told: now}
	for i := range 10_000 {
		line.tell("reading %s: %d", "pe.json", i+1)
		now = now.Add(progressInterval / 5000)
	}
	line.end()
	if got, want := terminal.String(), clearLine+"reading pe.json: 5001"+clearLine; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	terminal.Reset()
	nobody := newProgress(&terminal)
	nobody.tell("reading")
	nobody.end()
	if terminal.Len() > 0 {
		t.Errorf("where nobody looks there is %q", terminal.String())
	}
}
